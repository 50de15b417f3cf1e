"""A database with many rows of everything, filled in SQL, with statistics that are true or lie."""

from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any
from uuid import UUID

from shared.backup_keys import digest_of
from shared.data.pool import Database
from shared.passwords import fast_verifier

USERS, OF_HERO = 3_000, 1_000  # users in all; messages, events and the like of one of them
NOW = datetime.now(UTC)
HERO = UUID(int=0)
OTHERS = [UUID(int=number) for number in range(1, USERS)]
PASSWORD = "the hero's password"
CHAT = OTHERS[-1]
TABLES = (
    "users", "user_events", "user_follow_secrets", "user_inbox_items", "shared_items", "rate_limit_consumptions",
    "chats", "chat_messages", "metric_buckets", "cleanup_runs", "source_counts",
    "backup_keys", "backups",
)  # fmt: skip
FILL = (
    """INSERT INTO users (id, user_lookup, hashed_password, last_accessed, created, salt, encryption_iv, rsa_public_key,
                          encrypted_name, verifier)
       SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), 'l' || n, '', now() - interval '2 hours', now(), '', '', '', 'n',
              CASE n WHEN 0 THEN CAST(:verifier AS bytea) END
       FROM generate_series(0, CAST(:users AS int) - 1) AS n""",
    "UPDATE users SET user_lookup = 'hero' WHERE id = :hero",
    """INSERT INTO user_events (user_id, id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv)
       SELECT id, gen_random_uuid(), now() - n * interval '1 hour', now(), now() + interval '9 days', 'e', 'i'
       FROM users, generate_series(1, 10) AS n""",
    """INSERT INTO user_events (user_id, id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv)
       SELECT :hero, gen_random_uuid(), now() - n * interval '1 minute', now(),
              now() + CASE n % 2 WHEN 0 THEN interval '9 days' ELSE interval '-1 day' END, 'e', 'i'
       FROM generate_series(1, CAST(:of_hero AS int)) AS n""",
    "INSERT INTO user_follow_secrets (id, user_id, value) SELECT gen_random_uuid(), id, 'of ' || id FROM users",
    """INSERT INTO user_follow_secrets (id, user_id, value)
       SELECT gen_random_uuid(), :hero, n FROM generate_series(1, CAST(:of_hero AS int)) AS n""",
    """INSERT INTO user_inbox_items (id, user_id, encrypted_message)
       SELECT gen_random_uuid(), :hero, '{c}' FROM generate_series(1, CAST(:of_hero AS int))""",
    """INSERT INTO user_inbox_items (id, user_id, encrypted_message)
       SELECT gen_random_uuid(), id, '{c}' FROM users WHERE id <> :hero""",
    """INSERT INTO shared_items (id, user_id, timestamp, expiry, encrypted_payload, encryption_iv)
       SELECT 'item' || n, CAST(lpad(to_hex(n - 1), 32, '0') AS uuid), now(),
              now() + (n % 3 - 1) * interval '1 day' + interval '1 minute', 'p', 'i'
       FROM generate_series(1, CAST(:users AS int)) AS n""",
    """INSERT INTO rate_limit_consumptions (key, requests)
       SELECT n, ARRAY[now() - n % 3 * interval '1 day'] FROM generate_series(1, CAST(:users AS int)) AS n""",
    """INSERT INTO chats (id, seen_at, is_greeted, poll)
       SELECT id, now() - interval '2 hours' * CAST(CAST(id AS text) < '00000000-0000-0000-0000-000000000500' AS int),
              true, 2 FROM users""",
    "INSERT INTO chat_messages (chat_id, frame) SELECT id, 'f' FROM chats, generate_series(1, 3)",
    """INSERT INTO metric_buckets (start, instance, counts, gauges)
       SELECT date_trunc('minute', now()) - n * interval '1 minute', gen_random_uuid(), '{"a": 1}', '{}'
       FROM generate_series(0, CAST(:users AS int)) AS n""",
    """INSERT INTO source_counts (source, hour, accounts)
       SELECT decode(lpad(to_hex(n), 16, '0'), 'hex'), now() - n % 3 * interval '1 day', 1
       FROM generate_series(1, CAST(:users AS int)) AS n""",
    "INSERT INTO backup_keys (name, digest, created_at) SELECT 'l' || id, '', now() FROM users WHERE id <> :hero",
    "INSERT INTO backup_keys (name, digest, created_at) VALUES ('hero', :backup_digest, now())",
    """INSERT INTO backups (id, name, sha256, bytes, stored_at)
       SELECT gen_random_uuid(), name, sha256(convert_to(CAST(n AS text), 'UTF8')), 9, now() - n * interval '40 days'
       FROM backup_keys, generate_series(1, 12) AS n""",
    """INSERT INTO backups (id, name, sha256, bytes, stored_at)
       SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), 'hero', sha256(convert_to('h' || n, 'UTF8')), 9,
              now() - n * interval '1 hour'
       FROM generate_series(0, CAST(:of_hero AS int)) AS n""",
    """INSERT INTO cleanup_runs (started, finished, dry_run, deleted, remaining)
       SELECT now(), now(), false, '{}', false FROM generate_series(1, CAST(:of_hero AS int))""",
)
NOT_BY_PAGE = {"users", "chats", "backup_keys", "backups"}  # what the calls need of them stays
DELETE_ALL = tuple(f"DELETE FROM {table}" for table in reversed(TABLES))
DELETE_MOST = (
    "DELETE FROM users WHERE id > '00000000-0000-0000-0000-000000000010' AND id <> CAST(:chat AS uuid)",
    "DELETE FROM chats WHERE id > '00000000-0000-0000-0000-000000000010' AND id <> CAST(:chat AS uuid)",
    "DELETE FROM backup_keys WHERE name <> 'hero'",
    "DELETE FROM backups WHERE id > '00000000-0000-0000-0000-000000000010'",
    *(f"DELETE FROM {table} WHERE ctid > '(0,10)'" for table in TABLES if table not in NOT_BY_PAGE),
)


ANALYZE = ("ANALYZE",)
STEPS = {  # whether it is full in the end, and whether statistics lie
    (True, False): (FILL, ANALYZE),
    (True, True): (FILL, DELETE_ALL, ANALYZE, FILL),
    (False, False): (FILL, DELETE_MOST, ANALYZE),
    (False, True): (FILL, ANALYZE, DELETE_MOST),
}
VALUES: dict[str, Any] = {
    "users": USERS, "of_hero": OF_HERO, "hero": HERO, "verifier": fast_verifier(HERO, PASSWORD), "chat": CHAT,
    "backup_digest": digest_of(PASSWORD),
}  # fmt: skip


def fill(url: str, *, is_full: bool, lie: bool) -> None:
    """Fill a migrated database, or fill and empty it. Where statistics lie, they are of the other state.

    An emptied table keeps its pages until it is vacuumed, and statistics that say "no rows in 100 pages" are believed
    for as many pages as there will be; those of a table that was never filled are not.
    """
    db = Database(url, 1, 60)
    for table in TABLES:
        db.rows(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
    for statement in chain(*STEPS[is_full, lie]):
        db.rows(statement, **{name: value for name, value in VALUES.items() if f":{name}" in statement})
    db.close()


HOUR, DAY, ALL = NOW - timedelta(hours=3), NOW + timedelta(days=9), timedelta(0)
