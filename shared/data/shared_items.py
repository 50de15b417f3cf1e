"""Table `shared_items`: encrypted workouts that anyone with their link may fetch until they expire."""

from dataclasses import dataclass
from datetime import datetime

from shared.credentials import Credentials
from shared.cuids import new_cuid
from shared.data import authenticated, quotas
from shared.data.pool import Database
from shared.errors import UnknownSharedItem, UnknownUser, WrongPassword
from shared.settings.quotas import quota_settings


@dataclass(frozen=True, slots=True)
class SharedItem:
    """What is shared; the key is in the link, which the server never sees."""

    ciphertext: bytes
    iv: bytes
    expiry: datetime  # UTC; the first instant at which the item is gone


def create(db: Database, credentials: Credentials, item: SharedItem) -> str:
    """Store the item and return its new id, a CUID2 of 12 characters.

    Raises QuotaExceeded, and WrongPassword, also for an unknown user: so the original does, and apps expect it.
    """
    item_id = new_cuid()
    quota = quota_settings()
    try:
        stored = authenticated.run(
            db,
            """
            WITH author AS (
                UPDATE users SET
                    last_accessed = now(),
                    verifier = coalesce(verifier, :upgrade),
                    quota_day = current_date,
                    quota_writes = CASE WHEN quota_day = current_date THEN quota_writes ELSE 0 END + 1,
                    quota_bytes = CASE WHEN quota_day = current_date THEN quota_bytes ELSE 0 END + :bytes
                WHERE id = :user_id AND (verifier = :verifier OR verifier IS NULL AND hashed_password = :legacy_hash)
                RETURNING id, quota_bytes
            ), stored AS (
                INSERT INTO shared_items (id, user_id, timestamp, expiry, encrypted_payload, encryption_iv)
                SELECT :item_id, author.id, now(), least(:expiry, now() + interval '400 days'), :ciphertext, :iv
                FROM author
                WHERE quota_bytes <= :bytes_per_day
                    AND (SELECT count(*) FROM (SELECT FROM shared_items WHERE user_id = :user_id LIMIT :most_items)
                         AS others) < :most_items
                RETURNING true
            )
            SELECT author.id IS NOT NULL,
                   coalesce(verifier = :verifier, hashed_password = :legacy_hash),
                   CASE WHEN verifier IS NULL THEN salt END,
                   EXISTS (SELECT FROM stored)
            FROM users LEFT JOIN author ON author.id = users.id
            WHERE users.id = :user_id
            """,
            credentials,
            item_id=item_id,
            expiry=item.expiry,
            ciphertext=item.ciphertext,
            iv=item.iv,
            bytes=len(item.ciphertext),
            most_items=quota.shared_items,
            bytes_per_day=quota.bytes_per_day,
        )
    except UnknownUser:
        raise WrongPassword from None
    quotas.refuse_unless_stored(stored, "shared_items")
    return item_id


def get(db: Database, item_id: str) -> str:
    """Return an item that has not expired, with its author's public key, as JSON text. Raises UnknownSharedItem."""
    row = db.row(
        """
        SELECT json_build_object(
            'rsaPublicKey', json_build_object(
                'spkiPublicKeyBytes', (SELECT replace(encode(rsa_public_key, 'base64'), E'\\n', '')
                                       FROM users WHERE users.id = user_id)),
            'encryptedPayload', json_build_object(
                'encryptedPayload', replace(encode(encrypted_payload, 'base64'), E'\\n', ''),
                'iv', json_build_object(
                    'value', replace(encode(encryption_iv, 'base64'), E'\\n', ''))))::text
        FROM shared_items WHERE id = :item_id AND (expiry > now()) IS TRUE
        """,
        repeatable=True,
        item_id=item_id,
    )
    if row is None:
        raise UnknownSharedItem
    return str(row[0])


def count_expired(db: Database) -> int:
    """Return how many items have expired."""
    return db.count("SELECT count(*) FROM shared_items WHERE expiry <= now()")


def delete_expired(db: Database, limit: int) -> int:
    """Delete items that have expired, the longest ago first, and return how many. Waits for nobody."""
    return len(
        db.rows(
            """
            DELETE FROM shared_items WHERE id = ANY(ARRAY(
                SELECT id FROM shared_items WHERE expiry <= now() ORDER BY expiry LIMIT :limit FOR UPDATE SKIP LOCKED))
            RETURNING true
            """,
            limit=limit,
        )
    )
