"""What each function may do in the database, where each has a user of its own: what its statements need, and no more.

So a function that was taken over cannot read what is another's: `event` no inbox, `health` no account at all. A test
runs every statement of each family with these rights, and without each single one of them; the routes' own tests run
each family alone with them. Where nobody names users (a laptop, a self-hoster) one owner does everything.

A row lock takes the right to update one column, whichever. Columns that a statement only names in RETURNING or WHERE
are read, too. All functions write their metrics.
"""

from collections.abc import Mapping

from sqlalchemy import Connection, text

from shared.errors import InvalidSetting

_METRICS = (
    "SELECT (start, instance, counts, gauges), INSERT (start, instance, counts, gauges), UPDATE (counts, gauges) "
    "ON metric_buckets"
)
GRANTS: dict[str, tuple[str, ...]] = {
    "user": (
        _METRICS,
        "SELECT (source, hour, accounts), INSERT (source, hour, accounts), UPDATE (accounts) ON source_counts",
        "SELECT (day, key), INSERT (day, key) ON source_keys",
        "SELECT (id, user_lookup, hashed_password, last_accessed, salt, encrypted_current_plan, "
        "encrypted_profile_picture, encrypted_name, encryption_iv, rsa_public_key, verifier, quota_day, "
        "quota_writes, quota_bytes), INSERT (id, user_lookup, hashed_password, last_accessed, created, salt, "
        "encryption_iv, rsa_public_key, verifier), UPDATE (last_accessed, encrypted_current_plan, "
        "encrypted_profile_picture, encrypted_name, encryption_iv, rsa_public_key, verifier, quota_day, "
        "quota_writes, quota_bytes), DELETE ON users",
    ),
    "event": (
        _METRICS,
        "SELECT (user_id, id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv), INSERT (user_id, "
        "id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv), UPDATE (timestamp, last_accessed, "
        "expiry, encrypted_event, encryption_iv) ON user_events",
        "SELECT (user_id, value) ON user_follow_secrets",
        "SELECT (id, hashed_password, salt, verifier, last_event_at, quota_day, quota_writes, quota_bytes), "
        "UPDATE (last_accessed, verifier, last_event_at, quota_day, quota_writes, quota_bytes) ON users",
    ),
    "follow_secret": (
        _METRICS,
        "SELECT (user_id, value), INSERT (id, user_id, value), DELETE ON user_follow_secrets",
        "SELECT (id, hashed_password, salt, verifier), UPDATE (last_accessed, verifier) ON users",
    ),
    "inbox": (
        _METRICS,
        "USAGE ON SEQUENCE user_inbox_items_seq",
        "SELECT (day, key), INSERT (day, key) ON source_keys",
        "SELECT (id, user_id, encrypted_message, seq, source), INSERT (id, user_id, encrypted_message, source), "
        "DELETE ON user_inbox_items",
        "SELECT (id, hashed_password, salt, verifier), UPDATE (last_accessed, verifier) ON users",
    ),
    "shared_item": (
        _METRICS,
        "SELECT (id, user_id, expiry, encrypted_payload, encryption_iv), INSERT (id, user_id, timestamp, expiry, "
        "encrypted_payload, encryption_iv) ON shared_items",
        "SELECT (id, hashed_password, salt, rsa_public_key, verifier, quota_day, quota_writes, quota_bytes), "
        "UPDATE (last_accessed, verifier, quota_day, quota_writes, quota_bytes) ON users",
    ),
    "ai": (
        _METRICS,
        "SELECT (key, requests), INSERT (key, requests), UPDATE (requests) ON rate_limit_consumptions",
    ),
    "ai_chat": (
        _METRICS,
        "SELECT (chat_id, seq, topic, frame, held_until), INSERT (chat_id, topic, frame, held_until), DELETE ON "
        "chat_messages",
        "SELECT (id, state, is_greeted, poll, history, restarts, playing, waiting, player, player_seen_at), "
        "INSERT (id, seen_at), UPDATE (state, is_greeted, seen_at, poll, history, restarts, playing, waiting, "
        "player, player_seen_at, is_cancelled) ON chats",
        "SELECT (key, requests), INSERT (key, requests), UPDATE (requests) ON rate_limit_consumptions",
    ),
    "backup": (
        _METRICS,
        "SELECT (name, digest), UPDATE (used_at) ON backup_keys",
        "SELECT (id, name, sha256, bytes, stored_at), INSERT (id, name, sha256, bytes, stored_at), UPDATE (stored_at) "
        "ON backups",
    ),
    "admin": (
        _METRICS,
        "SELECT (id, user_lookup, last_accessed, encrypted_current_plan, encrypted_profile_picture), DELETE ON users",
        "SELECT (user_id, encrypted_event) ON user_events",  # whose sizes it adds up
        "SELECT (user_id, encrypted_message) ON user_inbox_items",
        "SELECT (user_id, encrypted_payload) ON shared_items",
        "SELECT (name, digest, created_at), INSERT (name, digest, created_at), UPDATE (digest, created_at) "
        "ON backup_keys",
        "SELECT (name, bytes, stored_at) ON backups",
        "SELECT (id, started, finished, dry_run, deleted, remaining) ON cleanup_runs",
        "SELECT (version_num) ON alembic_version",
    ),
    "own_data": (
        _METRICS,
        "USAGE ON SEQUENCE user_inbox_items_seq",
        "SELECT (id, user_id, timestamp, expiry, encrypted_payload, encryption_iv), INSERT (id, user_id, timestamp, "
        "expiry, encrypted_payload, encryption_iv) ON shared_items",
        "SELECT (source, hour, accounts), INSERT (source, hour, accounts), UPDATE (accounts) ON source_counts",
        "SELECT (day, key), INSERT (day, key) ON source_keys",
        "SELECT (user_id, id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv), INSERT (user_id, "
        "id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv) ON user_events",
        "SELECT (user_id, value), INSERT (id, user_id, value) ON user_follow_secrets",
        "SELECT (id, user_id, encrypted_message, seq), INSERT (id, user_id, encrypted_message) ON user_inbox_items",
        "SELECT (id, user_lookup, hashed_password, last_accessed, created, salt, encrypted_current_plan, "
        "encrypted_profile_picture, encrypted_name, encryption_iv, rsa_public_key, verifier, last_event_at, "
        "quota_day, quota_writes, quota_bytes), INSERT (id, user_lookup, hashed_password, last_accessed, created, "
        "salt, encrypted_current_plan, encrypted_profile_picture, encrypted_name, encryption_iv, rsa_public_key, "
        "verifier, last_event_at, quota_day, quota_writes, quota_bytes), UPDATE (last_accessed, verifier) ON users",
    ),
    "health": (_METRICS,),
    "metrics": (_METRICS,),
    "cleanup": (
        "SELECT (id, name, sha256, bytes, stored_at), DELETE ON backups",
        "SELECT (id, seen_at), UPDATE (seen_at), DELETE ON chats",
        "SELECT (id), INSERT (started, finished, dry_run, deleted, remaining), DELETE ON cleanup_runs",
        "SELECT, INSERT (start, instance, counts, gauges), UPDATE (counts, gauges), DELETE ON metric_buckets",
        "SELECT (key, requests), UPDATE (requests), DELETE ON rate_limit_consumptions",
        "SELECT (id, user_id, expiry), UPDATE (timestamp), DELETE ON shared_items",
        "SELECT, UPDATE (accounts), DELETE ON source_counts",
        "SELECT (day), DELETE ON source_keys",
        "SELECT, UPDATE (last_accessed), DELETE ON user_events",
        "SELECT (user_id) ON user_follow_secrets",
        "SELECT (user_id) ON user_inbox_items",
        "SELECT (id, last_accessed, created, encrypted_current_plan, encrypted_profile_picture, encrypted_name, "
        "rsa_public_key), UPDATE (last_accessed), DELETE ON users",
    ),
}
EVERYTHING = ("gateway", "operator")  # they hold all families; what else only the owner may, they may not, either


def apply(connection: Connection, users: Mapping[str, str]) -> None:
    """Give each function's user its rights, and take away all others. Safe to repeat. Raises InvalidSetting.

    `users`: family → database user, which must exist. Tables that this database does not have are passed over: the
    rate limits' may be in another one.
    """
    for family, user in users.items():
        if (family not in GRANTS and family not in EVERYTHING) or '"' in user:
            raise InvalidSetting("DB_FUNCTION_USERS must be like family=user, with families that use the database")
        for kind in ("TABLES", "SEQUENCES"):
            connection.execute(text(f'REVOKE ALL ON ALL {kind} IN SCHEMA public FROM "{user}"'))
        for grant in rights_of(family):
            if _exists(connection, grant.rpartition(" ")[2]):
                connection.execute(text(f'GRANT {grant} TO "{user}"'))


def rights_of(family: str) -> tuple[str, ...]:
    """Return the rights of a family, each as SQL's GRANT has it before TO."""
    if family in EVERYTHING:
        return tuple(dict.fromkeys(grant for grants in GRANTS.values() for grant in grants))
    return GRANTS[family]


def _exists(connection: Connection, name: str) -> bool:
    found = connection.execute(text("SELECT to_regclass(CAST(:name AS text)) IS NOT NULL"), {"name": name}).scalar()
    return bool(found)
