"""What clients get while something is broken, and that what was acknowledged stays. Each time the real thing breaks."""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import requests

import migrations
from local.postgres import EmbeddedPostgres, PostgresFailed
from shared.data.pool import Database
from tests.databases import transaction
from tests.postgres_proxy import PostgresProxy
from tests.servers import Caller, Servers
from tests.users import EPOCH, User
from tests.waiting import WAIT_SECONDS, wait_for

pytestmark = pytest.mark.slow
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def create(call):
    created = call("POST", "/user/create", {}).json
    return User(created["id"], created["lookup"], created["password"])


def lock(user):
    """Return the statement that locks a user's row."""
    return f"SELECT FROM users WHERE id = '{user.id}' FOR UPDATE"


def has_begun_to_end(process):
    """Tell whether the signal has arrived: gunicorn's arbiter listens no more, and tells its workers."""
    return not psutil.Process(process.pid).net_connections()


@pytest.fixture
def folder():
    """A folder that PostgreSQL's own account can reach when the tests run as root."""
    with tempfile.TemporaryDirectory(prefix="liftlog-test-") as path:
        Path(path).chmod(0o711)
        yield Path(path)


@pytest.fixture
def postgres(folder):
    postgres = EmbeddedPostgres(folder)
    postgres.start()
    migrations.upgrade(postgres.url)
    yield postgres
    postgres.stop()


class Writers:
    """Threads that publish events without a pause, and remember which were acknowledged."""

    def __init__(self, servers, count=4):
        self._done = threading.Event()
        self.acknowledged: list[tuple[User, str]] = []
        self.statuses: list[int] = []
        self.unready: list[requests.Response] = []
        call = Caller(servers, alone=False)
        self._url = call.url("/event")
        users = [create(call) for _ in range(count)]
        self._threads = [threading.Thread(target=self._write, args=(user,)) for user in users]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        for thread in self._threads:
            thread.join()

    def _write(self, user):
        session = requests.Session()
        while not self._done.is_set():
            event_id = str(uuid4())
            answer = session.put(self._url, json=user.event(eventId=event_id), timeout=WAIT_SECONDS)
            self.statuses.append(answer.status_code)
            if answer.ok:
                self.acknowledged.append((user, event_id))
            else:
                self.unready.append(answer)

    def have_acknowledged(self, count):
        return len(self.acknowledged) > count

    def went_on(self):
        """Tell whether there was an acknowledgement after the last refusal."""
        return self.statuses[-1:] == [200]


def assert_nothing_is_lost(db, writers):
    assert len(writers.acknowledged) > 100
    stored = {(str(user), str(event)) for user, event in db.rows("SELECT user_id, id FROM user_events")}
    assert {(user.id, event) for user, event in writers.acknowledged} <= stored
    assert set(writers.statuses) <= {200, 503}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in writers.unready)


def test_a_database_that_is_killed_loses_nothing_acknowledged(postgres):
    with Servers(postgres.url, DB_POOL_TIMEOUT_SECONDS="1") as servers, Writers(servers) as writers:
        for _ in range(2):
            wait_for(partial(writers.have_acknowledged, len(writers.acknowledged) + 60))
            assert postgres._process is not None
            for process in psutil.Process(postgres._process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            postgres._process.kill()
            postgres._process.wait()
            wait_for(lambda: 503 in writers.statuses)
            postgres.start()
            wait_for(writers.went_on)
    db = Database(postgres.url, 1, 30)
    assert_nothing_is_lost(db, writers)
    db.close()


def test_connections_cut_in_mid_statement_lose_nothing_acknowledged(database_url, db):
    """As in a failover: every connection ends, and the address answers again. Clients hardly notice."""
    proxy = PostgresProxy(database_url)
    with Servers(proxy.url, DB_POOL_TIMEOUT_SECONDS="1") as servers, Writers(servers) as writers:
        for _ in range(10):
            wait_for(partial(writers.have_acknowledged, len(writers.acknowledged) + 20))
            proxy.cut()
        wait_for(writers.went_on)
    proxy.close()
    assert_nothing_is_lost(db, writers)


def test_a_lock_that_is_held_too_long_is_a_503_and_writes_nothing(database_url, db):
    with Servers(database_url) as servers:
        call = Caller(servers, alone=False)
        user = create(call)
        with transaction(database_url, lock(user)):
            answer = call("PUT", "/event", user.event())
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert call("GET", f"/user/{user.id}").status_code == 200  # a read waits for no lock
        secret = str(uuid4())
        call("PUT", "/follow-secret", user.secret(secret))
        assert call("POST", "/events", {"users": [user.asked(secret, EPOCH)]}).json["events"] == []


def test_a_pool_that_is_exhausted_refuses_in_time_and_recovers(database_url, db):
    with Servers(database_url, DB_POOL_SIZE="1", DB_POOL_TIMEOUT_SECONDS="0.2") as servers:
        call = Caller(servers, alone=False)
        user = create(call)
        waiting = threading.Thread(target=lambda: Caller(servers, alone=False)("PUT", "/user", user.profile()))
        with transaction(database_url, lock(user)):
            waiting.start()
            wait_for(lambda: db.rows(WAITING)[0][0])
            answer = call("GET", f"/user/{user.id}")
            assert answer.status_code == 503
            assert int(answer.headers["Retry-After"]) > 0
            assert call("GET", "/health").status_code == 200
        waiting.join()
        assert call("GET", f"/user/{user.id}").status_code == 200


def test_sigterm_lets_running_requests_finish(database_url, db):
    with Servers(database_url) as servers:
        call = Caller(servers, alone=False)
        user = create(call)
        answers = []
        running = threading.Thread(target=lambda: answers.append(call("PUT", "/user", user.profile())))
        with transaction(database_url, lock(user)):
            running.start()
            wait_for(lambda: db.rows(WAITING)[0][0])
            servers["gateway"].process.send_signal(signal.SIGTERM)
            wait_for(lambda: has_begun_to_end(servers["gateway"].process))
        running.join()
        assert [answer.status_code for answer in answers] == [200]
        assert servers["gateway"].stop() == 0
    assert db.rows("SELECT encryption_iv <> '' FROM users WHERE id = :id", id=user.id) == [[True]]


def test_a_clock_that_jumps_back_hides_no_event(database_url, db):
    """As after a failover to a machine whose clock is an hour behind: followers have seen timestamps of the future."""
    with Servers(database_url) as servers:
        call = Caller(servers, alone=False)
        user, secret = create(call), str(uuid4())
        assert call("PUT", "/follow-secret", user.secret(secret)).status_code == 200
        ahead = db.rows(
            "UPDATE users SET last_event_at = now() + interval '1 hour' WHERE id = :id"
            ' RETURNING to_char(last_event_at, \'YYYY-MM-DD"T"HH24:MI:SS.US"Z"\')',
            id=user.id,
        )[0][0]
        since, seen = ahead, []
        for _ in range(3):
            assert call("PUT", "/event", user.event(eventId=str(uuid4()))).status_code == 200
            (event,) = call("POST", "/events", {"users": [user.asked(secret, since)]}).json["events"]
            assert event["timestamp"] > since
            since = event["timestamp"]
            seen.append(event["eventId"])
        assert len(set(seen)) == 3


@pytest.fixture
def small_disk():
    """A file system of 150 MB, where that can be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="liftlog-test-"))
    mount = ["mount", "-t", "tmpfs", "-o", "size=150m,mode=711", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("SKIPPED: only root, and only where file systems may be mounted, can fill a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    shutil.rmtree(folder, ignore_errors=True)


def test_a_full_disk_is_a_503_and_loses_nothing_acknowledged(small_disk):
    postgres = EmbeddedPostgres(small_disk)
    postgres.start()
    migrations.upgrade(postgres.url)
    ballast = small_disk / "ballast"
    try:
        with Servers(postgres.url, DB_POOL_TIMEOUT_SECONDS="1") as servers, Writers(servers) as writers:
            wait_for(lambda: len(writers.acknowledged) > 60)
            with suppress(OSError), ballast.open("wb") as file:
                while True:
                    file.write(bytes(64 * 1024))
                    file.flush()
            wait_for(lambda: 503 in writers.statuses)
            ballast.unlink()
            if not postgres.is_running():
                postgres.start()
            wait_for(writers.went_on)
        db = Database(postgres.url, 1, 30)
        assert_nothing_is_lost(db, writers)
        db.close()
    finally:
        ballast.unlink(missing_ok=True)
        with suppress(PostgresFailed):
            postgres.stop()
