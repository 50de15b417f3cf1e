"""The restore drill: everything is as it was, clients see 503 and nothing worse, and a bad file changes nothing."""

import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import migrations
from local import backups
from local.backups import BackupFailed
from shared.data.pool import Database
from tests.servers import Caller, Servers
from tests.users import EPOCH, User
from tests.waiting import WAIT_SECONDS

ROOT = Path(__file__).parent.parent.parent
TABLES = ["users", "user_events", "user_follow_secrets", "user_inbox_items", "shared_items", "alembic_version"]


@pytest.fixture
def url(own_url):
    return own_url


@pytest.fixture
def call(url):
    with Servers(url, DB_POOL_TIMEOUT_SECONDS="1") as servers:
        yield Caller(servers, alone=False)


def live(call):
    """Have a user live a little, and return them."""
    created = call("POST", "/user/create", {}).json
    user = User(created["id"], created["lookup"], created["password"])
    for method, path, body in [
        ("PUT", "/user", user.profile()),
        ("PUT", "/event", user.event()),
        ("PUT", "/follow-secret", user.secret("s")),
        ("PUT", "/inbox", user.message()),
        ("POST", "/shareditem", user.shared_item()),
    ]:
        assert call(method, path, body).status_code == 200
    return user


def rows(url):
    """Everything that there is, and where the sequences stand."""
    db = Database(url, 1, 30)
    found = {table: db.rows(f"SELECT row_to_json(t)::text FROM {table} AS t ORDER BY 1") for table in TABLES}
    found["sequences"] = db.rows("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1")
    db.close()
    return found


def test_a_restore_brings_everything_back(url, call, tmp_path):
    user = live(call)
    file = tmp_path / "deep" / "a.dump"
    backups.back_up(url, file)
    before = rows(url)
    assert file.stat().st_mode & 0o077 == 0
    assert call("POST", "/user/delete", user.account()).status_code == 200
    live(call)
    backups.restore(url, file)
    assert rows(url) == before
    events = call("POST", "/events", {"users": [user.asked("s", EPOCH)]}).json["events"]
    assert len(events) == 1
    live(call)  # sequences go on
    databases = Database(url, 1, 30)
    names = [name for (name,) in databases.rows("SELECT datname FROM pg_database")]
    databases.close()
    assert not [name for name in names if name.endswith(("_restoring", "_replaced"))]


def test_clients_get_503_while_it_runs_and_never_404(url, call, tmp_path):
    """A 404 would have installed apps delete their accounts."""
    user = live(call)
    file = tmp_path / "a.dump"
    backups.back_up(url, file)
    seen: set[int] = set()
    done = threading.Event()

    def poll():
        while not done.is_set():
            seen.add(call("PUT", "/user", user.profile()).status_code)

    client = threading.Thread(target=poll)
    client.start()
    backups.restore(url, file)
    done.set()
    client.join()
    assert seen <= {200, 503}
    assert call("PUT", "/user", user.profile()).status_code == 200


@pytest.mark.parametrize("content", [b"", b"PGDMP", b"not a backup"])
def test_a_bad_file_changes_nothing(url, call, tmp_path, content):
    user = live(call)
    before = rows(url)
    file = tmp_path / "a.dump"
    file.write_bytes(content)
    with pytest.raises(BackupFailed):
        backups.restore(url, file)
    assert rows(url) == before
    assert call("PUT", "/user", user.profile()).status_code == 200


def test_a_truncated_file_changes_nothing(url, call, tmp_path):
    live(call)
    file = tmp_path / "a.dump"
    backups.back_up(url, file)
    before = rows(url)
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    with pytest.raises(BackupFailed):
        backups.restore(url, file)
    assert rows(url) == before


def test_a_missing_file_changes_nothing(url, tmp_path):
    with pytest.raises(BackupFailed):
        backups.restore(url, tmp_path / "nothing")


def test_a_backup_of_an_older_schema_is_brought_up_to_date(new_database, tmp_path):
    url = new_database()
    migrations.upgrade(url, "0002")
    file = tmp_path / "a.dump"
    backups.back_up(url, file)
    backups.restore(url, file)
    db = Database(url, 1, 30)
    assert db.rows("SELECT version_num FROM alembic_version") == [[migrations.head()]]
    db.close()


def test_a_backup_that_fails_leaves_no_file(tmp_path):
    file = tmp_path / "a.dump"
    with pytest.raises(BackupFailed):
        backups.back_up("postgresql://nobody@127.0.0.1:1/nothing", file)
    assert list(tmp_path.iterdir()) == []


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "local.backups", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True,
        timeout=WAIT_SECONDS, check=False,
    )  # fmt: skip


def test_the_command_says_what_it_did_and_what_is_wrong(url, tmp_path):
    file = str(tmp_path / "a.dump")
    assert f"backed up {urlsplit(url).path.strip('/')} to {file}" in run("backup", file, DATABASE_URL=url).stdout
    assert run("restore", file, DATABASE_URL=url).returncode == 0
    failed = run("restore", f"{file}.none", DATABASE_URL=url)
    assert (failed.returncode, failed.stderr) == (1, f"make restore: there is no file {file}.none\n")
    assert run("restore", DATABASE_URL=url).returncode == 2
