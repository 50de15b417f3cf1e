"""Migrations: from nothing, from the original's database, back again, beside writers and beside each other."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

import migrations
from functions.migrate import main as migrate_function
from shared.credentials import Credentials
from shared.data import connections, events, inboxes, users
from shared.data.pool import Database
from shared.errors import DatabaseUnavailable, Overloaded, WrongPassword
from shared.passwords import LegacyHash
from shared.settings.database import database_settings
from tests.databases import transaction
from tests.migrations import original
from tests.migrations.original import Account
from tests.servers import Server
from tests.waiting import WAIT_SECONDS, wait_for

ROOT = Path(__file__).parent.parent.parent
HEAD = max(path.name[:4] for path in (ROOT / "migrations" / "versions").glob("[0-9]*.py"))
SERVERS = ["default", *(["postgres15"] if "TEST_DATABASE_URL_POSTGRES15" in os.environ else [])]
NO_HASH = LegacyHash("00", b"")


@cache
def accounts() -> list[Account]:
    """Two accounts whose passwords can be used, and two more."""
    return [
        original.new_account(),
        original.new_account(),
        original.new_account(NO_HASH),
        original.new_account(NO_HASH),
    ]


@pytest.fixture(params=SERVERS)
def empty(request: pytest.FixtureRequest, new_database: Callable[..., str]) -> str:
    """Return the URL of an empty database."""
    return new_database(request.param)


@pytest.fixture(params=original.HISTORIES)
def adopted(request: pytest.FixtureRequest, empty: str) -> str:
    """Return the URL of a database of the original with rows in every table, at one of its histories."""
    fill(empty, request.param)
    return empty


@pytest.fixture
def filled(new_database: Callable[..., str]) -> str:
    """Return the URL of a database of the original with rows in every table."""
    url = new_database()
    fill(url, "now")
    return url


def fill(url: str, history: str) -> None:
    original.create_tables(database(url), history)
    original.fill(database(url), accounts())


@cache
def database(url: str) -> Database:
    return Database(url, 4, 10)


def schema(db: Database) -> dict[str, Any]:
    """Everything that makes two schemas equal, without the tables in which each backend keeps its own history.

    And without that of the rate limits, which the original has in another database, and which no downgrade removes.
    """
    ours = "NOT IN ('alembic_version', '__EFMigrationsHistory', 'rate_limit_consumptions')"
    return {
        "columns": db.rows(
            f"""SELECT table_name, column_name, udt_name, character_maximum_length, is_nullable, column_default
                FROM information_schema.columns WHERE table_schema = 'public' AND table_name {ours}
                ORDER BY table_name, ordinal_position"""
        ),
        "indexes": db.rows(
            f"SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename {ours} ORDER BY 1"
        ),
        "constraints": db.rows(
            f"""SELECT conname, pg_get_constraintdef(pg_constraint.oid)
                FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
                WHERE pg_constraint.connamespace = 'public'::regnamespace AND contype <> 'n' AND relname {ours}
                ORDER BY 1"""  # NOT NULL is in the columns, for PostgreSQL 15, too
        ),
        "sequences": db.rows("SELECT sequencename, data_type::text FROM pg_sequences ORDER BY 1"),
        "invalid": db.rows("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"),
    }


def original_works(db: Database) -> None:
    """The original goes through an account's life, with statements that name only its own columns."""
    account = original.new_account(NO_HASH)
    before = original.rows(db)
    original.fill(db, [account])
    original.put_profile(db, account)
    original.insert_event(db, account, expiry=datetime.now(UTC))
    written = original.rows(db)
    assert [len(written[table]) - len(before[table]) for table in original.COLUMNS] == [0, 1, 4, 4, 2, 1]
    original.delete_user(db, account)
    assert original.rows(db) == before


def column(db: Database, name: str, account: Account) -> Any:
    return db.rows(f"SELECT {name} FROM users WHERE id = :id", id=account.id)[0][0]


def event() -> events.Event:
    return events.Event(uuid4(), b"event", bytes(16), datetime.now(UTC) + timedelta(days=1))


def waiting_pid(db: Database, statement: str, seconds: float) -> int:
    """Return the migrator's backend, once it has waited so long for a lock in such a statement."""
    return int(
        wait_for(
            lambda: db.row(
                """SELECT pid FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock' AND query ~ :statement
                       AND query_start < clock_timestamp() - CAST(:seconds AS float) * interval '1 second'""",
                statement=r"^\s*" + statement,
                seconds=seconds,
            )
        )[0]
    )


# from nothing, and from the original's database


def test_head_is_the_newest_version():
    assert migrations.head() == HEAD


def test_an_empty_database_is_built(empty):
    assert migrations.upgrade(empty) == (None, HEAD)
    db = database(empty)
    new = users.create(db, address=None)
    events.put(db, Credentials(new.user_id, new.password), event())
    assert schema(db)["invalid"] == []


def test_a_second_upgrade_does_nothing(empty):
    migrations.upgrade(empty)
    before = schema(database(empty))
    assert migrations.upgrade(empty) == (HEAD, HEAD)
    assert schema(database(empty)) == before


def test_an_adopted_database_keeps_every_row(adopted):
    before = original.rows(database(adopted))
    assert migrations.upgrade(adopted) == (None, HEAD)
    assert original.rows(database(adopted)) == before
    assert all(before.values())


def test_an_adopted_database_has_the_schema_of_a_built_one(adopted, new_database):
    migrations.upgrade(adopted)
    built = new_database()
    migrations.upgrade(built)
    assert schema(database(adopted)) == schema(database(built))


def test_the_first_version_builds_what_the_original_builds(empty, filled):
    migrations.upgrade(empty, "0001")
    assert schema(database(empty)) == schema(database(filled))


def test_the_original_works_on_an_adopted_database(adopted):
    migrations.upgrade(adopted)
    original_works(database(adopted))


def test_the_original_works_on_a_built_database(empty):
    original.create_tables(database(empty), "now")
    migrations.upgrade(empty)
    original_works(database(empty))


def test_a_user_of_the_original_logs_in_and_gets_a_verifier(adopted):
    migrations.upgrade(adopted)
    db, account = database(adopted), accounts()[0]
    credentials = Credentials(account.id, account.password)
    with pytest.raises(WrongPassword):
        events.put(db, Credentials(account.id, accounts()[1].password), event())
    assert column(db, "verifier", account) is None
    events.put(db, credentials, event())
    assert column(db, "verifier", account) == credentials.verifier()
    assert column(db, "hashed_password", account) == account.legacy.hashed_password


def test_messages_from_before_come_first(filled):
    migrations.upgrade(filled)
    db, account = database(filled), accounts()[0]
    old = {str(row[0]) for row in db.rows("SELECT id FROM user_inbox_items WHERE user_id = :id", id=account.id)}
    inboxes.put(db, recipient_id=account.id, chunks=[b"new"], address=None)
    original.insert_message(db, account, [b"newer, by the original"])
    taken = json.loads(inboxes.take(db, Credentials(account.id, account.password)))
    assert {message["id"] for message in taken[:2]} == old
    assert [b64decode(message["encryptedMessage"][0]) for message in taken[2:]] == [b"new", b"newer, by the original"]


# back again


def test_every_step_down_and_up_keeps_the_rows_and_the_original_working(adopted):
    db = database(adopted)
    rows, first = original.rows(db), schema(db)
    migrations.upgrade(adopted)
    newest, revision = schema(db), migrations.head()
    while revision is not None:
        before, revision = migrations.downgrade(adopted, "-1")
        assert before != revision
        assert original.rows(db) == rows
        original_works(db)
    assert schema(db) == first
    while revision != HEAD:
        _, revision = migrations.upgrade(adopted, "+1")
        assert original.rows(db) == rows
        original_works(db)
    assert schema(db) == newest


def test_a_login_works_again_after_down_and_up(filled):
    migrations.upgrade(filled)
    db, account = database(filled), accounts()[1]
    credentials = Credentials(account.id, account.password)
    events.put(db, credentials, event())
    migrations.downgrade(filled, "base")
    migrations.upgrade(filled)
    assert column(db, "verifier", account) is None
    events.put(db, credentials, event())
    assert column(db, "verifier", account) == credentials.verifier()


def test_a_database_of_a_newer_release_stays_as_it_is(empty):
    migrations.upgrade(empty)
    database(empty).rows("UPDATE alembic_version SET version_num = '9999'")
    before = schema(database(empty))
    assert migrations.upgrade(empty) == ("9999", "9999")
    assert schema(database(empty)) == before


# beside writers


def test_the_original_goes_on_writing_during_a_migration(filled):
    db = database(filled)
    account, stop = accounts()[0], threading.Event()

    def write() -> int:
        written = 0
        while not stop.is_set():
            original.insert_message(db, account, [b"x"])
            original.insert_event(db, account, expiry=datetime.now(UTC))
            written += 1
        return written

    before = original.rows(db)
    with ThreadPoolExecutor(3) as executor:
        writers = [executor.submit(write) for _ in range(3)]
        try:
            migrations.upgrade(filled)
        finally:
            stop.set()
        written = sum(writer.result() for writer in writers)
    after = original.rows(db)
    assert written
    assert len(after["user_inbox_items"]) - len(before["user_inbox_items"]) == written
    assert len(after["user_events"]) - len(before["user_events"]) == written


@pytest.mark.parametrize(
    ("setting", "sqlstate"), [("LOCK_TIMEOUT_SECONDS", "55P03"), ("STATEMENT_TIMEOUT_SECONDS", "57014")]
)
def test_a_locked_table_ends_the_migration_and_a_later_one_works(filled, monkeypatch, setting, sqlstate):
    with monkeypatch.context() as patch, transaction(filled, "LOCK TABLE users IN ACCESS SHARE MODE"):
        patch.setattr(migrations, setting, 0.2)
        with pytest.raises(DatabaseUnavailable, match=sqlstate):
            migrations.upgrade(filled)
    assert migrations.upgrade(filled) == ("0001", HEAD)
    original_works(database(filled))


def test_a_statement_may_take_longer_than_connecting(filled, monkeypatch):
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT_SECONDS", 0.3)
    with ThreadPoolExecutor(1) as executor:
        with transaction(filled, "LOCK TABLE users IN ACCESS SHARE MODE"):
            migrated = executor.submit(migrations.upgrade, filled)
            waiting_pid(database(filled), "ALTER TABLE users", 0.5)
        assert migrated.result() == (None, HEAD)


def test_an_index_waits_for_old_transactions_longer_than_for_locks(filled, monkeypatch):
    migrations.upgrade(filled, "0003")
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_SECONDS", 0.1)
    with ThreadPoolExecutor(1) as executor:
        with transaction(filled, "UPDATE user_events SET timestamp = timestamp"):
            migrated = executor.submit(migrations.upgrade, filled)
            waiting_pid(database(filled), "CREATE INDEX", 0.4)
        assert migrated.result() == ("0003", HEAD)


def test_an_interrupted_index_is_built_again(filled):
    migrations.upgrade(filled, "0003")
    db = database(filled)
    with transaction(filled, "UPDATE user_events SET timestamp = timestamp"), ThreadPoolExecutor(1) as executor:
        migrated = executor.submit(migrations.upgrade, filled)
        db.rows("SELECT pg_terminate_backend(:pid)", pid=waiting_pid(db, "CREATE INDEX", 0))
        with pytest.raises(DatabaseUnavailable):
            migrated.result()
    assert schema(db)["invalid"] == [["ix_user_events_user_id_timestamp"]]
    assert migrations.upgrade(filled) == ("0003", HEAD)
    assert schema(db)["invalid"] == []


# beside each other


def test_several_migrators_at_once_are_safe(filled):
    barrier = threading.Barrier(4)

    def migrate() -> tuple[str | None, str | None]:
        barrier.wait(WAIT_SECONDS)
        return migrations.upgrade(filled)

    with ThreadPoolExecutor(4) as executor:
        outcomes = [outcome.result() for outcome in [executor.submit(migrate) for _ in range(4)]]
    assert sorted(outcomes, key=str) == [(HEAD, HEAD)] * 3 + [(None, HEAD)]


def test_a_migrator_waits_for_another_one(empty, monkeypatch):
    monkeypatch.setattr(migrations, "_POLL_SECONDS", 0.001)  # so that its tries are seen
    db = database(empty)
    tried = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%pg_try_advisory%'"
    with ThreadPoolExecutor(1) as executor:
        with transaction(empty, f"SELECT pg_advisory_xact_lock({migrations.ADVISORY_LOCK})"):
            migrated = executor.submit(migrations.upgrade, empty)
            wait_for(lambda: db.row(f"{tried} AND pid <> pg_backend_pid()") is not None)
            assert db.rows("SELECT to_regclass('users')::text") == [[None]]
            assert not migrated.done()
        assert migrated.result() == (None, HEAD)


def test_a_migrator_gives_up_waiting(empty, monkeypatch):
    monkeypatch.setattr(migrations, "WAIT_SECONDS", 0.1)
    with (
        transaction(empty, f"SELECT pg_advisory_xact_lock({migrations.ADVISORY_LOCK})"),
        pytest.raises(migrations.MigrationBusy),
    ):
        migrations.upgrade(empty)
    assert migrations.upgrade(empty) == (None, HEAD)


def test_a_migrator_that_fails_lets_the_next_one_in(filled, monkeypatch):
    database(filled).rows("ALTER TABLE users ADD COLUMN verifier text")
    monkeypatch.setattr(migrations, "WAIT_SECONDS", 0.5)
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable, match="42701"):
            migrations.upgrade(filled)
    database(filled).rows("ALTER TABLE users DROP COLUMN verifier")
    assert migrations.upgrade(filled) == ("0001", HEAD)


@pytest.mark.parametrize("url", ["postgresql://nobody@127.0.0.1:1/x", "postgresql://x@/x?host=/nowhere"])
def test_a_database_out_of_reach_is_unavailable(url):
    with pytest.raises(DatabaseUnavailable):
        migrations.upgrade(url)


# the function in the cloud


@pytest.fixture(scope="module")
def function(new_database: Callable[..., str]) -> Iterator[Server]:
    server = Server("migrate", DATABASE_URL=new_database(), OPERATOR_IAM="true")
    yield server
    with suppress(ProcessLookupError):
        server.stop()


def test_the_function_migrates_however_it_is_called(function):
    answers = [
        requests.post(function.url + path, json=body, timeout=WAIT_SECONDS)
        for path, body in (("/", {}), ("/migrate", {}), ("/", {"route": "POST /migrate"}))
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[0].json() == {"before": None, "after": HEAD}
    assert answers[1].json() == answers[2].json() == {"before": HEAD, "after": HEAD}


def test_the_function_answers_503_when_the_database_refuses(filled):
    database(filled).rows("ALTER TABLE users ADD COLUMN verifier text")
    server = Server("migrate", DATABASE_URL=filled, OPERATOR_IAM="true")
    try:
        answer = requests.post(server.url, json={}, timeout=WAIT_SECONDS)
    finally:
        server.stop()
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:liftlog:problem:database-unavailable"
    assert "42701" not in answer.text
    assert "Traceback" not in answer.text


def test_the_function_is_overloaded_while_another_migrator_is_at_work(empty, monkeypatch):
    monkeypatch.setattr(migrations, "WAIT_SECONDS", 0)
    monkeypatch.setenv("DATABASE_URL", empty)
    database_settings.cache_clear()
    try:
        with (
            transaction(empty, f"SELECT pg_advisory_xact_lock({migrations.ADVISORY_LOCK})"),
            pytest.raises(Overloaded),
        ):
            migrate_function.post_migrate()
    finally:
        database_settings.cache_clear()


# make migrate


def make_migrate(**environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "DATA_DIR", "PORT"}}
    return subprocess.run(
        [sys.executable, "-m", "local.migrate"],
        cwd=ROOT,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


def test_make_migrate_runs_the_command_tested_here():
    printed = subprocess.run(["make", "-n", "migrate"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "-m local.migrate" in printed


def test_make_migrate_names_the_revisions(new_database):
    url = new_database()
    assert make_migrate(DATABASE_URL=url).stdout == f"schema none → {HEAD}\n"
    assert make_migrate(DATABASE_URL=url).stdout == f"schema {HEAD}\n"


def test_make_migrate_says_in_one_line_what_is_wrong():
    outcome = make_migrate(DATABASE_URL="postgresql://nobody@127.0.0.1:1/x")
    assert outcome.returncode == 1
    assert outcome.stderr.count("\n") == 1
    assert outcome.stderr.startswith("make migrate: ")


def test_make_migrate_works_on_the_embedded_database(data_dir):
    first, second = make_migrate(DATA_DIR=str(data_dir)), make_migrate(DATA_DIR=str(data_dir))
    assert first.stdout.endswith(f"schema none → {HEAD}\n")
    assert second.stdout == f"schema {HEAD}\n"
    assert [first.returncode, second.returncode] == [0, 0]
    assert not (data_dir / "postgres" / "postmaster.pid").exists()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """Return a folder's path that PostgreSQL's own account can reach when the tests run as root."""
    with tempfile.TemporaryDirectory(prefix="liftlog-test-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "data"
