"""Releases: deploy.sh and rollback.sh on a project that remembers what it was told.

The whole story is told once with the real gcloud; what can go wrong, with a stand-in that takes no time to start.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from shared.data import metric_buckets
from shared.metrics import Bucket
from tests.scripts.fake_cloud import image_digest, needs_gcloud, run
from tests.scripts.gcloud_stand_in import StandIn
from tests.servers import Server
from tests.waiting import wait_for

ROOT = Path(__file__).parent.parent.parent
DEPLOY, ROLLBACK = ROOT / "scripts" / "deploy.sh", ROOT / "scripts" / "rollback.sh"
FUNCTIONS = ("gateway", "operator", "migrate", "metrics")
CHAT = "liftlog-ai-chat-staging"


def name(family: str) -> str:
    return f"liftlog-{family}-staging"


def revision(family: str, number: int) -> str:
    return f"{name(family)}-{number:05d}-abc"


@pytest.fixture(scope="module")
def gateway(database_url):
    """Return a real gateway: what smoke.sh and watch.sh talk with, and the migration."""
    servers = {
        "gateway": Server("gateway", DATABASE_URL=database_url, ENVIRONMENT="staging", OPERATOR_IAM="true"),
        "migrate": Server("migrate", DATABASE_URL=database_url, ENVIRONMENT="staging", OPERATOR_IAM="true"),
    }
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture
def cloud(gateway, tmp_path):
    """Return a project in which version 1 of everything runs, as Terraform made it, behind the stand-in."""
    with new_cloud(gateway) as running:
        running.variables = running.install(tmp_path)
        yield running


@pytest.fixture
def cloud_of_gcloud(gateway):
    """Return the same project behind the real gcloud."""
    needs_gcloud()
    with new_cloud(gateway, ("gateway", "migrate")) as running:
        running.variables = {"OPERATOR_URL": gateway["gateway"].url}
        yield running


def new_cloud(gateway, families=FUNCTIONS):
    functions = {name(family): f"{'gateway' if family == 'operator' else family}-1.zip" for family in families}
    cloud = StandIn(functions, {CHAT: "an-image:ai_chat-1"})
    cloud.urls = {
        name("gateway"): gateway["gateway"].url,
        f"candidate---{name('gateway')}": gateway["gateway"].url,
        name("operator"): gateway["gateway"].url,
        f"candidate---{name('operator')}": gateway["gateway"].url,
        name("migrate"): gateway["migrate"].url,
    }
    return cloud


def packages(folder: Path, tag: str, versions: dict[str, int]) -> Path:
    """Make packages that are version 1, or what `versions` says, and return their folder."""
    dist = folder / f"dist-{tag}"
    dist.mkdir(exist_ok=True)
    listed = {}
    for package in ("gateway", "migrate", "metrics", "ai_chat"):
        (dist / f"{package}.zip").write_bytes(f"{package} {versions.get(package, 1)}".encode())
        listed[package] = {"object": f"{package}-{versions.get(package, 1)}.zip"}
    (dist / "manifest.json").write_text(json.dumps({"functions": listed}))
    return dist


def deploying(cloud: StandIn, folder: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that deploys packages of a tag. `versions`: of those that are not version 1."""

    def start(tag: str, *options: str, env: dict[str, str] | None = None, **versions: int):
        dist = packages(folder, tag, versions)
        command: list[str | Path] = [DEPLOY, "staging", tag, "--dist", dist, "--watch-minutes", "0", *options]
        return run(cloud, folder, *command, env=cloud.variables | (env or {}))

    return start


@pytest.fixture
def deploy(cloud, tmp_path):
    return deploying(cloud, tmp_path)


@pytest.fixture
def rollback(cloud, tmp_path):
    return lambda *arguments: run(cloud, tmp_path, ROLLBACK, "staging", *arguments, env=cloud.variables)


@pytest.fixture
def errors(db):
    """Let as many requests have been answered with 500 in this minute as make an alarm; they are forgotten again."""
    instance = uuid4()
    series = 'liftlog_http_requests_total{function="user",method="GET",route="/user/{id_or_lookup}",status="500"}'
    minute = int(datetime.now(UTC).timestamp()) // 60 * 60
    metric_buckets.put(db, instance, [Bucket(minute, {series: 100_000}, {})])
    yield
    db.rows("DELETE FROM metric_buckets WHERE instance = :instance", instance=instance)


def all_traffic(cloud):
    """Return the revision that has all traffic, by family; fails if one shares it."""
    found = {}
    for service in cloud.services:
        traffic = cloud.traffic(service)
        assert len(traffic) == 1, f"{service}: {traffic}"
        found[service.removeprefix("liftlog-").removesuffix("-staging")] = next(iter(traffic))
    return found


def records(cloud):
    return {
        path.removeprefix("releases/").removesuffix(".json"): json.loads(content)
        for path, content in cloud.objects.items()
        if path.endswith(".json")
    }


def current(cloud):
    return records(cloud)[cloud.objects["releases/current"].decode()]


def test_a_release_and_the_way_back_with_the_real_gcloud(cloud_of_gcloud, tmp_path):
    """The same commands as below, said to the program itself."""
    cloud = cloud_of_gcloud
    cloud.set_public(name("gateway"))
    done = deploying(cloud, tmp_path)("v1.1.0", gateway=2, ai_chat=2)
    assert done.returncode == 0, done.stderr + done.stdout
    assert all_traffic(cloud) == {
        "ai-chat": revision("ai-chat", 2), "gateway": revision("gateway", 2), "migrate": revision("migrate", 1),
    }  # fmt: skip
    assert f"{revision('gateway', 1)}=90,{revision('gateway', 2)}=10" in done.stdout
    assert [build["status"] for build in cloud.builds.values()] == ["SUCCESS"]
    (container,) = cloud.services[CHAT]["spec"]["template"]["spec"]["containers"]
    assert container["image"].rpartition("@")[2] == image_digest(CHAT, "0")  # what was built, whatever a tag says
    assert current(cloud)["tag"] == "v1.1.0"
    assert "releases/lock" not in cloud.objects
    assert cloud.is_open(name("gateway"))
    assert not cloud.is_open(name("migrate"))
    done = run(cloud, tmp_path, ROLLBACK, "staging", revision("gateway", 1), env=cloud.variables)
    assert done.returncode == 0, done.stderr
    assert all_traffic(cloud)["gateway"] == revision("gateway", 1)


def test_a_release_goes_from_no_traffic_over_a_tenth_to_all(cloud, deploy):
    done = deploy("v1.1.0", gateway=2, ai_chat=2)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "3 of 5 functions changed: ai_chat, gateway, operator" in done.stdout
    assert all_traffic(cloud) == {
        "ai-chat": revision("ai-chat", 2), "gateway": revision("gateway", 2), "operator": revision("operator", 2),
        "migrate": revision("migrate", 1), "metrics": revision("metrics", 1),
    }  # fmt: skip
    steps = re.findall(
        r"Migrating|Deploying without traffic|Trying the new|\d+ % of|Trying the release|Released", done.stdout
    )
    assert steps == [
        "Migrating",
        "Deploying without traffic",
        "Trying the new",
        "10 % of",
        "100 % of",
        "Trying the release",
        "Released",
    ]
    assert f"{revision('gateway', 1)}=90,{revision('gateway', 2)}=10" in done.stdout
    assert done.stdout.count("/user/create 200") == 2  # smoke.sh made an account twice
    assert current(cloud)["tag"] == "v1.1.0"
    assert current(cloud)["revisions"][name("metrics")] == revision("metrics", 1)
    assert "releases/lock" not in cloud.objects


def test_public_functions_let_everybody_in_before_they_are_tried(cloud, deploy):
    """Without a grant to allUsers, which organisations refuse; a build may have forgotten it, so each release asks."""
    cloud.set_public(name("gateway"), CHAT)
    done = deploy("v1.1.0", gateway=2)
    assert done.returncode == 0, done.stderr
    assert {one for one in cloud.services if cloud.is_open(one)} == {name("gateway"), CHAT}
    assert done.stdout.index("--no-invoker-iam-check") < done.stdout.index("Trying the new revisions")
    assert cloud.revisions[CHAT] == [revision("ai-chat", 1)]  # it is the service's, and makes no revision
    assert deploy("v1.1.1", metrics=2).returncode == 0
    assert len(cloud.changes("^PUT open/")) == 2
    cloud.services[CHAT]["metadata"]["annotations"].clear()
    assert deploy("v1.1.2").returncode == 0
    assert cloud.is_open(CHAT)


def test_only_what_changed_is_uploaded_and_built(cloud, deploy):
    assert deploy("v1.1.0", metrics=2).returncode == 0
    assert cloud.changes("^PATCH cloudfunctions") == [
        f"PATCH cloudfunctions/v2/projects/a-project/locations/us-central1/functions/{name('metrics')}"
    ]
    assert [path for path in cloud.objects if path.endswith(".zip")] == ["metrics-2.zip"]
    assert cloud.tags(name("gateway")) == {"candidate": revision("gateway", 1)}  # what does not change is tried along


def test_new_revisions_have_no_traffic_while_they_are_tried(cloud, deploy, gateway):
    """The smoke test fails: nobody but it has seen the new code."""
    done = deploy("v1.1.0", gateway=2, env={"CANDIDATE_URL": f"{gateway['gateway'].url}/nowhere"})
    assert done.returncode == 1
    assert "smoke.sh" in done.stderr
    assert set(all_traffic(cloud).values()) == {revision(family, 1) for family in ("ai-chat", *FUNCTIONS)}
    assert not records(cloud)
    assert "10 % of" not in done.stdout
    again = deploy("v1.1.0", gateway=2)  # the build is there already
    assert again.returncode == 0, again.stderr
    assert len(cloud.changes("^PATCH cloudfunctions")) == 2  # gateway and operator, once each
    assert all_traffic(cloud)["gateway"] == revision("gateway", 2)


def test_errors_at_a_tenth_roll_the_traffic_back(cloud, deploy, errors):
    done = deploy("v1.1.0", "--watch-minutes", "1", gateway=2)
    assert done.returncode == 1
    assert "past its threshold: error_rate_percent" in done.stdout
    assert "10 % of the traffic for 2 new" in done.stdout
    assert "Rolling the traffic back" in done.stdout
    assert all_traffic(cloud)["gateway"] == revision("gateway", 1)
    assert not records(cloud)


def test_a_failed_build_leaves_everything_as_it_was(cloud, deploy):
    cloud.broken = {name("gateway")}
    done = deploy("v1.1.0", gateway=2)
    assert done.returncode == 1
    assert "Build failed" in done.stderr
    assert all_traffic(cloud)["gateway"] == revision("gateway", 1)
    cloud.broken = set()
    assert deploy("v1.1.0", gateway=2).returncode == 0  # a failed build is built again
    assert all_traffic(cloud)["gateway"] == revision("gateway", 2)


def test_a_failed_migration_stops_before_any_new_code(cloud, deploy):
    cloud.urls[name("migrate")] = "http://127.0.0.1:9"
    done = deploy("v1.1.0", gateway=2)
    assert done.returncode == 1
    assert cloud.changes("^PATCH") == []
    assert all_traffic(cloud)["gateway"] == revision("gateway", 1)


def test_deploying_twice_changes_nothing(cloud, deploy):
    assert deploy("v1.1.0", gateway=2).returncode == 0
    before = len(cloud.changes("^PATCH"))
    again = deploy("v1.1.0", gateway=2)
    assert again.returncode == 0
    assert "Nothing to do" in again.stdout
    assert len(cloud.changes("^PATCH")) == before
    assert len(records(cloud)) == 1


def test_a_new_configuration_is_released_too(cloud, deploy):
    """Terraform made a revision with other settings; its traffic waits for a release."""
    assert deploy("v1.1.0").returncode == 0
    cloud.new_revision(name("metrics"))
    assert all_traffic(cloud)["metrics"] == revision("metrics", 1)
    assert deploy("v1.1.1").returncode == 0
    assert all_traffic(cloud)["metrics"] == revision("metrics", 2)


def test_a_revision_that_refuses_everybody_is_never_released(cloud, deploy):
    assert deploy("v1.1.0").returncode == 0
    cloud.new_revision(name("gateway"), f"{name('gateway')}-maintenance-1")
    assert deploy("v1.1.1").returncode == 0
    assert all_traffic(cloud)["gateway"] == revision("gateway", 1)


def test_rollback_takes_all_functions_back_together(cloud, deploy, rollback):
    deploy("v1.1.0")
    deploy("v1.2.0", gateway=2, ai_chat=2)
    done = rollback()
    assert done.returncode == 0, done.stderr
    assert "3 of 5 functions" in done.stdout
    assert set(all_traffic(cloud).values()) == {revision(family, 1) for family in ("ai-chat", *FUNCTIONS)}
    assert current(cloud)["tag"] == "v1.1.0"
    assert rollback("v1.2.0").returncode == 0
    assert all_traffic(cloud)["ai-chat"] == revision("ai-chat", 2)
    first = rollback(next(release for release in records(cloud) if release.endswith("v1.1.0")))
    assert first.returncode == 0
    assert rollback().returncode == 1  # there is none before it
    listed = rollback("--list").stdout.splitlines()
    assert [line[0] for line in listed] == [" ", "*"]


def test_one_revision_goes_back_alone_with_a_warning(cloud, deploy, rollback):
    deploy("v1.1.0")
    deploy("v1.2.0", gateway=2, metrics=2)
    done = rollback(revision("gateway", 1))
    assert done.returncode == 0
    assert "Warning" in done.stdout
    assert all_traffic(cloud) | {"gateway": 0} == all_traffic(cloud) | {"gateway": 0, "metrics": revision("metrics", 2)}
    assert all_traffic(cloud)["gateway"] == revision("gateway", 1)
    assert rollback().returncode == 0
    assert current(cloud)["tag"] == "v1.1.0"


@pytest.mark.parametrize("target", ["v9.9.9", "liftlog-gateway-staging-00009-xyz"])
def test_rollback_to_what_does_not_exist_changes_nothing(cloud, deploy, rollback, target):
    deploy("v1.1.0")
    before = cloud.objects["releases/current"]
    done = rollback(target)
    assert done.returncode == 1
    assert cloud.objects["releases/current"] == before
    assert set(all_traffic(cloud).values()) == {revision(family, 1) for family in ("ai-chat", *FUNCTIONS)}


def test_an_interrupted_deployment_is_undone_by_rollback_or_completed_by_another_run(cloud, deploy, rollback, tmp_path):
    """Killed at 10 %, when nothing could be tidied up."""
    deploy("v1.1.0")
    at_ten_percent(cloud, tmp_path, signal.SIGKILL)
    assert cloud.traffic(name("gateway")) == {revision("gateway", 1): 90, revision("gateway", 2): 10}
    assert "releases/lock" in cloud.objects
    other = deploy("v1.3.0", metrics=3)
    assert other.returncode == 1
    assert "has been deploying v1.2.0" in other.stderr
    undone = rollback()
    assert undone.returncode == 0
    assert "interrupted" in undone.stdout
    assert all_traffic(cloud)["gateway"] == revision("gateway", 1)
    assert "releases/lock" not in cloud.objects
    at_ten_percent(cloud, tmp_path, signal.SIGKILL)
    completed = deploy("v1.2.0", gateway=2)
    assert completed.returncode == 0
    assert "taking over from an earlier run" in completed.stdout
    assert all_traffic(cloud)["gateway"] == revision("gateway", 2)


def test_ctrl_c_at_a_tenth_puts_the_traffic_back(cloud, deploy, tmp_path):
    deploy("v1.1.0")
    output = at_ten_percent(cloud, tmp_path, signal.SIGINT)
    assert "Rolling the traffic back" in output
    assert all_traffic(cloud)["gateway"] == revision("gateway", 1)
    assert "releases/lock" not in cloud.objects


def at_ten_percent(cloud, folder, number):
    """Deploy version 2 of the gateway, and send a signal when it has its first traffic and has been looked at once."""
    dist = packages(folder, "v1.2.0", {"gateway": 2})
    output = folder / "output"
    with output.open("w") as written:
        process = subprocess.Popen(
            ["python3", "-m", "scripts.release", "deploy", "staging", "v1.2.0", "--dist", dist, "--watch-minutes=5"],
            cwd=ROOT, env=cloud.environment(folder) | cloud.variables, stdout=written, stderr=written,
        )  # fmt: skip
    wait_for(lambda: " requests, errors " in output.read_text() or process.poll() is not None)
    started = psutil.Process(process.pid).children()
    process.send_signal(number)
    process.wait()
    for child in started:  # each in a session of its own
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
    return output.read_text()


def test_an_interrupted_rollback_goes_on_and_not_forth(cloud, deploy, rollback):
    deploy("v1.1.0")
    deploy("v1.2.0", gateway=2, metrics=2)
    with replaced(cloud, lambda words, command: REFUSED if name("metrics") in words else command()):
        assert rollback().returncode == 1
    assert all_traffic(cloud)["metrics"] == revision("metrics", 2)
    again = rollback()
    assert again.returncode == 0, again.stderr
    assert "interrupted" in again.stdout
    assert set(all_traffic(cloud).values()) == {revision(family, 1) for family in ("ai-chat", *FUNCTIONS)}
    assert current(cloud)["tag"] == "v1.1.0"


def test_a_deployment_leaves_the_traffic_to_a_second_operator(cloud, deploy):
    """Somebody takes over when it has a tenth of the traffic: it neither goes on, nor back, nor ends their lock."""
    deploy("v1.1.0")
    theirs = json.dumps({"id": "another", "tag": "v1.0.9", "who": "b@there", "since": "now"}).encode()

    def take_over(words, command):
        answer = command()
        if any(word.endswith("=10") for word in words):
            cloud.objects["releases/lock"] = theirs
        return answer

    with replaced(cloud, take_over):
        done = deploy("v1.2.0", gateway=2)
    assert done.returncode == 1
    assert "somebody else has taken over" in done.stderr
    assert cloud.traffic(name("gateway")) == {revision("gateway", 1): 90, revision("gateway", 2): 10}
    assert cloud.objects["releases/lock"] == theirs
    assert current(cloud)["tag"] == "v1.1.0"


REFUSED = (1, "", "ERROR: refused\n")


@contextlib.contextmanager
def replaced(cloud, do):
    """Let `do` answer commands meanwhile: it gets a command's words, and what does what the command does."""
    before = cloud.answers["POST /stand-in"]
    cloud.answers["POST /stand-in"] = lambda match, body, query: (
        200, do(body[0], lambda: before(match, body, query)[1]),
    )  # fmt: skip
    yield
    cloud.answers["POST /stand-in"] = before


def test_a_dry_run_changes_nothing(cloud, deploy, rollback):
    deploy("v1.1.0")
    before = (dict(cloud.objects), all_traffic(cloud), len(cloud.changes("^(PUT|PATCH|DELETE)")))
    done = deploy("v1.2.0", "--dry-run", gateway=2, migrate=2)
    assert done.returncode == 0, done.stderr
    assert "functions deploy liftlog-gateway-staging" in done.stdout
    assert rollback("--dry-run", revision("gateway", 1)).returncode == 0
    assert before == (dict(cloud.objects), all_traffic(cloud), len(cloud.changes("^(PUT|PATCH|DELETE)")))


@pytest.mark.parametrize("tag", ["latest", "main", "v1", "1.2.3"])
def test_production_takes_versions_only(cloud, tmp_path, tag):
    done = run(cloud, tmp_path, DEPLOY, "production", tag, "--dist", str(tmp_path), env=cloud.variables)
    assert done.returncode == 1
    assert "production takes a version like v1.2.3" in done.stderr
    assert cloud.requests == []


def test_a_tag_is_packaged_as_git_has_it(cloud, tmp_path):
    """Not as the working tree is: a checkout with a tag, and a change after it."""
    repository = tmp_path / "repository"
    for folder in ("functions", "shared", "migrations", "scripts"):
        shutil.copytree(ROOT / folder, repository / folder)
    shutil.copy(ROOT / "requirements.txt", repository)
    (repository / ".venv" / "bin").mkdir(parents=True)
    (repository / ".venv" / "bin" / "python").symlink_to(sys.executable)
    git = ["git", "-C", repository, "-c", "user.name=a", "-c", "user.email=a@example.com"]
    (repository / ".gitignore").write_text(".venv\n")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["tag", "v1.0.0"]):
        subprocess.run([*git, *command], check=True)
    (repository / "functions" / "health" / "main.py").write_text("broken")
    done = run(
        cloud, tmp_path, repository / "scripts" / "deploy.sh", "staging", "v1.0.0", "--dry-run", env=cloud.variables
    )
    assert "packing 1/" in done.stderr, done.stderr
    assert "The list of what the packages hold cannot be made" in done.stdout  # there is no Makefile; a release goes on
    unknown = run(
        cloud, tmp_path, repository / "scripts" / "deploy.sh", "staging", "v2.0.0", "--dry-run", env=cloud.variables
    )
    assert unknown.returncode == 1
    assert "git knows no tag v2.0.0" in unknown.stderr


PROGRAMS = sorted(p.name for p in (ROOT / "scripts").iterdir() if p.is_file() and os.access(p, os.X_OK))


@pytest.mark.parametrize("script", PROGRAMS)
def test_every_script_explains_itself(script):
    shown = subprocess.run([ROOT / "scripts" / script, "--help"], capture_output=True, text=True, check=True).stdout
    assert shown.lower().startswith(f"usage: scripts/{script}")
    wrong = subprocess.run([ROOT / "scripts" / script, "--no-such-option"], capture_output=True, check=False)
    assert wrong.returncode == 2
    assert f"scripts/{script}" in (ROOT / "docs" / "deployment.md").read_text()
