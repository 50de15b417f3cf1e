"""What one account and one address may store; a quota is judged inside the statement that would store more.

What an account writes on a day is counted in its row, which such a statement updates anyway. Only who writes far more
than the app does has what is stored counted, too: honest accounts pay nothing for that.
"""

from shared.data.connections import Row
from shared.data.pool import Database
from shared.errors import QuotaExceeded
from shared.metrics import registry

FREE_WRITES, FREE_BYTES = 50, 4 * 1024 * 1024  # of an account on a day, for which nothing is counted


def count_old_sources(db: Database) -> int:
    """Return how many counts of sources are older than a day. The keys of such days go with them."""
    return db.count("SELECT count(*) FROM source_counts WHERE hour < now() - interval '1 day'")


def delete_old_sources(db: Database, limit: int) -> int:
    """Forget the keys of days that are over, and delete counts older than a day. Return how many those were."""
    return len(
        db.rows(
            """
            WITH forgotten AS (
                DELETE FROM source_keys WHERE day < current_date
            )
            DELETE FROM source_counts WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM source_counts WHERE hour < now() - interval '1 day' LIMIT :limit
                FOR UPDATE SKIP LOCKED))
            RETURNING true
            """,
            limit=limit,
        )
    )


def refuse_unless_stored(outcome: Row, quota: str) -> None:
    """Take what a statement says of having stored something. Raises QuotaExceeded."""
    (was_stored,) = outcome
    if not was_stored:
        refuse(quota)


def refuse(quota: str) -> None:
    """Count a refusal. Raises QuotaExceeded."""
    registry.count("liftlog_quota_refusals_total", quota=quota)
    raise QuotaExceeded(quota)
