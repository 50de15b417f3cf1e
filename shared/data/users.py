"""Table `users`: accounts. What is in `encrypted_…` columns only its owner's followers can read."""

from dataclasses import dataclass
from uuid import UUID, uuid4

from shared.credentials import Credentials
from shared.cuids import new_cuid
from shared.data import authenticated
from shared.data.pool import Database
from shared.errors import UnknownUser
from shared.passwords import LegacyHash, fast_verifier, new_legacy_hash, new_password
from shared.settings import password_settings

PICTURES_BYTES, PLANS_BYTES = 8 * 1024 * 1024, 10 * 1024 * 1024  # of one batch; a function may answer 32 MB
_NOT_FOR_THE_ORIGINAL = LegacyHash("", b"")


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


def create(db: Database) -> NewUser:
    """Create an account with a new id, lookup and password. Raises Overloaded where the original's hash is wanted."""
    new = NewUser(uuid4(), new_cuid(), new_password())
    legacy = new_legacy_hash(new.password) if password_settings().legacy_hash else _NOT_FOR_THE_ORIGINAL
    db.rows(
        """
        INSERT INTO users (id, user_lookup, hashed_password, salt, verifier, last_accessed, created,
                           encryption_iv, rsa_public_key)
        VALUES (:user_id, :lookup, :hashed_password, :salt, :verifier, now(), now(), '', '')
        """,
        user_id=new.user_id, lookup=new.lookup, hashed_password=legacy.hashed_password, salt=legacy.salt,
        verifier=fast_verifier(new.user_id, new.password),
    )  # fmt: skip
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
            WHERE id = ANY(ARRAY(
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
    """Replace the whole profile. Safe to repeat. Raises UnknownUser, WrongPassword."""
    authenticated.run(
        db,
        """
        WITH account AS (
            UPDATE users SET
                encrypted_current_plan = :encrypted_current_plan,
                encrypted_profile_picture = :encrypted_profile_picture,
                encrypted_name = :encrypted_name,
                encryption_iv = :encryption_iv,
                rsa_public_key = :rsa_public_key,
                last_accessed = now(),
                verifier = coalesce(verifier, :upgrade)
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
        repeatable=True,
        encrypted_current_plan=profile.encrypted_current_plan,
        encrypted_profile_picture=profile.encrypted_profile_picture,
        encrypted_name=profile.encrypted_name,
        encryption_iv=profile.encryption_iv,
        rsa_public_key=profile.rsa_public_key,
    )


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
