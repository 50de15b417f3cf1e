"""The original backend's database, as Entity Framework makes it, and the statements that the original sends to it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from shared.data.pool import Database
from shared.passwords import LegacyHash, new_legacy_hash, new_password

# the last row of the original's history, in November 2025 and now
HISTORIES = {"2025": "20240809033343_IncreaseEncryptedPayloadLength", "now": "20260608092703_IncreaseMaxSize"}

DDL = [
    """CREATE TABLE "__EFMigrationsHistory" (
           "MigrationId" character varying(150) NOT NULL,
           "ProductVersion" character varying(32) NOT NULL,
           CONSTRAINT "PK___EFMigrationsHistory" PRIMARY KEY ("MigrationId"))""",
    """CREATE TABLE users (
           id uuid NOT NULL,
           user_lookup text NOT NULL,
           hashed_password text NOT NULL,
           last_accessed timestamp with time zone NOT NULL,
           created timestamp with time zone NOT NULL,
           salt bytea NOT NULL,
           encrypted_current_plan bytea NULL,
           encrypted_profile_picture bytea NULL,
           encrypted_name bytea NULL,
           encryption_iv bytea NOT NULL,
           rsa_public_key bytea NOT NULL,
           CONSTRAINT pk_users PRIMARY KEY (id))""",
    "CREATE UNIQUE INDEX ix_users_user_lookup ON users (user_lookup)",
    """CREATE TABLE user_events (
           user_id uuid NOT NULL,
           id uuid NOT NULL,
           timestamp timestamp with time zone NOT NULL,
           last_accessed timestamp with time zone NOT NULL,
           expiry timestamp with time zone NOT NULL,
           encrypted_event bytea NOT NULL,
           encryption_iv bytea NOT NULL,
           CONSTRAINT pk_user_events PRIMARY KEY (user_id, id),
           CONSTRAINT fk_user_events_users_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE)""",
    "CREATE INDEX ix_user_events_expiry ON user_events (expiry)",
    """CREATE TABLE user_follow_secrets (
           id uuid NOT NULL,
           user_id uuid NOT NULL,
           value character varying(40) NOT NULL,
           CONSTRAINT pk_user_follow_secrets PRIMARY KEY (id),
           CONSTRAINT fk_user_follow_secrets_users_user_id
               FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE)""",
    "CREATE INDEX ix_user_follow_secrets_user_id ON user_follow_secrets (user_id)",
    """CREATE TABLE user_inbox_items (
           id uuid NOT NULL,
           user_id uuid NOT NULL,
           encrypted_message bytea[] NOT NULL,
           CONSTRAINT pk_user_inbox_items PRIMARY KEY (id),
           CONSTRAINT fk_user_inbox_items_users_user_id
               FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE)""",
    "CREATE INDEX ix_user_inbox_items_user_id ON user_inbox_items (user_id)",
    """CREATE TABLE shared_items (
           id text NOT NULL,
           user_id uuid NOT NULL,
           timestamp timestamp with time zone NOT NULL,
           expiry timestamp with time zone NOT NULL,
           encrypted_payload bytea NOT NULL,
           encryption_iv bytea NOT NULL,
           CONSTRAINT pk_shared_items PRIMARY KEY (id),
           CONSTRAINT fk_shared_items_users_user_id FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE)""",
    "CREATE INDEX ix_shared_items_user_id ON shared_items (user_id)",
]

COLUMNS = {
    '"__EFMigrationsHistory"': '"MigrationId", "ProductVersion"',
    "users": "id, user_lookup, hashed_password, last_accessed, created, salt, encrypted_current_plan,"
    " encrypted_profile_picture, encrypted_name, encryption_iv, rsa_public_key",
    "user_events": "user_id, id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv",
    "user_follow_secrets": "id, user_id, value",
    "user_inbox_items": "id, user_id, encrypted_message",
    "shared_items": "id, user_id, timestamp, expiry, encrypted_payload, encryption_iv",
}
LONG_AGO = datetime(2024, 2, 29, 23, 59, 59, 999999, UTC)


@dataclass(frozen=True)
class Account:
    """A user of the original."""

    id: UUID
    password: str
    legacy: LegacyHash


def new_account(legacy: LegacyHash | None = None) -> Account:
    """An account whose hash is real, which takes 190 ms, unless one is given."""
    password = new_password()
    return Account(uuid4(), password, legacy or new_legacy_hash(password))


def create_tables(db: Database, history: str) -> None:
    for statement in DDL:
        db.rows(statement)
    db.rows(
        """INSERT INTO "__EFMigrationsHistory" VALUES ('20240115012913_SnakeCase', '8.0.0'), (:last, '10.0.0')""",
        last=HISTORIES[history],
    )


def fill(db: Database, accounts: list[Account]) -> None:
    """Rows of every kind: a new profile and a full one, duplicated secrets, past and future events, messages."""
    for number, account in enumerate(accounts):
        insert_user(db, account)
        if number % 2:
            put_profile(db, account)
        for secret in ("one", "one", f"only of {number}", "s" * 40):
            insert_secret(db, account, secret)
        for days in (-1, 1, 90):
            insert_event(db, account, expiry=datetime.now(UTC) + timedelta(days=days))
        insert_message(db, account, [])
        insert_message(db, account, [bytes(256), b"\xff" * 256])
        insert_shared_item(db, account)


def insert_user(db: Database, account: Account) -> None:
    db.rows(
        """INSERT INTO users (id, created, encrypted_current_plan, encrypted_name, encrypted_profile_picture,
               encryption_iv, hashed_password, last_accessed, rsa_public_key, salt, user_lookup)
           VALUES (:id, :at, NULL, NULL, NULL, '', :hashed_password, :at, '', :salt, :lookup)""",
        id=account.id, at=LONG_AGO, hashed_password=account.legacy.hashed_password, salt=account.legacy.salt,
        lookup=account.id.hex[:12],
    )  # fmt: skip


def put_profile(db: Database, account: Account) -> None:
    db.rows(
        """UPDATE users SET encrypted_current_plan = :plan, encrypted_name = :name, encryption_iv = :iv,
               encrypted_profile_picture = :picture, last_accessed = :at, rsa_public_key = :key
           WHERE id = :id""",
        id=account.id, at=LONG_AGO, plan=b"plan", name=b"name", picture=bytes(100_000), iv=bytes(16), key=bytes(294),
    )  # fmt: skip


def insert_event(db: Database, account: Account, *, expiry: datetime) -> None:
    db.rows(
        """INSERT INTO user_events (user_id, id, encrypted_event, encryption_iv, expiry, last_accessed, timestamp)
           VALUES (:user_id, :id, :event, :iv, :expiry, :at, :at)""",
        user_id=account.id, id=uuid4(), event=b"event", iv=bytes(16), expiry=expiry, at=LONG_AGO,
    )  # fmt: skip


def insert_secret(db: Database, account: Account, value: str) -> None:
    db.rows(
        "INSERT INTO user_follow_secrets (id, user_id, value) VALUES (:id, :user_id, :value)",
        id=uuid4(), user_id=account.id, value=value,
    )  # fmt: skip


def insert_message(db: Database, account: Account, chunks: list[bytes]) -> None:
    db.rows(
        """INSERT INTO user_inbox_items (id, encrypted_message, user_id)
           VALUES (:id, CAST(:chunks AS bytea[]), :user_id)""",
        id=uuid4(), chunks=chunks, user_id=account.id,
    )  # fmt: skip


def insert_shared_item(db: Database, account: Account) -> None:
    db.rows(
        """INSERT INTO shared_items (id, encrypted_payload, encryption_iv, expiry, timestamp, user_id)
           VALUES (:id, :payload, :iv, :expiry, :at, :user_id)""",
        id=uuid4().hex[:12], payload=bytes(1000), iv=bytes(16), expiry=LONG_AGO + timedelta(days=90), at=LONG_AGO,
        user_id=account.id,
    )  # fmt: skip


def delete_user(db: Database, account: Account) -> None:
    db.rows("DELETE FROM users WHERE id = :id", id=account.id)


def rows(db: Database) -> dict[str, list[list[object]]]:
    """All that is in the original's columns."""
    return {table: db.rows(f"SELECT {columns} FROM {table} ORDER BY 1, 2") for table, columns in COLUMNS.items()}
