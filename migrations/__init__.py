"""Migrations: Alembic, plain SQL. `upgrade` and `downgrade` are what `make migrate`, the server and the cloud call.

Only one migrator works at a time: it holds an advisory lock for its session. Waiting polls for it, since a session that
waits inside a statement would hold up CREATE INDEX CONCURRENTLY of the one that works.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from pg8000.dbapi import Connection as DbapiConnection
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.pool import NullPool

from migrations import grants, rate_limits
from shared.data.connections import connect
from shared.errors import DatabaseUnavailable

ADVISORY_LOCK = 7_264_531_908  # any number, the same in every release
WAIT_SECONDS = 300
LOCK_TIMEOUT_SECONDS = 5  # of one table lock: the original and older releases go on working beside a migration
STATEMENT_TIMEOUT_SECONDS = 900  # of one statement: an index over all events of a large database
ANSWER_TIMEOUT_SECONDS = STATEMENT_TIMEOUT_SECONDS + 30.0  # the server's own limit comes first
NOBODY: Mapping[str, str] = MappingProxyType({})  # has rights of a family: one owner does everything
_POLL_SECONDS = 0.2


class MigrationBusy(Exception):
    """Another migrator kept the lock for five minutes."""


def upgrade(
    url: str, revision: str = "head", *, rate_limit_url: str | None = None, users: Mapping[str, str] = NOBODY
) -> tuple[str | None, str | None]:
    """Bring the database of a `postgresql://` URL to a revision. Return the revisions before and after.

    A database that a newer release has migrated stays as it is, so that a rollback passes through its migration step.
    The rate limits' table is a part of it, and is made in the database of `rate_limit_url`, too, if that is another.
    `users`: the database user of each family, which gets the rights that it needs there (migrations/grants.py).
    Raises InvalidSetting, MigrationBusy, and DatabaseUnavailable where the database refuses or takes too long; safe to
    repeat then.
    """
    if rate_limit_url is not None and rate_limit_url != url:
        with _session(rate_limit_url) as connection:
            connection.execute(text(rate_limits.TABLE))
            grants.apply(connection, users)
            connection.commit()
    return _migrate(url, command.upgrade, revision, users)


def downgrade(url: str, revision: str) -> tuple[str | None, str | None]:
    """Take the database back to a revision or to "base". Return the revisions before and after. Raises as `upgrade`."""
    return _migrate(url, command.downgrade, revision, NOBODY)


def head() -> str | None:
    """Return the newest revision of this code."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _migrate(
    url: str, run: Callable[[Config, str], None], revision: str, users: Mapping[str, str]
) -> tuple[str | None, str | None]:
    with _session(url) as connection:
        before = _revision(connection)
        if run is command.upgrade and _is_newer(before):
            return before, before
        config = _config()
        config.attributes["connection"] = connection
        run(config, revision)
        grants.apply(connection, users)
        connection.commit()
        return before, _revision(connection)


@contextmanager
def _session(url: str) -> Iterator[Connection]:
    """Connect as the only migrator. Raises MigrationBusy, DatabaseUnavailable."""
    engine = create_engine(
        "postgresql+pg8000://",
        creator=lambda: connect(url, DbapiConnection, ANSWER_TIMEOUT_SECONDS),
        poolclass=NullPool,
    )
    try:
        with engine.connect() as connection:  # its end, whatever the reason, is the end of the advisory lock
            _limit(connection)
            _lock(connection)
            yield connection
    except DBAPIError as error:
        raise DatabaseUnavailable(f"migration: {_reason(error)}") from error
    except (PendingRollbackError, OSError) as error:  # the former is Alembic's second error after the first
        raise DatabaseUnavailable("migration: connection lost") from error


def _limit(connection: Connection) -> None:
    for setting, seconds in (("lock_timeout", LOCK_TIMEOUT_SECONDS), ("statement_timeout", STATEMENT_TIMEOUT_SECONDS)):
        connection.execute(
            text("SELECT set_config(:setting, :value, false)"), {"setting": setting, "value": f"{seconds * 1000:.0f}ms"}
        )
    connection.commit()


def _lock(connection: Connection) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": ADVISORY_LOCK}).scalar():
        connection.commit()
        if time.monotonic() > deadline:
            raise MigrationBusy(f"another migrator is at work for more than {WAIT_SECONDS} s")
        time.sleep(_POLL_SECONDS)
    connection.commit()


def _revision(connection: Connection) -> str | None:
    revision = MigrationContext.configure(connection).get_current_revision()
    connection.commit()
    return revision


def _is_newer(revision: str | None) -> bool:
    """Tell whether a revision comes after all that this code knows; they are numbers of four digits."""
    return revision is not None and revision > (head() or "")


def _reason(error: DBAPIError) -> str:
    """Return what the database said, which names tables and limits but no row's values."""
    fields = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return f"SQLSTATE {fields.get('C')}, {fields.get('M')}" if isinstance(fields, dict) else "no connection"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
