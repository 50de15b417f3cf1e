"""Cleanup: what goes, what stays, in small batches, alone and beside others, and who is asked for more."""

import threading
import time
from datetime import timedelta
from uuid import uuid4

import psutil
import pytest

from functions.cleanup import sweep
from shared.data import cleanup_runs, events, rate_limits, shared_items
from shared.settings.operation import CleanupSettings
from tests.databases import transaction
from tests.fake_google import FakeScheduler
from tests.servers import Caller, Servers
from tests.waiting import wait_for

pytestmark = pytest.mark.slow
SETTINGS = CleanupSettings(event_retention_days=30, seconds=240, job="", scheduler_endpoint="")
NAMES = {
    "user_events",
    "shared_items",
    "rate_limits",
    "unused_accounts",
    "sources",
    "chats",
    "metric_minutes",
    "metric_hours",
    "backups",
    "backup_files",
}


@pytest.fixture
def author(own_db):
    user_id = uuid4()
    own_db.rows(
        "INSERT INTO users (id, user_lookup, hashed_password, salt, last_accessed, created, encryption_iv,"
        " rsa_public_key) VALUES (:id, :lookup, '', '', now(), now(), '', '')",
        id=user_id, lookup=str(user_id),
    )  # fmt: skip
    return user_id


def put_events(db, author, count, *, stored, expiry):
    """Store events; `stored` and `expiry` are PostgreSQL's intervals from now."""
    db.rows(
        """
        INSERT INTO user_events (user_id, id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv)
        SELECT :author, gen_random_uuid(), now() + CAST(:stored AS interval), now(), now() + CAST(:expiry AS interval),
               'x', 'y'
        FROM generate_series(1, :count)
        """,
        author=author, count=count, stored=stored, expiry=expiry,
    )  # fmt: skip


def put_items(db, author, count, *, expiry):
    db.rows(
        """
        INSERT INTO shared_items (id, user_id, timestamp, expiry, encrypted_payload, encryption_iv)
        SELECT gen_random_uuid()::text, :author, now(), now() + CAST(:expiry AS interval), 'x', 'y'
        FROM generate_series(1, :count)
        """,
        author=author, count=count, expiry=expiry,
    )  # fmt: skip


def put_rate_limit(db, *ages):
    db.rows(
        "INSERT INTO rate_limit_consumptions (key, requests) VALUES (:key, array(SELECT now() - CAST(age AS interval)"
        " FROM unnest(CAST(:ages AS text[])) AS age))",
        key=uuid4().hex, ages=list(ages),
    )  # fmt: skip


def left(db, table):
    return db.rows(f"SELECT count(*) FROM {table}")[0][0]


@pytest.fixture
def filled(own_db, author):
    """Seven of what goes, one of each that stays."""
    put_events(own_db, author, 3, stored="-31 days", expiry="-1 second")
    put_events(own_db, author, 1, stored="-29 days", expiry="-1 second")  # expired, but stored lately
    put_events(own_db, author, 1, stored="-100 days", expiry="1 hour")
    put_items(own_db, author, 2, expiry="-1 second")
    put_items(own_db, author, 1, expiry="1 hour")
    put_rate_limit(own_db, "25 hours", "3 days")
    put_rate_limit(own_db)
    put_rate_limit(own_db, "25 hours", "23 hours")
    return own_db


@pytest.fixture
def clean(own_url):
    """Return a function that calls the cleanup, in its own function."""
    with Servers(own_url, ENVIRONMENT="local") as servers:
        yield Caller(servers, alone=True)


def test_whatever_has_an_expiry_is_removed_by_it(db):
    rows = db.rows(
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'expiry'"
    )
    assert {table for (table,) in rows} <= NAMES, "functions/cleanup/sweep.py: a task for each"


def test_what_expired_goes_and_all_else_stays(filled, clean):
    answer = clean("POST", "/cleanup", {}).json
    assert answer["deleted"] == dict.fromkeys(NAMES, 0) | {"user_events": 3, "shared_items": 2, "rate_limits": 2}
    assert (answer["remaining"], answer["dry_run"]) == (False, False)
    assert answer["duration_ms"] >= 0
    assert [left(filled, table) for table in ("user_events", "shared_items", "rate_limit_consumptions")] == [2, 1, 1]
    assert left(filled, "users") == 1


def test_a_dry_run_counts_and_removes_nothing(filled, clean):
    answer = clean("POST", "/cleanup", {"dry_run": True}).json
    assert answer["dry_run"] is answer["remaining"] is True
    assert answer["deleted"]["user_events"] == 3
    assert left(filled, "user_events") == 5
    assert clean("POST", "/cleanup", {"dryRun": False}).json["deleted"] == answer["deleted"]


def test_gcloud_functions_call_reaches_it_at_the_root(filled, clean):
    server = clean.server("/cleanup")
    answer = clean.at(server.url, "POST", "/", {"dry_run": True})
    assert answer.json["deleted"]["shared_items"] == 2


@pytest.mark.parametrize("body", [{"dry_run": "yes"}, {"limit": 0}, {"limit": 1.5}, {"limit": "1"}, {"limit": -1}])
def test_bad_options_remove_nothing(filled, clean, body):
    assert clean("POST", "/cleanup", body).status_code == 400
    assert left(filled, "user_events") == 5


def test_a_run_is_recorded(filled, clean):
    clean("POST", "/cleanup", {"dry_run": True})
    clean("POST", "/cleanup", {})
    first, last = filled.rows("SELECT dry_run, deleted, finished - started FROM cleanup_runs ORDER BY id")
    assert (first[0], last[0]) == (True, False)
    assert last[1]["user_events"] == 3
    assert timedelta() <= last[2] < timedelta(minutes=1)


def test_old_records_go(filled):
    for _ in range(3):
        cleanup_runs.put(filled, dry_run=False, deleted={}, remaining=False, seconds=1.5)
    filled.rows("UPDATE cleanup_runs SET id = DEFAULT WHERE false")
    filled.rows("SELECT setval(pg_get_serial_sequence('cleanup_runs', 'id'), :to)", to=cleanup_runs.KEPT + 2)
    cleanup_runs.put(filled, dry_run=False, deleted={}, remaining=False, seconds=1.5)
    assert left(filled, "cleanup_runs") == 1


def test_a_retention_of_nothing_means_at_expiry(filled, own_url):
    with Servers(own_url, ENVIRONMENT="local", EVENT_RETENTION_DAYS="0") as servers:
        assert Caller(servers, alone=True)("POST", "/cleanup", {}).json["deleted"]["user_events"] == 4


def test_the_limit_ends_a_run_and_the_rest_is_told(filled, clean):
    answer = clean("POST", "/cleanup", {"limit": 4}).json
    assert sum(answer["deleted"].values()) == 4
    assert answer["remaining"] is True
    assert sum(clean("POST", "/cleanup", {}).json["deleted"].values()) == 3


def test_a_run_asks_for_another_one_when_something_is_left(filled, own_url):
    with (
        FakeScheduler() as scheduler,
        Servers(
            own_url, ENVIRONMENT="local", CLEANUP_JOB=FakeScheduler.NAME, CLOUD_SCHEDULER_ENDPOINT=scheduler.url
        ) as servers,
    ):
        call = Caller(servers, alone=True)
        call("POST", "/cleanup", {"dry_run": True})
        assert scheduler.runs == 0
        call("POST", "/cleanup", {"limit": 1})
        assert scheduler.runs == 1
        scheduler.fails = True
        assert call("POST", "/cleanup", {"limit": 1}).status_code == 200  # the next hour comes anyway
        scheduler.fails = False
        call("POST", "/cleanup", {})
        assert scheduler.runs == 1


def test_a_run_ends_before_its_time_out(own_db, author):
    """Each batch takes as long as it takes; then the run is over, and says that something is left."""
    put_events(own_db, author, 5 * sweep.BATCH_ROWS, stored="-31 days", expiry="-1 second")
    work = [
        sweep.Task(
            "user_events",
            lambda: events.count_expired(own_db, sweep.METRICS_TO_HOURS),
            lambda limit: events.delete_expired(own_db, sweep.METRICS_TO_HOURS, limit),
        )
    ]
    outcome = sweep.run(work, limit=10**9, seconds=0.0)
    assert outcome.deleted == {"user_events": sweep.BATCH_ROWS}
    assert outcome.remaining is True
    assert sweep.run(work, limit=10**9, seconds=60).deleted == {"user_events": 4 * sweep.BATCH_ROWS}


def test_batches_have_pauses_between_them_twice_as_long_as_they_took():
    took = []

    def delete(_limit):
        start = time.monotonic()
        while time.monotonic() < start + 0.02:
            pass
        took.append(time.monotonic() - start)
        return sweep.BATCH_ROWS if len(took) < 5 else 0

    start = time.monotonic()
    sweep.run([sweep.Task("rows", lambda: 0, delete)], limit=10**9, seconds=60)
    assert time.monotonic() - start >= sum(took) + 2 * sum(took[:4])


def test_two_runs_at_once_share_the_work(own_db, own_url, author):
    count = 6 * sweep.BATCH_ROWS
    put_events(own_db, author, count, stored="-31 days", expiry="-1 second")
    with Servers(own_url, ENVIRONMENT="local") as servers:
        call = Caller(servers, alone=False)
        call("GET", "/health")
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(call("POST", "/cleanup", {}).json)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(answer["deleted"]["user_events"] for answer in answers) == count
    assert left(own_db, "user_events") == 0


def call_in_vain(call):
    with pytest.raises(OSError):  # noqa: PT011 - whatever a connection says that ends
        call("POST", "/cleanup", {})


def test_a_run_that_is_killed_has_done_what_it_did(own_db, own_url, author):
    put_events(own_db, author, 30 * sweep.BATCH_ROWS, stored="-31 days", expiry="-1 second")
    with Servers(own_url, ENVIRONMENT="local") as servers:
        call = Caller(servers, alone=False)
        server = servers["gateway"]
        killed = threading.Thread(target=lambda: call_in_vain(call))
        killed.start()
        wait_for(lambda: left(own_db, "user_events") < 30 * sweep.BATCH_ROWS)
        for process in psutil.Process(server.process.pid).children():
            process.kill()
        server.process.kill()
        killed.join()
    assert left(own_db, "user_events") % sweep.BATCH_ROWS == 0
    with Servers(own_url, ENVIRONMENT="local") as servers:
        Caller(servers, alone=True)("POST", "/cleanup", {})
    assert left(own_db, "user_events") == 0


@pytest.mark.parametrize("table", ["user_events", "shared_items", "rate_limit_consumptions"])
def test_a_row_that_somebody_holds_is_left_for_the_next_run(filled, own_url, table):
    """The cleanup waits for nobody, and nobody's write is lost to it."""
    delete = {
        "user_events": lambda: events.delete_expired(filled, sweep.METRICS_TO_HOURS, 100),
        "shared_items": lambda: shared_items.delete_expired(filled, 100),
        "rate_limit_consumptions": lambda: rate_limits.delete_stale(filled, 100),
    }[table]
    with transaction(own_url, f"SELECT FROM {table} FOR UPDATE"):
        assert delete() == 0
    assert delete() > 0


def test_metric_minutes_are_folded_by_it(own_db, clean):
    own_db.rows(
        "INSERT INTO metric_buckets SELECT now() - n * interval '1 minute' - interval '2 days', gen_random_uuid(),"
        " '{\"a\": 1}', '{}' FROM generate_series(1, 50) AS n"
    )
    assert clean("POST", "/cleanup", {}).json["deleted"]["metric_minutes"] == 50
    assert own_db.rows("SELECT sum(CAST(counts ->> 'a' AS float8)) FROM metric_buckets")[0][0] == 50
    assert clean("POST", "/cleanup", {}).json["deleted"]["metric_minutes"] == 0
