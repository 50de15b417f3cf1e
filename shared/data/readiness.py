"""Whether the database can serve: reachable, and migrated far enough for this code."""

from shared.data.pool import Database
from shared.errors import DatabaseUnavailable

NEWEST_COLUMNS = ("verifier", "last_event_at")  # of accounts, that this code cannot do without


def check(db: Database) -> None:
    """Return if there are accounts as this code knows them. Raises DatabaseUnavailable.

    It asks the catalogue, which everybody may read: who only asks this needs no right to read accounts.
    """
    known = db.count(
        """
        SELECT count(*) FROM pg_attribute
        WHERE attrelid = to_regclass('users') AND attname = ANY(CAST(:columns AS name[])) AND NOT attisdropped
        """,
        columns=f"{{{','.join(NEWEST_COLUMNS)}}}",
    )
    if known < len(NEWEST_COLUMNS):
        raise DatabaseUnavailable("the database is not migrated")


def versions(db: Database) -> tuple[str, str]:
    """Return the schema's revision ("none" before the first migration), and PostgreSQL's version, like "18.1"."""
    ((revision, version),) = db.rows(
        "SELECT (SELECT max(version_num) FROM alembic_version), current_setting('server_version')", repeatable=True
    )
    return str(revision or "none"), str(version).split(" ", maxsplit=1)[0]
