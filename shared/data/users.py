"""Table `users`: accounts. What is in `encrypted_…` columns only its owner's followers can read."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from shared.credentials import Credentials
from shared.cuids import new_cuid
from shared.data import authenticated, quotas
from shared.data.pool import Database
from shared.errors import UnknownUser
from shared.passwords import LegacyHash, fast_verifier, new_legacy_hash, new_password
from shared.settings.database import password_settings
from shared.settings.quotas import quota_settings

UNUSED_DAYS = 90
PICTURES_BYTES, PLANS_BYTES = 8 * 1024 * 1024, 10 * 1024 * 1024  # of one batch; a function may answer 32 MB
NOT_FOR_THE_ORIGINAL = LegacyHash("", b"")


@dataclass(frozen=True, slots=True)
class NewUser:
    """An account at the only moment at which its password is known here."""

    user_id: UUID
    lookup: str  # CUID2, 12 characters
    password: str

    @property
    def id(self) -> UUID:
        """The id once more, under the name that the apps know."""
        return self.user_id


@dataclass(frozen=True, slots=True)
class Profile:
    """What an owner says of themself; bytes are opaque to the server, None is "not said"."""

    encrypted_current_plan: bytes | None
    encrypted_profile_picture: bytes | None
    encrypted_name: bytes | None
    encryption_iv: bytes
    rsa_public_key: bytes


def create(db: Database, *, address: str | None) -> NewUser:
    """Create an account with a new id, lookup and password.

    `address` is the client's, None if it is nobody's; of it only a digest is kept, until the day is over. Raises
    QuotaExceeded, and Overloaded where the original's hash is wanted.
    """
    new = NewUser(uuid4(), new_cuid(), new_password())
    legacy = new_legacy_hash(new.password) if password_settings().legacy_hash else NOT_FOR_THE_ORIGINAL
    created = db.row(
        """
        WITH counted AS (
            INSERT INTO source_counts AS known (source, hour, accounts)
            SELECT source, date_trunc('hour', now()), 1 FROM source_of(:address) AS source WHERE source IS NOT NULL
            ON CONFLICT (source, hour) DO UPDATE SET accounts = known.accounts + 1
            RETURNING accounts
        )
        INSERT INTO users (id, user_lookup, hashed_password, salt, verifier, last_accessed, created,
                           encryption_iv, rsa_public_key)
        SELECT :user_id, :lookup, :hashed_password, :salt, :verifier, now(), now(), '', ''
        WHERE NOT EXISTS (SELECT FROM counted WHERE accounts > :most_accounts)
        RETURNING true
        """,
        user_id=new.user_id, lookup=new.lookup, hashed_password=legacy.hashed_password, salt=legacy.salt,
        verifier=fast_verifier(new.user_id, new.password), address=address,
        most_accounts=quota_settings().accounts_per_hour,
    )  # fmt: skip
    if created is None:
        quotas.refuse("accounts_per_hour")
    return new


def get(db: Database, *, user_id: UUID | None = None, lookup: str | None = None) -> str:
    """Return the user of that id or that lookup as JSON text, and note the access once an hour. Raises UnknownUser."""
    row = db.row(
        """
        WITH touched AS (
            UPDATE users SET last_accessed = now()
            WHERE id = ANY(ARRAY(
                SELECT id FROM users
                WHERE (id = :user_id OR user_lookup = :lookup) AND last_accessed < now() - interval '1 hour'
                FOR NO KEY UPDATE SKIP LOCKED))
        )
        SELECT json_build_object(
            'id', id, 'lookup', user_lookup,
            'encryptedCurrentPlan', replace(encode(encrypted_current_plan, 'base64'), E'\\n', ''),
            'encryptedProfilePicture', replace(encode(encrypted_profile_picture, 'base64'), E'\\n', ''),
            'encryptedName', replace(encode(encrypted_name, 'base64'), E'\\n', ''),
            'encryptionIV', replace(encode(encryption_iv, 'base64'), E'\\n', ''),
            'rsaPublicKey', replace(encode(rsa_public_key, 'base64'), E'\\n', ''))::text
        FROM users WHERE id = :user_id OR user_lookup = :lookup
        """,
        repeatable=True, user_id=user_id, lookup=lookup,
    )  # fmt: skip
    if row is None:
        raise UnknownUser
    return str(row[0])


def list_by_ids(db: Database, user_ids: list[UUID]) -> str:
    """Return those of the users that exist as JSON text, `{"users": {id: user}}`; one statement for all of them.

    Profile pictures are null from the one on with which their sum would pass 8 MiB, plans from 10 MiB on.
    """
    row = db.row(
        """
        WITH touched AS (
            UPDATE users SET last_accessed = now()
            WHERE id = ANY(CAST(:user_ids AS uuid[])) AND id = ANY(ARRAY(
                SELECT id FROM users
                WHERE id = ANY(CAST(:user_ids AS uuid[])) AND last_accessed < now() - interval '1 hour'
                FOR NO KEY UPDATE SKIP LOCKED))
        ), found AS (
            SELECT id, user_lookup, encrypted_current_plan, encrypted_profile_picture, encrypted_name, encryption_iv,
                   rsa_public_key, sum(octet_length(encrypted_profile_picture)) OVER by_id AS pictures_bytes,
                   sum(octet_length(encrypted_current_plan)) OVER by_id AS plans_bytes
            FROM users WHERE id = ANY(CAST(:user_ids AS uuid[])) WINDOW by_id AS (ORDER BY id)
        )
        SELECT json_build_object('users', coalesce(json_object_agg(id, json_build_object(
            'id', id, 'lookup', user_lookup,
            'encryptedCurrentPlan', CASE WHEN plans_bytes <= :plans_bytes
                THEN replace(encode(encrypted_current_plan, 'base64'), E'\\n', '') END,
            'encryptedProfilePicture', CASE WHEN pictures_bytes <= :pictures_bytes
                THEN replace(encode(encrypted_profile_picture, 'base64'), E'\\n', '') END,
            'encryptedName', replace(encode(encrypted_name, 'base64'), E'\\n', ''),
            'encryptionIV', replace(encode(encryption_iv, 'base64'), E'\\n', ''),
            'rsaPublicKey', replace(encode(rsa_public_key, 'base64'), E'\\n', ''))), '{}'))::text
        FROM found
        """,
        repeatable=True, user_ids=f"{{{','.join(map(str, user_ids))}}}",
        pictures_bytes=PICTURES_BYTES, plans_bytes=PLANS_BYTES,
    )  # fmt: skip
    return str(row[0]) if row else ""


def put(db: Database, credentials: Credentials, profile: Profile) -> None:
    """Replace the whole profile. Safe to repeat. Raises UnknownUser, WrongPassword, QuotaExceeded."""
    parts = (profile.encrypted_current_plan, profile.encrypted_profile_picture, profile.encrypted_name)
    stored = authenticated.run(
        db,
        """
        WITH account AS (
            UPDATE users SET
                (encrypted_current_plan, encrypted_profile_picture, encrypted_name, encryption_iv, rsa_public_key) = (
                    SELECT plan, picture, name, iv, public_key FROM (VALUES
                        (true, CAST(:encrypted_current_plan AS bytea), CAST(:encrypted_profile_picture AS bytea),
                         CAST(:encrypted_name AS bytea), CAST(:encryption_iv AS bytea), CAST(:rsa_public_key AS bytea)),
                        (false, encrypted_current_plan, encrypted_profile_picture, encrypted_name, encryption_iv,
                         rsa_public_key)) AS profile (fits, plan, picture, name, iv, public_key)
                    WHERE fits = (CASE WHEN quota_day = current_date THEN quota_bytes ELSE 0 END + :bytes
                                  <= :bytes_per_day)),
                last_accessed = now(),
                verifier = coalesce(verifier, :upgrade),
                quota_day = current_date,
                quota_writes = CASE WHEN quota_day = current_date THEN quota_writes ELSE 0 END + 1,
                quota_bytes = CASE WHEN quota_day = current_date THEN quota_bytes ELSE 0 END + :bytes
            WHERE id = :user_id AND (verifier = :verifier OR verifier IS NULL AND hashed_password = :legacy_hash)
            RETURNING id, quota_bytes
        )
        SELECT account.id IS NOT NULL,
               coalesce(verifier = :verifier, hashed_password = :legacy_hash),
               CASE WHEN verifier IS NULL THEN salt END,
               account.quota_bytes <= :bytes_per_day
        FROM users LEFT JOIN account ON account.id = users.id
        WHERE users.id = :user_id
        """,
        credentials,
        repeatable=True,
        encrypted_current_plan=profile.encrypted_current_plan,
        encrypted_profile_picture=profile.encrypted_profile_picture,
        encrypted_name=profile.encrypted_name,
        encryption_iv=profile.encryption_iv,
        rsa_public_key=profile.rsa_public_key,
        bytes=sum(len(part) for part in parts if part is not None),
        bytes_per_day=quota_settings().bytes_per_day,
    )
    quotas.refuse_unless_stored(stored, "bytes_per_day")


def delete(db: Database, credentials: Credentials) -> None:
    """Delete the account; events, follow secrets, inbox and shared items go with it. Raises UnknownUser, WrongPassword.

    Not repeated when the connection breaks: the second run would find no user and say so.
    """
    authenticated.run(
        db,
        """
        WITH account AS (
            DELETE FROM users
            WHERE id = :user_id AND (verifier = :verifier OR verifier IS NULL AND hashed_password = :legacy_hash)
            RETURNING id
        )
        SELECT account.id IS NOT NULL,
               coalesce(verifier = :verifier, hashed_password = :legacy_hash),
               CASE WHEN verifier IS NULL THEN salt END
        FROM users LEFT JOIN account ON account.id = users.id
        WHERE users.id = :user_id
        """,
        credentials,
    )


def delete_any(db: Database, *, user_id: UUID | None = None, lookup: str | None = None) -> UUID:
    """Delete the account of that id or that lookup with all that is its, for an operator. Raises UnknownUser.

    Return its id. Not repeated when the connection breaks, as `delete` is not.
    """
    row = db.row(
        "DELETE FROM users WHERE id = :user_id OR user_lookup = :lookup RETURNING id", user_id=user_id, lookup=lookup
    )
    if row is None:
        raise UnknownUser
    deleted: UUID = row[0]
    return deleted


def count_unused(db: Database) -> int:
    """Return how many accounts have never stored anything and were not used for 90 days."""
    return db.count(
        """
        WITH old AS MATERIALIZED (  -- found first: else where statistics say that tables are empty all are joined
            SELECT id FROM users
            WHERE rsa_public_key = '' AND created < now() - make_interval(days => :unused_days)
                AND last_accessed < now() - make_interval(days => :unused_days)
                AND num_nonnulls(encrypted_name, encrypted_current_plan, encrypted_profile_picture) = 0
        )
        SELECT count(*) FROM old
        WHERE NOT EXISTS (SELECT FROM user_events WHERE user_id = old.id)
            AND NOT EXISTS (SELECT FROM user_follow_secrets WHERE user_id = old.id)
            AND NOT EXISTS (SELECT FROM user_inbox_items WHERE user_id = old.id)
            AND NOT EXISTS (SELECT FROM shared_items WHERE user_id = old.id)
        """,
        unused_days=UNUSED_DAYS,
    )


def delete_unused(db: Database, limit: int) -> int:
    """Delete accounts that `count_unused` counts, the oldest first, and return how many. Waits for nobody.

    One that is used meanwhile has another `last_accessed` when its row is locked, and stays.
    """
    return len(
        db.rows(
            """
            DELETE FROM users WHERE id = ANY(ARRAY(
                SELECT id FROM users
                WHERE rsa_public_key = '' AND created < now() - make_interval(days => :unused_days)
                    AND last_accessed < now() - make_interval(days => :unused_days)
                    AND num_nonnulls(encrypted_name, encrypted_current_plan, encrypted_profile_picture) = 0
                    AND NOT EXISTS (SELECT FROM user_events WHERE user_id = users.id)
                    AND NOT EXISTS (SELECT FROM user_follow_secrets WHERE user_id = users.id)
                    AND NOT EXISTS (SELECT FROM user_inbox_items WHERE user_id = users.id)
                    AND NOT EXISTS (SELECT FROM shared_items WHERE user_id = users.id)
                ORDER BY created LIMIT :limit FOR UPDATE SKIP LOCKED))
            RETURNING true
            """,
            unused_days=UNUSED_DAYS,
            limit=limit,
        )
    )
