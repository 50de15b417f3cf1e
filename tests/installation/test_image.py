"""The image is built, and runs as compose.yaml has it run: `make test-machine`, where there are podman and buildah.

The base is a Debian made here, in place of Python's own image: no registry is asked. MACHINE_BINDS: as for the machine.
"""

import os
import shutil
import subprocess

import pytest
import requests

from local.processes import free_port
from tests.installation.debian import SUITE, binds
from tests.installation.installations import ROOT
from tests.installation.test_containers import SERVER
from tests.waiting import WAIT_SECONDS, wait_for

TOOLS = ("podman", "buildah", "mmdebstrap")
BASE, IMAGE, CONTAINER = "localhost/liftlog-test-base", "localhost/liftlog-test", "liftlog-test"
TOKEN = "opens the operators' routes"

pytestmark = pytest.mark.skipif(
    os.environ.get("MACHINE") != "true", reason="SKIPPED: an image takes minutes: make test-machine"
)


def run(*command):
    outcome = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout[-2000:] + outcome.stderr[-2000:]
    return outcome.stdout


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"THE IMAGE IS NOT BUILT: it wants root, and {', '.join(missing) or 'nothing else'}")
    base = tmp_path_factory.mktemp("base") / "base.tar"
    run("mmdebstrap", "--quiet", "--variant=minbase", "--include=python3-venv,ca-certificates", SUITE, base)
    run("podman", "import", "--quiet", base, BASE)
    volumes = [f"--volume={place}:{place}:ro" for place in binds()]
    build = ("buildah", "build", "--quiet", "--isolation=chroot", *volumes)
    run(*build, f"--build-arg=BASE={BASE}", f"--tag={IMAGE}", "--file", ROOT / "Containerfile", ROOT)
    yield IMAGE
    run("podman", "rmi", "--force", IMAGE, BASE)


@pytest.fixture(scope="module")
def url(image):
    """Return where the container answers that has the rights, limits and volume of compose.yaml, and no others."""
    port = free_port()
    limits = [f"--cap-drop={name}" for name in SERVER["cap_drop"]]
    limits += [f"--security-opt={option.replace(':true', '')}" for option in SERVER["security_opt"]]
    limits += [f"--tmpfs={place}" for place in SERVER["tmpfs"]]
    limits += [f"--memory={SERVER['mem_limit']}", f"--pids-limit={SERVER['pids_limit']}"]
    limits += [f"--shm-size={SERVER['shm_size']}", f"--read-only={str(SERVER['read_only']).lower()}", "--init"]
    told = {"PORT": port, "HOST": "127.0.0.1", "PUBLIC_URL": "https://liftlog.example.com", "OPERATOR_TOKEN": TOKEN}
    variables = [f"--env={name}={value}" for name, value in told.items()]
    data = SERVER["volumes"][0].replace("data:", f"{CONTAINER}:")
    # no more files and processes than the service has: some sandboxes let nobody raise the usual limits
    limits += ["--ulimit=nofile=16384:16384", f"--ulimit=nproc={SERVER['pids_limit']}:{SERVER['pids_limit']}"]
    runtime = ["--runtime=runc"] if shutil.which("runc") else []  # crun knows no hybrid control groups
    start = ("podman", *runtime, "run", "--detach", "--network=host", f"--name={CONTAINER}", f"--volume={data}")
    run(*start, *limits, *variables, image)
    address = f"http://127.0.0.1:{port}"
    yield address
    run("podman", "rm", "--force", "--volumes", CONTAINER)
    run("podman", "volume", "rm", "--force", CONTAINER)


def is_ready(url):
    try:
        return requests.get(f"{url}/health/ready", timeout=WAIT_SECONDS).ok
    except requests.ConnectionError:
        return False


def test_it_serves_without_rights_and_keeps_what_it_was_given(url):
    wait_for(lambda: is_ready(url))
    user = requests.post(f"{url}/user/create", json={}, timeout=WAIT_SECONDS).json()
    assert requests.get(f"{url}/metrics", timeout=WAIT_SECONDS).status_code == 401
    operator = {"Authorization": f"Bearer {TOKEN}"}
    assert requests.get(f"{url}/metrics", headers=operator, timeout=WAIT_SECONDS).ok
    assert run("podman", "exec", CONTAINER, *SERVER["healthcheck"]["test"][1:3], health_code(url)) == ""
    run("podman", "exec", CONTAINER, "python", "-m", "local.dumps")
    run("podman", "stop", f"--time={SERVER['stop_grace_period'].removesuffix('s')}", CONTAINER)
    assert run("podman", "inspect", "--format={{.State.ExitCode}}", CONTAINER).strip() == "0"  # by itself, not by force
    run("podman", "start", CONTAINER)
    wait_for(lambda: is_ready(url))
    assert requests.get(f"{url}/user/{user['id']}", timeout=WAIT_SECONDS).json()["lookup"] == user["lookup"]


def health_code(url):
    """Return what compose.yaml asks, at the port of this test."""
    return SERVER["healthcheck"]["test"][3].replace("http://127.0.0.1:8080", url)
