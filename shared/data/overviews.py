"""What operators see of the whole: how many accounts there are, and what takes how much room.

A look costs the same on ten million accounts as on a thousand: of a table with more pages than `most_pages` only as
many are read, evenly spread over it, always the same ones, and numbers are estimates then (docs/adr/0019). Nothing
here believes the planner's statistics but the numbers of rows of `list_tables`. A page has 8192 bytes.
"""

from dataclasses import dataclass
from uuid import UUID

from shared.data.pool import Database


@dataclass(frozen=True, slots=True)
class AccountNumbers:
    """How many accounts there are."""

    total: int
    active: int  # used within 30 days
    is_estimate: bool


@dataclass(frozen=True, slots=True)
class TableSize:
    """What a table takes on the disk."""

    name: str
    rows: int | None  # as PostgreSQL last estimated; None: it has not yet
    bytes: int  # with its indexes and what is stored beside it (TOAST)


@dataclass(frozen=True, slots=True)
class LargeAccount:
    """What one account stores."""

    user_id: UUID
    bytes: int  # of ciphertext, as it is stored
    items: int  # events, messages and shared items


def get_accounts(db: Database, *, most_pages: int) -> AccountNumbers:
    """Return how many accounts there are."""
    ((total, active, is_estimate),) = db.rows(
        """
        WITH share AS (
            SELECT greatest(1, pg_relation_size('users') / 8192.0 / :most_pages) AS one_in
        ), seen AS (
            SELECT count(*) AS total, count(*) FILTER (WHERE last_accessed > now() - interval '30 days') AS active
            FROM users TABLESAMPLE SYSTEM ((SELECT 100 / one_in FROM share)) REPEATABLE (0)
        )
        SELECT CAST(total * one_in AS bigint), CAST(active * one_in AS bigint), one_in > 1 FROM seen, share
        """,
        repeatable=True,
        most_pages=most_pages,
    )
    return AccountNumbers(total, active, is_estimate)


def list_tables(db: Database) -> list[TableSize]:
    """Return the tables, the largest first. It asks the files' sizes and reads none of them."""
    rows = db.rows(
        """
        SELECT relname, CASE WHEN reltuples >= 0 THEN CAST(reltuples AS bigint) END,
               pg_total_relation_size(oid) AS bytes
        FROM pg_class WHERE relnamespace = CAST('public' AS regnamespace) AND relkind = 'r'
        ORDER BY bytes DESC, relname
        """,
        repeatable=True,
    )
    return [TableSize(*row) for row in rows]


def list_largest(db: Database, *, most_pages: int, limit: int) -> list[LargeAccount]:
    """Return the accounts that store most, the greatest first.

    Of a large table an account is found with a chance that grows with the pages that it fills, and of twice as many as
    are wanted all that they store is added up: quotas bound how much that is.
    """
    rows = db.rows(
        """
        WITH share AS (
            SELECT name, greatest(1, pg_relation_size(CAST(name AS regclass)) / 8192.0 / :most_pages) AS one_in
            FROM (VALUES ('users'), ('user_events'), ('user_inbox_items'), ('shared_items')) AS tables (name)
        ), seen AS (
            SELECT id, (coalesce(pg_column_size(encrypted_current_plan), 0)
                + coalesce(pg_column_size(encrypted_profile_picture), 0))
                * (SELECT one_in FROM share WHERE name = 'users') AS bytes
            FROM users TABLESAMPLE SYSTEM ((SELECT 100 / one_in FROM share WHERE name = 'users')) REPEATABLE (0)
            UNION ALL
            SELECT user_id, pg_column_size(encrypted_event) * (SELECT one_in FROM share WHERE name = 'user_events')
            FROM user_events
                TABLESAMPLE SYSTEM ((SELECT 100 / one_in FROM share WHERE name = 'user_events')) REPEATABLE (0)
            UNION ALL
            SELECT user_id, pg_column_size(encrypted_message)
                * (SELECT one_in FROM share WHERE name = 'user_inbox_items')
            FROM user_inbox_items
                TABLESAMPLE SYSTEM ((SELECT 100 / one_in FROM share WHERE name = 'user_inbox_items')) REPEATABLE (0)
            UNION ALL
            SELECT user_id, pg_column_size(encrypted_payload) * (SELECT one_in FROM share WHERE name = 'shared_items')
            FROM shared_items
                TABLESAMPLE SYSTEM ((SELECT 100 / one_in FROM share WHERE name = 'shared_items')) REPEATABLE (0)
        ), found AS (
            SELECT id FROM seen GROUP BY id ORDER BY sum(bytes) DESC, id LIMIT 2 * :limit
        ), stored AS (
            SELECT id, coalesce(pg_column_size(encrypted_current_plan), 0)
                + coalesce(pg_column_size(encrypted_profile_picture), 0) AS bytes, 0 AS items
            FROM users WHERE id = ANY(ARRAY(SELECT id FROM found))
            UNION ALL
            SELECT user_id, pg_column_size(encrypted_event), 1
            FROM user_events WHERE user_id = ANY(ARRAY(SELECT id FROM found))
            UNION ALL
            SELECT user_id, pg_column_size(encrypted_message), 1
            FROM user_inbox_items WHERE user_id = ANY(ARRAY(SELECT id FROM found))
            UNION ALL
            SELECT user_id, pg_column_size(encrypted_payload), 1
            FROM shared_items WHERE user_id = ANY(ARRAY(SELECT id FROM found))
        )
        SELECT id, sum(bytes) AS bytes, sum(items) FROM stored GROUP BY id HAVING sum(bytes) > 0
        ORDER BY bytes DESC, id LIMIT :limit
        """,
        repeatable=True,
        most_pages=most_pages,
        limit=limit,
    )
    return [LargeAccount(user_id, int(stored), int(items)) for user_id, stored, items in rows]
