"""Table `rate_limit_consumptions`: when each token was used within the last 24 hours, in the rate limits' database.

It is the original backend's table, and both may count in it at once: the instants of a row are in any order, and some
may be older than that.
"""

from shared.data.pool import Database
from shared.errors import DatabaseUnavailable, RateLimited
from shared.metrics import registry
from shared.settings.environment import environment_settings


def consume(db: Database, key: str, limit: int) -> None:
    """Record a request, if fewer than `limit` were recorded under the key in the last 24 hours. Raises RateLimited.

    Each kind of request that is counted by itself needs keys of its own, like "chat:" before a subscriber's. In
    TEST_MODE nothing is counted. Not repeated when the connection breaks: the request would count twice.
    """
    if environment_settings().test_mode:
        return
    # Whoever is refused reads the row again under its lock, since the statement's snapshot may be older than those who
    # were let in meanwhile. Only a row that is younger than the snapshot stays unseen; its instants are of this moment.
    row = db.row(
        """
        WITH recorded AS (
            INSERT INTO rate_limit_consumptions AS consumption (key, requests)
            VALUES (:key, ARRAY[clock_timestamp()])
            ON CONFLICT (key) DO UPDATE SET requests = clock_timestamp() || array(
                SELECT instant FROM unnest(consumption.requests) AS instant
                WHERE instant > clock_timestamp() - interval '24 hours')
            WHERE :limit > (
                SELECT count(*) FROM unnest(consumption.requests) AS instant
                WHERE instant > clock_timestamp() - interval '24 hours')
            RETURNING key
        ), full_row AS (
            SELECT requests FROM rate_limit_consumptions
            WHERE key = :key AND NOT EXISTS (SELECT FROM recorded)
            FOR UPDATE
        )
        SELECT EXISTS (SELECT FROM recorded), coalesce(
            (SELECT instant FROM full_row, unnest(requests) AS instant
             ORDER BY instant DESC NULLS LAST OFFSET :limit - 1 LIMIT 1),
            clock_timestamp()) + interval '24 hours'
        """,
        key=key, limit=limit,
    )  # fmt: skip
    if row is None:
        raise DatabaseUnavailable("no answer")
    is_recorded, retry_at = row
    if not is_recorded:
        registry.count("liftlog_rate_limit_refusals_total")
        raise RateLimited(retry_at)


def count_stale(db: Database) -> int:
    """Return how many tokens made no request in the last 24 hours."""
    return db.count(
        """
        SELECT count(*) FROM rate_limit_consumptions
        WHERE NOT EXISTS (SELECT FROM unnest(requests) AS instant WHERE instant > now() - interval '24 hours')
        """
    )


def delete_stale(db: Database, limit: int) -> int:
    """Delete the rows of tokens that made no request in the last 24 hours, and return how many. Waits for nobody."""
    return len(
        db.rows(
            """
            DELETE FROM rate_limit_consumptions WHERE key = ANY(ARRAY(
                SELECT key FROM rate_limit_consumptions
                WHERE NOT EXISTS (SELECT FROM unnest(requests) AS instant WHERE instant > now() - interval '24 hours')
                LIMIT :limit FOR UPDATE SKIP LOCKED))
            RETURNING true
            """,
            limit=limit,
        )
    )
