"""Rate limits: so many requests in any 24 hours, not one more and not one fewer, whatever comes at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

import migrations
from shared.data import rate_limits
from shared.data.pool import Database
from shared.errors import InvalidSetting, RateLimited
from shared.settings.environment import environment_settings
from tests.postgres_proxy import PostgresProxy
from tests.waiting import WAIT_SECONDS

DAY = timedelta(hours=24)
AT_ONCE = 50


@pytest.fixture(scope="module")
def url(new_database, database_url):
    """Return the URL of a database of the rate limits alone."""
    url = new_database()
    migrations.upgrade(database_url, rate_limit_url=url)
    return url


@pytest.fixture(scope="module")
def db(url):
    db = Database(url, AT_ONCE, 30)
    yield db
    db.close()


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Return a function that makes this process one of another environment."""

    def change(name="production", **others):
        for variable, value in ({"ENVIRONMENT": name, "TEST_MODE": ""} | others).items():
            monkeypatch.setenv(variable, value)
        environment_settings.cache_clear()

    change()
    yield change
    monkeypatch.undo()
    environment_settings.cache_clear()


@pytest.fixture
def key():
    return uuid4().hex.upper()


def fill(db, key, *ages):
    """Write a row as the original does: the instants in no order."""
    instants = [datetime.now(UTC) - age for age in ages]
    db.rows(
        "INSERT INTO rate_limit_consumptions (key, requests) VALUES (:key, CAST(:requests AS timestamptz[]))",
        key=key, requests=instants,
    )  # fmt: skip
    return instants


def recorded(db, key):
    row = db.row("SELECT requests FROM rate_limit_consumptions WHERE key = :key", key=key)
    return row[0] if row else []


def is_let_in(db, key, limit):
    try:
        rate_limits.consume(db, key, limit)
    except RateLimited:
        return False
    return True


def retry_at(db, key, limit):
    with pytest.raises(RateLimited) as refusal:
        rate_limits.consume(db, key, limit)
    return refusal.value.retry_at


@pytest.mark.parametrize("limit", [1, 2, 20, 100])
def test_exactly_the_limit_is_let_in(db, key, limit):
    assert [is_let_in(db, key, limit) for _ in range(limit + 2)] == [True] * limit + [False, False]
    assert len(recorded(db, key)) == limit


def test_keys_are_counted_apart(db, key):
    assert is_let_in(db, key, 1)
    assert is_let_in(db, f"chat:{key}", 1)
    assert not is_let_in(db, key, 1)


def test_what_is_recorded_is_now(db, key):
    before = datetime.now(UTC)
    rate_limits.consume(db, key, 20)
    (instant,) = recorded(db, key)
    assert before - timedelta(seconds=1) < instant < datetime.now(UTC) + timedelta(seconds=1)


def test_requests_older_than_24_hours_are_forgotten(db, key):
    fresh = [timedelta(hours=23, minutes=59), timedelta(hours=1)]
    fill(db, key, timedelta(hours=24, minutes=1), fresh[0], timedelta(days=400), fresh[1])
    rate_limits.consume(db, key, 3)
    assert len(recorded(db, key)) == 3
    assert min(recorded(db, key)) > datetime.now(UTC) - DAY


@pytest.mark.parametrize(
    ("limit", "ages", "oldest_that_counts"),
    [
        (1, [5], 0),
        (3, [5, 23, 1], 1),
        (3, [30, 1, 23, 5], 2),
        (2, [5, 23, 1, 7], 0),  # the limit was higher, or the original has let one more in
        (2, [1, 2, 3, 9, 4], 1),
    ],
)
def test_a_refusal_says_when_the_next_is_possible(db, key, limit, ages, oldest_that_counts):
    instants = fill(db, key, *(timedelta(hours=age) for age in ages))
    assert retry_at(db, key, limit) - DAY == instants[oldest_that_counts]
    assert sorted(recorded(db, key)) == sorted(instants)


def test_the_next_is_possible_then(db, key):
    fill(db, key, timedelta(hours=1), DAY - timedelta(seconds=1))
    moment = retry_at(db, key, 2)
    while not is_let_in(db, key, 2):
        assert datetime.now(UTC) < moment + timedelta(seconds=WAIT_SECONDS)
    assert datetime.now(UTC) >= moment


@pytest.mark.parametrize("requests", ["{}", "{NULL}", "{-infinity}", "{-infinity,NULL,2020-01-01T00:00:00Z}"])
def test_any_array_that_the_column_takes_will_do(db, key, requests):
    db.rows(
        "INSERT INTO rate_limit_consumptions VALUES (:key, CAST(:requests AS timestamptz[]))",
        key=key, requests=requests,
    )  # fmt: skip
    assert [is_let_in(db, key, 2) for _ in range(3)] == [True, True, False]
    assert retry_at(db, key, 2) > datetime.now(UTC) + DAY - timedelta(minutes=1)


@pytest.mark.parametrize("already", [None, 0, 7])
@pytest.mark.parametrize("round_number", range(5))
def test_of_50_at_once_exactly_the_limit_is_let_in(db, key, already, round_number):
    """`already`: how many the row holds before; None: there is no row."""
    if already is not None:
        fill(db, key, *[timedelta(hours=1)] * already, *[timedelta(hours=30)] * 3)
    barrier = threading.Barrier(AT_ONCE)

    def ask():
        barrier.wait()
        try:
            rate_limits.consume(db, key, 20)
        except RateLimited as refusal:
            return refusal.retry_at
        return None

    with ThreadPoolExecutor(AT_ONCE) as threads:
        answers = [future.result() for future in [threads.submit(ask) for _ in range(AT_ONCE)]]
    refusals = [moment for moment in answers if moment is not None]
    assert len(refusals) == AT_ONCE - (20 - (already or 0))
    assert len(recorded(db, key)) == 20
    first = min(recorded(db, key)) + DAY
    assert all(abs(moment - first) < timedelta(seconds=WAIT_SECONDS) for moment in refusals)


def test_a_request_is_one_statement_in_one_round_trip_whatever_it_finds(url, key):
    proxy = PostgresProxy(url)
    db = Database(proxy.url, 1, 5)
    try:
        rate_limits.consume(db, uuid4().hex, 1)  # prepares
        proxy.forget()
        assert [is_let_in(db, key, 1), is_let_in(db, key, 1)] == [True, False]
        assert (proxy.statements(), proxy.round_trips()) == (2, 2)
    finally:
        db.close()
        proxy.close()


@pytest.mark.parametrize("name", ["local", "staging"])
def test_nothing_is_counted_in_test_mode(db, key, environment, name):
    environment(name, TEST_MODE="True")
    assert [is_let_in(db, key, 1) for _ in range(3)] == [True] * 3
    assert recorded(db, key) == []


@pytest.mark.parametrize("name", ["production", ""])
def test_test_mode_is_refused_in_production_and_where_nobody_said_what_this_is(db, key, environment, name):
    environment(name, TEST_MODE="true")
    with pytest.raises(InvalidSetting, match="TEST_MODE"):
        rate_limits.consume(db, key, 1)


def test_an_unknown_environment_is_refused(db, key, environment):
    environment("prod")
    with pytest.raises(InvalidSetting, match="ENVIRONMENT"):
        rate_limits.consume(db, key, 1)
