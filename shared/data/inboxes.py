"""Table `user_inbox_items`: messages that anybody may leave for a user, and that the user takes, each once."""

from uuid import UUID, uuid4

from shared.credentials import Credentials
from shared.data import authenticated
from shared.data.pool import Database
from shared.errors import InboxFull, UnknownUser
from shared.metrics import registry

MAX_WAITING = 1_000  # messages in one inbox; two senders at once may pass it by one
MAX_OF_SOURCE = MAX_WAITING // 10  # of them from one source
TAKEN_BYTES = 20 * 1024 * 1024  # of an answer's JSON
MESSAGE_OVERHEAD_BYTES = 100


def put(db: Database, *, recipient_id: UUID, chunks: list[bytes], address: str | None) -> None:
    """Leave a message. Not repeated when the connection breaks: the recipient would get it twice.

    `address` is the sender's, None if it is nobody's; of it only a digest is kept, with a key that is forgotten when
    the day is over (docs/adr/0008). One source may fill a tenth of an inbox; in a full one the oldest message of the
    source with the most gives way to another source's. Raises UnknownUser, InboxFull.
    """
    row = db.row(
        """
        WITH recipient AS (
            SELECT id FROM users WHERE id = :recipient_id FOR NO KEY UPDATE
        ), waiting AS (
            SELECT id, source, seq FROM user_inbox_items
            WHERE user_id = :recipient_id AND EXISTS (SELECT FROM recipient)
        ), inbox AS (
            SELECT sender.source, count(waiting.id) >= :max_waiting AS is_full,
                   count(*) FILTER (WHERE waiting.source = sender.source) < :max_of_source AS has_share
            FROM source_of(:address) AS sender (source) LEFT JOIN waiting ON true GROUP BY sender.source
        ), removed AS (
            DELETE FROM user_inbox_items
            WHERE (SELECT is_full AND has_share AND source IS NOT NULL FROM inbox)
                AND user_id = :recipient_id AND id = ANY(ARRAY(
                SELECT id FROM waiting WHERE source IS NOT DISTINCT FROM (
                    SELECT source FROM waiting GROUP BY source ORDER BY count(*) DESC, min(seq) LIMIT 1)
                ORDER BY seq NULLS FIRST, id LIMIT 1))
            RETURNING id
        ), stored AS (
            INSERT INTO user_inbox_items (id, user_id, encrypted_message, source)
            SELECT :message_id, recipient.id, CAST(:chunks AS bytea[]), inbox.source FROM recipient, inbox
            WHERE inbox.has_share AND (NOT inbox.is_full OR EXISTS (SELECT FROM removed))
            RETURNING id
        )
        SELECT stored.id IS NOT NULL FROM recipient LEFT JOIN stored ON true
        """,
        recipient_id=recipient_id,
        message_id=uuid4(),
        chunks=chunks,
        address=address,
        max_waiting=MAX_WAITING,
        max_of_source=MAX_OF_SOURCE,
    )
    if row is None:
        raise UnknownUser
    if not row[0]:
        registry.count("liftlog_quota_refusals_total", quota="inbox")
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
            WHERE user_id = :user_id AND id = ANY(ARRAY(SELECT id FROM waiting WHERE bytes <= :taken_bytes))
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
