"""Whether the database can serve: reachable, and migrated far enough for this code."""

from shared.data.pool import Database
from shared.errors import DatabaseUnavailable


def check(db: Database) -> None:
    """Return if accounts can be read. Raises DatabaseUnavailable."""
    if db.row("SELECT EXISTS (SELECT verifier, last_event_at FROM users)", repeatable=True) is None:
        raise DatabaseUnavailable("no answer")
