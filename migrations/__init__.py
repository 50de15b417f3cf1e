"""Migrations: Alembic, plain SQL. `upgrade` and `downgrade` are what `make migrate`, the server and the cloud call.

Only one migrator works at a time: it holds an advisory lock for its session. Waiting polls for it, since a session that
waits inside a statement would hold up CREATE INDEX CONCURRENTLY of the one that works.
"""

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from pg8000.dbapi import Connection as DbapiConnection
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from shared.data.connections import connect

ADVISORY_LOCK = 7_264_531_908  # any number, the same in every release
WAIT_SECONDS = 300
LOCK_TIMEOUT = "5s"  # of one table lock: the original and older releases go on working beside a migration
STATEMENT_TIMEOUT = "15min"  # of one statement: an index over all events of a large database
_POLL_SECONDS = 0.2


class MigrationBusy(Exception):
    """Another migrator kept the lock for five minutes."""


def upgrade(url: str, revision: str = "head") -> tuple[str | None, str | None]:
    """Bring the database of a `postgresql://` URL to a revision. Return the revisions before and after."""
    return _migrate(url, command.upgrade, revision)


def downgrade(url: str, revision: str) -> tuple[str | None, str | None]:
    """Take the database back to a revision. Return the revisions before and after."""
    return _migrate(url, command.downgrade, revision)


def head() -> str | None:
    """Return the newest revision of this code."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _migrate(url: str, run: Callable[[Config, str], None], revision: str) -> tuple[str | None, str | None]:
    engine = create_engine(
        "postgresql+pg8000://", creator=lambda: connect(urlsplit(url), DbapiConnection), poolclass=NullPool
    )
    config = _config()
    with engine.connect() as connection:  # its end, whatever the reason, is the end of the advisory lock
        for setting, value in (("lock_timeout", LOCK_TIMEOUT), ("statement_timeout", STATEMENT_TIMEOUT)):
            connection.execute(text("SELECT set_config(:setting, :value, false)"), {"setting": setting, "value": value})
        _lock(connection)
        before = _revision(connection)
        config.attributes["connection"] = connection
        run(config, revision)
        return before, _revision(connection)


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


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
