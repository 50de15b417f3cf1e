"""Table `user_inbox_items`: messages that anybody may leave for a user, and that the user takes, each once."""

from uuid import UUID, uuid4

from shared.credentials import Credentials
from shared.data import authenticated
from shared.data.pool import Database
from shared.errors import InboxFull, UnknownUser

MAX_WAITING = 1_000  # messages in one inbox; two senders at once may pass it by one
TAKEN_BYTES = 20 * 1024 * 1024  # of an answer's JSON
MESSAGE_OVERHEAD_BYTES = 100


def put(db: Database, *, recipient_id: UUID, chunks: list[bytes]) -> None:
    """Leave a message. Not repeated when the connection breaks: the recipient would get it twice.

    Raises UnknownUser, InboxFull.
    """
    row = db.row(
        """
        WITH recipient AS (
            SELECT id FROM users WHERE id = :recipient_id FOR NO KEY UPDATE
        ), waiting AS (
            SELECT count(*) AS messages
            FROM (SELECT FROM user_inbox_items WHERE user_id = :recipient_id LIMIT :max_waiting) AS first
        ), stored AS (
            INSERT INTO user_inbox_items (id, user_id, encrypted_message)
            SELECT :message_id, recipient.id, CAST(:chunks AS bytea[]) FROM recipient, waiting
            WHERE waiting.messages < :max_waiting
            RETURNING id
        )
        SELECT stored.id IS NOT NULL FROM recipient LEFT JOIN stored ON true
        """,
        recipient_id=recipient_id,
        message_id=uuid4(),
        chunks=chunks,
        max_waiting=MAX_WAITING,
    )
    if row is None:
        raise UnknownUser
    if not row[0]:
        raise InboxFull


def take(db: Database, credentials: Credentials) -> str:
    """Remove the oldest messages, up to 20 MiB of JSON, and return them as a JSON array, oldest first.

    The answer is their only copy, so the statement is never repeated. The row lock on the user lets one reader in at a
    time; a second one finds the first one's messages gone. Raises UnknownUser, WrongPassword.
    """
    (messages,) = authenticated.run(
        db,
        """
        WITH reader AS (
            UPDATE users SET last_accessed = now(), verifier = coalesce(verifier, :upgrade)
            WHERE id = :user_id AND (verifier = :verifier OR verifier IS NULL AND hashed_password = :legacy_hash)
            RETURNING id
        ), waiting AS (
            SELECT id, sum(
                (SELECT coalesce(sum(octet_length(chunk)), 0) * 4 / 3 + 8 * count(*)
                 FROM unnest(item.encrypted_message) AS chunk) + :overhead_bytes) OVER oldest_first AS bytes
            FROM user_inbox_items AS item WHERE user_id = :user_id AND EXISTS (SELECT FROM reader)
            WINDOW oldest_first AS (ORDER BY seq NULLS FIRST, id)
        ), taken AS (
            DELETE FROM user_inbox_items
            WHERE id = ANY(ARRAY(SELECT id FROM waiting WHERE bytes <= :taken_bytes))
            RETURNING id, encrypted_message, seq
        )
        SELECT reader.id IS NOT NULL,
               coalesce(verifier = :verifier, hashed_password = :legacy_hash),
               CASE WHEN verifier IS NULL THEN salt END,
               (SELECT coalesce(json_agg(json_build_object('id', id, 'encryptedMessage',
                    (SELECT coalesce(json_agg(replace(encode(chunk, 'base64'), E'\\n', '') ORDER BY place), '[]')
                     FROM unnest(encrypted_message) WITH ORDINALITY AS part (chunk, place)))
                    ORDER BY seq NULLS FIRST, id),
                    '[]')::text
                FROM taken)
        FROM users LEFT JOIN reader ON reader.id = users.id
        WHERE users.id = :user_id
        """,
        credentials,
        taken_bytes=TAKEN_BYTES,
        overhead_bytes=MESSAGE_OVERHEAD_BYTES,
    )
    return str(messages)
