"""`make serve` as a person meets it: starts, signals, kills, folders, and what it says when it cannot."""

import gzip
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
import requests

from local.processes import free_port
from tests.waiting import WAIT_SECONDS, wait_for

ROOT = Path(__file__).parent.parent.parent
OTHER_ACCOUNT = "nobody"


class Serve:
    """A running `python -m local.serve`, as `make serve` starts it: a process group of its own."""

    def __init__(self, data_dir: Path | str, logs: Path, *before: str, cwd: Path = ROOT, **environment: str) -> None:
        self.port = environment.get("PORT") or str(free_port())
        self.url = f"http://localhost:{self.port}"
        name = uuid4().hex
        self._stdout, self._stderr = logs / f"{name}.out", logs / f"{name}.err"
        clean = {key: value for key, value in os.environ.items() if key not in {"DATABASE_URL", "ENVIRONMENT", "HOST"}}
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", "local.serve"],
                cwd=cwd,
                env=clean | {"DATA_DIR": str(data_dir), "PORT": self.port} | environment,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )

    @property
    def stdout(self) -> list[str]:
        return self._stdout.read_text().splitlines()

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()

    def wait_until_ready(self) -> "Serve":
        """Wait for the line that people wait for."""
        wait_for(
            lambda: f"LiftLog answers on {self.url} (Ctrl-C ends it)" in self.stdout or self.process.poll() is not None
        )
        assert self.process.poll() is None, self.stderr
        return self

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def postmaster(self) -> psutil.Process:
        return next(child for child in psutil.Process(self.process.pid).children() if child.name() == "postgres")

    def stop(self) -> int:
        """End it the polite way and return its exit status; nothing happens if it has ended."""
        self.process.terminate()
        try:
            return self.process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def have_ended(processes: list[psutil.Process]) -> bool:
    """Tell whether none of them runs; what nobody has reaped yet does not run."""
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                return False
        except psutil.NoSuchProcess:
            continue
    return True


def create_account(server: Serve) -> str:
    answer = requests.post(f"{server.url}/user/create", json={}, timeout=WAIT_SECONDS)
    assert answer.status_code == 200
    return str(answer.json()["id"])


def store_backup(server: Serve, name: str) -> int:
    """Make a key and store a backup with it, as somebody on this machine may. Return the status."""
    made = requests.post(f"{server.url}/backup-key", json={"user": name}, timeout=WAIT_SECONDS).json()
    headers = {"X-Api-Key": made["key"]}
    url = f"{server.url}/backup?user={name}"
    return requests.post(url, gzip.compress(b"data"), headers=headers, timeout=WAIT_SECONDS).status_code


def knows(server: Serve, account: str) -> bool:
    return requests.get(f"{server.url}/user/{account}", timeout=WAIT_SECONDS).status_code == 200


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Return a folder that PostgreSQL's own account can pass through; pytest's are closed to it."""
    path = Path(tempfile.mkdtemp(prefix="liftlog-serve-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[..., Serve]]:
    """Return a function that starts a server, which ends with the test at the latest."""
    started: list[Serve] = []

    def start(data_dir: Path | str, *before: str, **options: Any) -> Serve:
        started.append(Serve(data_dir, folder, *before, **options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serve]:
    """Return a running server that the module shares."""
    running = Serve(folder / "shared", folder).wait_until_ready()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def used(folder: Path) -> tuple[Path, str]:
    """Return a data folder with one account, on which no server runs between tests, and that account's id."""
    data_dir = folder / "used"
    server = Serve(data_dir, folder).wait_until_ready()
    account = create_account(server)
    assert server.stop() == 0
    return data_dir, account


# starts


def test_it_says_in_one_line_where_it_answers(server):
    assert server.stdout == [f"LiftLog answers on {server.url} (Ctrl-C ends it)"]
    assert requests.get(f"{server.url}/health/ready", timeout=WAIT_SECONDS).status_code == 200


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot keep a process on a CPU")
def test_the_gateway_keeps_to_one_cpu_and_the_database_does_not(server):
    gateway = [child for child in server.descendants() if "functions_framework" in child.cmdline()]
    assert len(gateway) == 2  # arbiter and worker
    assert {tuple(process.cpu_affinity()) for process in gateway} == {tuple(gateway[0].cpu_affinity()[:1])}
    assert server.postmaster().cpu_affinity() == psutil.Process().cpu_affinity()


def test_a_second_start_finds_the_data(serve, used):
    data_dir, account = used
    assert knows(serve(data_dir).wait_until_ready(), account)


def test_servers_with_ports_and_folders_of_their_own_run_side_by_side(serve, server, used):
    data_dir, account = used
    other = serve(data_dir).wait_until_ready()
    assert knows(other, account)
    assert not knows(server, account)


@pytest.mark.parametrize(
    "name", ["a" * 150 + "/" + "b" * 150, "with spaces in it", "a,b'c\"d", "a+b%41&c=d#e?f", "größer"]
)
def test_any_folder_will_do(serve, folder, name):
    server = serve(folder / name).wait_until_ready()
    assert create_account(server)
    assert store_backup(server, "ann") == 200
    assert len(list((folder / name / "phone-backups" / "ann").iterdir())) == 1


def test_backups_of_phones_may_be_off(serve, folder):
    server = serve(folder / "without", BACKUP_STORE="off").wait_until_ready()
    assert store_backup(server, "ann") == 403


def test_a_backup_of_the_database_that_the_page_asks_for_is_written(server, folder):
    asked = requests.post(f"{server.url}/admin", {"do": "dump"}, timeout=WAIT_SECONDS, allow_redirects=False)
    assert asked.status_code == 303
    dumps = folder / "shared" / "dumps"
    (dump,) = wait_for(lambda: list(dumps.glob("*.dump")))
    assert dump.read_bytes().startswith(b"PGDMP")
    assert dump.stat().st_mode & 0o077 == 0


def test_a_relative_folder_is_below_the_current_one(serve, folder):
    assert create_account(serve("relative/data", cwd=folder).wait_until_ready())
    assert (folder / "relative" / "data" / "postgres" / "PG_VERSION").exists()


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"),
    reason="only root can become somebody else; tests run as such then",
)
def test_it_runs_as_an_account_other_than_root(serve):
    account = pwd.getpwnam(OTHER_ACCOUNT)
    capabilities = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")  # Python may be root's
    with tempfile.TemporaryDirectory(prefix="liftlog-serve-") as home:
        os.chown(home, account.pw_uid, account.pw_gid)
        become = ("setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", *capabilities)
        for _ in range(2):
            running = serve(Path(home) / "data", *become).wait_until_ready()
            assert running.postmaster().uids().real == account.pw_uid
            assert create_account(running)
            assert running.stop() == 0


def test_it_tells_a_supervisor_once_that_it_answers_and_its_children_cannot(serve, used, folder):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(folder / "notify"))
        notified.settimeout(WAIT_SECONDS)
        running = serve(used[0], NOTIFY_SOCKET=str(folder / "notify"))
        assert notified.recv(100) == b"READY=1"
        assert requests.get(f"{running.url}/health/ready", timeout=WAIT_SECONDS).status_code == 200
        assert not [child for child in running.descendants() if "NOTIFY_SOCKET" in child.environ()]
        notified.settimeout(0)
        with pytest.raises(BlockingIOError):
            notified.recv(100)


def test_uploads_are_kept_on_the_data_s_disk_meanwhile(serve, used):
    running = serve(used[0], TMPDIR="").wait_until_ready()
    gateway = [child for child in running.descendants() if "functions_framework" in child.cmdline()]
    assert {child.environ()["TMPDIR"] for child in gateway} == {str(used[0] / "scratch")}


# signals


@pytest.mark.parametrize(
    "numbers",
    [
        [signal.SIGTERM],
        [signal.SIGINT],
        [signal.SIGHUP],
        [signal.SIGTERM, signal.SIGTERM, signal.SIGTERM],
        [signal.SIGINT, signal.SIGTERM, signal.SIGINT, signal.SIGTERM],
    ],
    ids=lambda numbers: "+".join(number.name for number in numbers),
)
def test_a_signal_ends_everything(serve, used, numbers):
    """`make` and the process group both deliver it."""
    data_dir, _ = used
    running = serve(data_dir).wait_until_ready()
    children = running.descendants()
    assert {"postgres"} < {child.name() for child in children}
    for number in numbers:
        os.killpg(running.process.pid, number)
    assert running.process.wait(WAIT_SECONDS) == 0
    assert have_ended(children)
    assert not (data_dir / "postgres" / "postmaster.pid").exists()
    assert "Traceback" not in running.stderr


def test_open_connections_do_not_put_off_the_end(serve, used):
    running = serve(used[0]).wait_until_ready()
    with socket.create_connection(("127.0.0.1", int(running.port))), requests.Session() as session:
        assert session.get(f"{running.url}/health", timeout=WAIT_SECONDS).status_code == 200
        assert running.stop() == 0


def test_signals_that_keep_coming_do_not_disturb_the_end(serve, used):
    running = serve(used[0]).wait_until_ready()
    children = running.descendants()
    deadline = time.monotonic() + WAIT_SECONDS
    while running.process.poll() is None and time.monotonic() < deadline:
        os.killpg(running.process.pid, signal.SIGTERM)
        os.killpg(running.process.pid, signal.SIGINT)
    assert running.process.wait(WAIT_SECONDS) == 0
    assert have_ended(children)
    assert "Traceback" not in running.stderr


def test_a_signal_during_the_first_start_ends_it_and_leaves_nothing_half_made(serve, folder):
    data_dir = folder / "interrupted"
    starting = serve(data_dir)
    wait_for((data_dir / "postgres.new" / "PG_VERSION").exists)
    children = starting.descendants()
    os.killpg(starting.process.pid, signal.SIGTERM)
    assert starting.process.wait(WAIT_SECONDS) == 0
    wait_for(lambda: have_ended(children))
    assert create_account(serve(data_dir).wait_until_ready())


# kills


@pytest.mark.parametrize("victims", ["supervisor", "process group", "everything"])
def test_the_next_start_recovers_from_a_kill(serve, used, victims):
    data_dir, account = used
    killed = serve(data_dir).wait_until_ready()
    newer = create_account(killed)
    children = killed.descendants()
    if victims == "supervisor":
        killed.process.kill()
    else:
        os.killpg(killed.process.pid, signal.SIGKILL)
    for child in children if victims == "everything" else []:
        with suppress(psutil.NoSuchProcess):  # it ended by itself, with its parent
            child.kill()
    again = serve(data_dir, PORT=killed.port).wait_until_ready()
    assert have_ended(children)
    assert knows(again, account)
    assert knows(again, newer)


def test_a_database_that_died_is_started_again(server):
    account = create_account(server)
    dead = server.postmaster()
    dead.kill()
    wait_for(lambda: have_ended([dead]))
    wait_for(lambda: requests.get(f"{server.url}/health/ready", timeout=WAIT_SECONDS).status_code == 200)
    assert server.postmaster().pid != dead.pid
    assert knows(server, account)
    assert create_account(server)


def test_it_ends_with_the_gateway(serve, used):
    running = serve(used[0]).wait_until_ready()
    children = running.descendants()
    gateway = next(child for child in psutil.Process(running.process.pid).children() if child.name() != "postgres")
    gateway.kill()
    assert running.process.wait(WAIT_SECONDS) == 1
    wait_for(lambda: have_ended(children))
    assert running.stderr.splitlines()[-1] == "make serve: the gateway ended with status -9"


# refusals


def refusal(refused: Serve) -> str:
    """Return the one line that it ends with."""
    assert refused.process.wait(WAIT_SECONDS) == 1
    assert refused.stdout == []
    (line,) = refused.stderr.splitlines()
    assert line.startswith("make serve: ")
    return line


def test_a_folder_in_use_is_refused(serve, server, folder):
    assert "another server runs on" in refusal(serve(folder / "shared"))
    assert create_account(server)


def test_a_port_in_use_is_refused(serve, server, folder):
    assert f"cannot listen on port {server.port}" in refusal(serve(folder / "unused", PORT=server.port))
    assert not (folder / "unused").exists()


@pytest.mark.parametrize("port", ["eighty", "0", "-1", "65536"])
def test_a_port_that_is_none_is_refused(serve, folder, port):
    assert "PORT must be a number from 1 to 65535" in refusal(serve(folder / "unused", PORT=port))


def test_a_folder_that_is_none_is_refused(serve, folder):
    (folder / "file").touch()
    assert "cannot use DATA_DIR" in refusal(serve(folder / "file"))


def test_a_folder_for_backups_of_the_database_that_is_none_is_refused(serve, folder):
    (folder / "no-folder").touch()
    refused = serve(folder / "unused", DATABASE_DUMP_FOLDER=str(folder / "no-folder" / "dumps"))
    assert "cannot use DATABASE_DUMP_FOLDER" in refusal(refused)


def test_a_database_out_of_reach_is_refused(serve, folder):
    line = refusal(serve(folder / "unused", DATABASE_URL="postgresql://nobody@127.0.0.1:1/x"))
    assert "no connection" in line or "connection lost" in line
