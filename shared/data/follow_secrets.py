"""Table `user_follow_secrets`: who knows one of a user's secrets may read that user's events.

The original's data holds a value twice and it goes on writing such rows, so validity and deletion go by value; our own
rows have an id made of user and value, which makes putting one twice harmless.
"""

from shared.credentials import Credentials
from shared.data import authenticated, quotas
from shared.data.pool import Database
from shared.settings.quotas import quota_settings


def put(db: Database, credentials: Credentials, secret: str) -> None:
    """Let whoever knows the secret (1 to 40 characters) follow the user. Safe to repeat.

    Raises UnknownUser, WrongPassword, QuotaExceeded.
    """
    stored = authenticated.run(
        db,
        """
        WITH author AS (
            UPDATE users SET last_accessed = now(), verifier = coalesce(verifier, :upgrade)
            WHERE id = :user_id AND (verifier = :verifier OR verifier IS NULL AND hashed_password = :legacy_hash)
            RETURNING id
        ), quota AS (
            SELECT count(*) < :most_secrets AS has_room
            FROM (SELECT FROM user_follow_secrets WHERE user_id = :user_id AND value <> :secret LIMIT :most_secrets)
                 AS others
        ), stored AS (
            INSERT INTO user_follow_secrets (id, user_id, value)
            SELECT CAST(md5(author.id || ':' || CAST(:secret AS text)) AS uuid), author.id, :secret
            FROM author, quota WHERE has_room
            ON CONFLICT DO NOTHING -- of the same user and value: the id says both
        )
        SELECT author.id IS NOT NULL,
               coalesce(verifier = :verifier, hashed_password = :legacy_hash),
               CASE WHEN verifier IS NULL THEN salt END,
               (SELECT has_room FROM quota)
        FROM users LEFT JOIN author ON author.id = users.id
        WHERE users.id = :user_id
        """,
        credentials,
        repeatable=True,
        secret=secret,
        most_secrets=quota_settings().follow_secrets,
    )
    quotas.refuse_unless_stored(stored, "follow_secrets")


def delete(db: Database, credentials: Credentials, secret: str) -> None:
    """Take the secret back; one that is not there is no error. Safe to repeat. Raises UnknownUser, WrongPassword."""
    authenticated.run(
        db,
        """
        WITH author AS (
            UPDATE users SET last_accessed = now(), verifier = coalesce(verifier, :upgrade)
            WHERE id = :user_id AND (verifier = :verifier OR verifier IS NULL AND hashed_password = :legacy_hash)
            RETURNING id
        ), deleted AS (
            DELETE FROM user_follow_secrets WHERE user_id = :user_id AND value = :secret AND EXISTS (SELECT FROM author)
        )
        SELECT author.id IS NOT NULL,
               coalesce(verifier = :verifier, hashed_password = :legacy_hash),
               CASE WHEN verifier IS NULL THEN salt END
        FROM users LEFT JOIN author ON author.id = users.id
        WHERE users.id = :user_id
        """,
        credentials,
        repeatable=True,
        secret=secret,
    )
