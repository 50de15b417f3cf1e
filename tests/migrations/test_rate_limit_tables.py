"""The rate limits' table: in the service's database or in another, made here or by the original; every row is kept."""

from datetime import UTC, datetime, timedelta

import pytest

import migrations
from functions.migrate import main as migrate_function
from shared.data import database as service_database
from shared.data import rate_limit_database, rate_limits
from shared.data.pool import Database
from shared.errors import DatabaseUnavailable
from shared.settings.database import database_settings
from shared.settings.environment import environment_settings
from tests.migrations.test_migrations import database, make_migrate

ORIGINAL = [
    """CREATE TABLE "__EFMigrationsHistory" (
           "MigrationId" character varying(150) NOT NULL,
           "ProductVersion" character varying(32) NOT NULL,
           CONSTRAINT "PK___EFMigrationsHistory" PRIMARY KEY ("MigrationId"))""",
    """INSERT INTO "__EFMigrationsHistory" VALUES ('20240115012913_SnakeCase', '8.0.0')""",
    """CREATE TABLE rate_limit_consumptions (
           key text NOT NULL,
           requests timestamp with time zone[] NOT NULL,
           CONSTRAINT pk_rate_limit_consumptions PRIMARY KEY (key))""",
]


@pytest.fixture
def url(new_database):
    """Return the URL of an empty database of the service."""
    return new_database()


@pytest.fixture
def other(new_database):
    """Return the URL of an empty database of the rate limits."""
    return new_database()


@pytest.fixture
def settings(monkeypatch):
    """Return a function that sets the databases of this process."""

    def change(url, rate_limit_url=""):
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("RATE_LIMIT_DATABASE_URL", rate_limit_url)
        monkeypatch.setenv("ENVIRONMENT", "production")
        for cached in (database_settings, environment_settings, service_database, rate_limit_database):
            cached.cache_clear()

    yield change
    rate_limit_database().close()
    service_database().close()
    monkeypatch.undo()
    for cached in (database_settings, environment_settings, service_database, rate_limit_database):
        cached.cache_clear()


def table(db: Database) -> list[list[object]]:
    """Everything that makes two tables equal; empty if there is none."""
    return db.rows(
        """SELECT column_name, udt_name, is_nullable, column_default,
                  (SELECT json_agg(conname || pg_get_constraintdef(oid))::text FROM pg_constraint
                   WHERE conrelid = 'rate_limit_consumptions'::regclass AND contype = 'p')
           FROM information_schema.columns WHERE table_name = 'rate_limit_consumptions' ORDER BY ordinal_position"""
    )


def made_by_the_original(url):
    """Make the original's database of rate limits, with a row, and return what is in it."""
    db = database(url)
    for statement in ORIGINAL:
        db.rows(statement)
    now = datetime.now(UTC)
    db.rows(
        "INSERT INTO rate_limit_consumptions VALUES ('A1', CAST(:requests AS timestamptz[])), ('B2', '{}')",
        requests=[now - timedelta(hours=1), now - timedelta(days=3), now],
    )
    return contents(db)


def contents(db):
    return [
        db.rows('SELECT "MigrationId", "ProductVersion" FROM "__EFMigrationsHistory"'),
        db.rows("SELECT key, requests FROM rate_limit_consumptions ORDER BY key"),
    ]


def test_it_is_made_in_the_services_database(url):
    migrations.upgrade(url)
    rate_limits.consume(database(url), "C3", 20)


def test_it_is_made_in_a_database_of_its_own_and_nothing_else_there(url, other):
    migrations.upgrade(url, rate_limit_url=other)
    assert database(other).rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'") == [
        ["rate_limit_consumptions"]
    ]
    assert table(database(url)) == table(database(other))


def test_the_services_database_named_twice_is_one(url):
    assert migrations.upgrade(url, rate_limit_url=url) == (None, migrations.head())
    assert table(database(url))


@pytest.mark.parametrize("shared", [True, False], ids=["the service's database", "a database of its own"])
def test_what_the_original_made_is_adopted_with_every_row(new_database, url, shared):
    adopted = url if shared else new_database()
    before = made_by_the_original(adopted)
    columns = table(database(adopted))
    for _ in range(2):
        migrations.upgrade(url, rate_limit_url=adopted)
        assert contents(database(adopted)) == before
        assert table(database(adopted)) == columns
    built = new_database()
    migrations.upgrade(built)
    assert table(database(built)) == columns


def test_what_the_original_counted_still_counts(url, other, settings):
    made_by_the_original(other)
    migrations.upgrade(url, rate_limit_url=other)
    settings(url, other)
    rate_limits.consume(rate_limit_database(), "A1", 3)
    assert [row[0] for row in contents(database(other))[1]] == ["A1", "B2"]
    assert [len(row[1]) for row in contents(database(other))[1]] == [3, 0]


def test_it_stays_when_the_services_database_goes_back(url):
    before = made_by_the_original(url)
    migrations.upgrade(url)
    migrations.downgrade(url, "base")
    assert contents(database(url)) == before
    migrations.upgrade(url)
    assert contents(database(url)) == before


def test_one_database_means_one_pool(url, other, settings):
    settings(url)
    assert rate_limit_database() is service_database()
    settings(url, other)
    assert rate_limit_database() is not service_database()


def test_the_function_migrates_both(url, other, settings):
    settings(url, other)
    assert migrate_function.post_migrate() == {"before": None, "after": migrations.head()}
    assert table(database(other))


def test_make_migrate_migrates_both(url, other):
    assert make_migrate(DATABASE_URL=url, RATE_LIMIT_DATABASE_URL=other).returncode == 0
    assert table(database(other))


def test_a_database_of_rate_limits_that_nobody_runs_is_named_as_the_cause(url):
    with pytest.raises(DatabaseUnavailable, match="migration"):
        migrations.upgrade(url, rate_limit_url="postgresql://nobody@127.0.0.1:1/x")
