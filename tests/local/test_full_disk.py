"""A small disk fills up: what stores more is refused in time, reading and deleting go on, and so does the server."""

import os
import shutil
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
import requests

from local.processes import free_port
from tests.users import User
from tests.waiting import WAIT_SECONDS, wait_for

ROOT = Path(__file__).parent.parent.parent
DISK_MIB = 220


@pytest.fixture
def disk(tmp_path):
    """Return a folder on a disk of 220 MB. Only root can make one."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("a full disk is NOT tested: only root can make a small one")
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", folder], check=False)
    if made.returncode:
        pytest.skip("a full disk is NOT tested: nothing can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def url(disk):
    """Return the URL of `make serve` on that disk."""
    port = free_port()
    environment = os.environ | {
        "DATA_DIR": str(disk / "data"), "PORT": str(port), "LOG_LEVEL": "ERROR", "QUOTA_MIB_PER_DAY": "100000",
        "QUOTA_EVENT_MIB": "100000",
    }  # fmt: skip
    environment.pop("DATABASE_URL", None)
    server = subprocess.Popen([sys.executable, "-m", "local.serve"], cwd=ROOT, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: server.poll() is not None or _answers(url))
        yield url
    finally:
        server.terminate()
        server.wait(WAIT_SECONDS)


def noise():
    """Return 256 KiB that cannot be compressed."""
    return b64encode(os.urandom(262_144)).decode()


def _answers(url):
    try:
        return requests.get(f"{url}/health/ready", timeout=WAIT_SECONDS).ok
    except requests.ConnectionError:
        return False


def test_a_full_disk_stops_storing_and_nothing_else(url):
    session = requests.Session()

    def call(method, path, body=None):
        return session.request(method, url + path, json=body, timeout=WAIT_SECONDS)

    created = call("POST", "/user/create", {}).json()
    user = User(created["id"], created["lookup"], created["password"])
    call("PUT", "/follow-secret", user.secret("s"))
    stored = 0
    while (answer := call("PUT", "/event", user.event(encryptedEventPayload=noise()))).status_code == 200:
        stored += 1
        assert stored < DISK_MIB * 4, "it never fills"
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:liftlog:problem:storage-full")
    assert answer.headers["Retry-After"]
    assert call("POST", "/user/create", {}).status_code == 503
    assert call("PUT", "/user", user.profile()).status_code == 503
    assert call("GET", f"/user/{user.id}").status_code == 200
    assert call("GET", "/health/ready").status_code == 200
    assert call("POST", "/events", {"users": [user.asked("s")]}).json()["events"]
    assert call("POST", "/inbox", user.credentials()).status_code == 200
    assert call("POST", "/user/delete", user.account()).status_code == 200
    assert call("GET", f"/user/{user.id}").status_code == 404
    assert stored > 50, "most of the disk was used"
