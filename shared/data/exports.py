"""All tables that hang on a user, read for the user: everything that is kept of an account, but what it logs in with.

What has expired is left out: it is as good as gone. The names are those of the document (docs/own-data.md).
"""

from collections.abc import Callable
from functools import partial
from uuid import UUID

from shared.credentials import Credentials
from shared.data import authenticated
from shared.data.connections import Row
from shared.data.pool import Database
from shared.errors import UnknownUser

_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_ACCOUNT = """
    SELECT to_char(now(), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           json_build_object(
               'id', id, 'lookup', user_lookup,
               'created', CASE WHEN isfinite(created) THEN to_char(created, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END,
               'lastAccessed', CASE WHEN isfinite(last_accessed)
                   THEN to_char(last_accessed, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END,
               'newestEvent', CASE WHEN isfinite(last_event_at)
                   THEN to_char(last_event_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END,
               'lastWriting', json_build_object('day', quota_day, 'writes', quota_writes, 'bytes', quota_bytes),
               'encryptedCurrentPlan', replace(encode(encrypted_current_plan, 'base64'), E'\\n', ''),
               'encryptedProfilePicture', replace(encode(encrypted_profile_picture, 'base64'), E'\\n', ''),
               'encryptedName', replace(encode(encrypted_name, 'base64'), E'\\n', ''),
               'encryptionIV', replace(encode(encryption_iv, 'base64'), E'\\n', ''),
               'rsaPublicKey', replace(encode(rsa_public_key, 'base64'), E'\\n', ''))::text
    FROM users WHERE id = :user_id
"""
# Each row is one element of the member. An expiry without an end, which .NET has, is as it would be stored today.
_ARRAYS = {
    "events": """
        SELECT json_build_object(
            'eventId', id,
            'timestamp', to_char(timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'lastAccessed', CASE WHEN isfinite(last_accessed)
                THEN to_char(last_accessed, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END,
            'expiry', to_char(least(expiry, now() + interval '400 days'), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'encryptedEventPayload', replace(encode(encrypted_event, 'base64'), E'\\n', ''),
            'encryptedEventIV', replace(encode(encryption_iv, 'base64'), E'\\n', ''))::text
        FROM user_events WHERE user_id = :user_id AND (expiry > now()) IS TRUE ORDER BY timestamp, id
    """,
    "followSecrets": """
        SELECT json_build_object('followSecret', value)::text
        FROM (SELECT DISTINCT value FROM user_follow_secrets WHERE user_id = :user_id) AS known ORDER BY value
    """,
    "inboxMessages": """
        SELECT json_build_object('id', id, 'encryptedMessage',
            (SELECT coalesce(json_agg(replace(encode(chunk, 'base64'), E'\\n', '') ORDER BY place), '[]')
             FROM unnest(encrypted_message) WITH ORDINALITY AS part (chunk, place)))::text
        FROM user_inbox_items WHERE user_id = :user_id ORDER BY seq NULLS FIRST, id
    """,
    "sharedItems": """
        SELECT json_build_object(
            'id', id,
            'timestamp', CASE WHEN isfinite(timestamp) THEN to_char(timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END,
            'expiry', to_char(least(expiry, now() + interval '400 days'), 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'encryptedPayload', json_build_object(
                'encryptedPayload', replace(encode(encrypted_payload, 'base64'), E'\\n', ''),
                'iv', json_build_object('value', replace(encode(encryption_iv, 'base64'), E'\\n', ''))))::text
        FROM shared_items WHERE user_id = :user_id AND (expiry > now()) IS TRUE ORDER BY timestamp, id
    """,
}

Take = Callable[[str, str | None], None]


def authenticate(db: Database, credentials: Credentials) -> None:
    """Let an account's owner pass. Safe to repeat. Raises UnknownUser, WrongPassword."""
    authenticated.run(
        db,
        """
        WITH owner AS (
            UPDATE users SET last_accessed = now(), verifier = coalesce(verifier, :upgrade)
            WHERE id = :user_id AND (verifier = :verifier OR verifier IS NULL AND hashed_password = :legacy_hash)
            RETURNING id
        )
        SELECT owner.id IS NOT NULL,
               coalesce(verifier = :verifier, hashed_password = :legacy_hash),
               CASE WHEN verifier IS NULL THEN salt END
        FROM users LEFT JOIN owner ON owner.id = users.id
        WHERE users.id = :user_id
        """,
        credentials,
        repeatable=True,
    )


def read(db: Database, user_id: UUID, take: Take) -> None:
    """Read an account as it is at one instant: `take` gets each member's name and its JSON text, of 3 MB at most.

    Of a member that is an array it gets None, then the text of each element. Raises UnknownUser, DatabaseUnavailable,
    and what `take` raises.
    """
    # Several statements, since the answer of one would come in an order that nothing promises; one snapshot for all.
    with db.transaction(_SNAPSHOT) as snapshot:
        rows = snapshot.rows(_ACCOUNT, user_id=user_id)
        if not rows:
            raise UnknownUser
        exported_at, account = rows[0]
        take("exportedAt", f'"{exported_at}"')
        take("account", account)
        for name, statement in _ARRAYS.items():
            take(name, None)
            snapshot.rows(statement, each_row=partial(_take_row, take, name), user_id=user_id)


def _take_row(take: Take, name: str, row: Row) -> None:
    take(name, row[0])
