"""All tables that hang on a user, filled from what the user has brought from another server (docs/own-data.md)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.credentials import Credentials
from shared.data import quotas
from shared.data.pool import Database, Transaction
from shared.data.users import NOT_FOR_THE_ORIGINAL, Profile
from shared.errors import AccountTaken
from shared.passwords import LegacyHash, new_legacy_hash
from shared.settings.database import password_settings
from shared.settings.quotas import quota_settings

# Each takes `:rows`, a JSON array of objects, and reports how many of them have not expired and how many were stored.
_INSERTS = {
    "events": """
        WITH item AS (
            SELECT * FROM json_to_recordset(:rows) AS item (
                id uuid, stored_at timestamptz, accessed_at timestamptz, expiry timestamptz, ciphertext text, iv text)
            WHERE expiry > now()
        ), stored AS (
            INSERT INTO user_events (user_id, id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv)
            SELECT :user_id, id, stored_at, coalesce(accessed_at, stored_at),
                   least(expiry, now() + interval '400 days'), decode(ciphertext, 'base64'), decode(iv, 'base64')
            FROM item
            RETURNING true
        )
        SELECT (SELECT count(*) FROM item), (SELECT count(*) FROM stored)
    """,
    "followSecrets": """
        WITH item AS (
            SELECT * FROM json_to_recordset(:rows) AS item (value text)
        ), stored AS (
            INSERT INTO user_follow_secrets (id, user_id, value)
            SELECT CAST(md5(CAST(:user_id AS uuid) || ':' || value) AS uuid), :user_id, value FROM item
            RETURNING true
        )
        SELECT (SELECT count(*) FROM item), (SELECT count(*) FROM stored)
    """,
    # With ids of this server, in the order in which they came.
    "inboxMessages": """
        WITH item AS (
            SELECT chunks, place FROM ROWS FROM (json_to_recordset(:rows) AS (chunks json))
                WITH ORDINALITY AS item (chunks, place)
        ), stored AS (
            INSERT INTO user_inbox_items (id, user_id, encrypted_message)
            SELECT gen_random_uuid(), :user_id, ARRAY(
                SELECT decode(chunk, 'base64') FROM json_array_elements_text(chunks) WITH ORDINALITY
                    AS part (chunk, number) ORDER BY number)
            FROM item ORDER BY place
            RETURNING true
        )
        SELECT (SELECT count(*) FROM item), (SELECT count(*) FROM stored)
    """,
    "sharedItems": """
        WITH item AS (
            SELECT * FROM json_to_recordset(:rows) AS item (
                id text, stored_at timestamptz, expiry timestamptz, ciphertext text, iv text)
            WHERE expiry > now()
        ), stored AS (
            INSERT INTO shared_items (id, user_id, timestamp, expiry, encrypted_payload, encryption_iv)
            SELECT id, :user_id, coalesce(stored_at, now()), least(expiry, now() + interval '400 days'),
                   decode(ciphertext, 'base64'), decode(iv, 'base64')
            FROM item
            ON CONFLICT (id) DO NOTHING
            RETURNING true
        )
        SELECT (SELECT count(*) FROM item), (SELECT count(*) FROM stored)
    """,
}


@dataclass(frozen=True, slots=True)
class BroughtAccount:
    """What an owner has brought of an account, beside what there are many of."""

    lookup: str
    created: datetime | None  # UTC; None: it is not known
    newest_event: datetime | None  # UTC; the largest timestamp that an event of the account has ever had
    profile: Profile
    byte_count: int  # of all ciphertext that comes with it


def refuse_if_taken(db: Database, user_id: UUID, *, address: str | None) -> None:
    """Let whoever brings an account pass, if its id is free and the address may make one more in this hour.

    `address` is the client's, None if it is nobody's. Safe to repeat. Raises AccountTaken, QuotaExceeded.
    """
    row = db.row(
        """
        SELECT EXISTS (SELECT FROM users WHERE id = :user_id),
               EXISTS (SELECT FROM source_counts
                       WHERE source = (SELECT source_of(:address)) AND hour = date_trunc('hour', now())
                           AND accounts >= :most_accounts)
        """,
        repeatable=True,
        user_id=user_id,
        address=address,
        most_accounts=quota_settings().accounts_per_hour,
    )
    is_taken, is_over_quota = row or (False, False)
    if is_taken:
        raise AccountTaken("account.id")
    if is_over_quota:
        quotas.refuse("accounts_per_hour")


def create(
    db: Database,
    owner: Credentials,
    account: BroughtAccount,
    batches: Iterable[tuple[str, str]],
    *,
    address: str | None,
) -> dict[str, int]:
    """Make the account with all that comes with it, or nothing at all. Return how many of each were stored.

    `batches`: members of the document with the rows of `_INSERTS`, as JSON text; what has expired is passed over.
    Raises AccountTaken, QuotaExceeded, Overloaded, DatabaseUnavailable, and what `batches` raises.
    """
    counts = dict.fromkeys(_INSERTS, 0)
    legacy = new_legacy_hash(owner.password) if password_settings().legacy_hash else NOT_FOR_THE_ORIGINAL
    # One transaction of many statements: as one it would be of all that is brought, which is not to be in memory.
    with db.transaction() as transaction:
        _create_user(transaction, owner, account, legacy, address)
        for member, rows in batches:
            ((wanted, stored),) = transaction.rows(_INSERTS[member], user_id=owner.user_id, rows=rows)
            if stored < wanted:
                raise AccountTaken(member)
            counts[member] += stored
    return counts


def _create_user(
    transaction: Transaction, owner: Credentials, account: BroughtAccount, legacy: LegacyHash, address: str | None
) -> None:
    """Make the account's row. Raises AccountTaken, QuotaExceeded."""
    profile = account.profile
    ((is_stored, is_over_quota),) = transaction.rows(
        """
        WITH counted AS (
            INSERT INTO source_counts AS known (source, hour, accounts)
            SELECT source, date_trunc('hour', now()), 1 FROM source_of(:address) AS source WHERE source IS NOT NULL
            ON CONFLICT (source, hour) DO UPDATE SET accounts = known.accounts + 1
            RETURNING accounts
        ), stored AS (
            INSERT INTO users (id, user_lookup, hashed_password, salt, verifier, last_accessed, created,
                               encrypted_current_plan, encrypted_profile_picture, encrypted_name, encryption_iv,
                               rsa_public_key, last_event_at, quota_day, quota_writes, quota_bytes)
            SELECT :user_id, :lookup, :hashed_password, :salt, :verifier, now(),
                   least(coalesce(CAST(:created AS timestamptz), now()), now()),
                   :plan, :picture, :name, :iv, :public_key,
                   coalesce(CAST(:newest_event AS timestamptz), '-infinity'), current_date, 1, :byte_count
            WHERE NOT EXISTS (SELECT FROM counted WHERE accounts > :most_accounts)
            ON CONFLICT DO NOTHING
            RETURNING true
        )
        SELECT EXISTS (SELECT FROM stored), EXISTS (SELECT FROM counted WHERE accounts > :most_accounts)
        """,
        user_id=owner.user_id, lookup=account.lookup, hashed_password=legacy.hashed_password, salt=legacy.salt,
        verifier=owner.verifier(), created=account.created, plan=profile.encrypted_current_plan,
        picture=profile.encrypted_profile_picture, name=profile.encrypted_name, iv=profile.encryption_iv,
        public_key=profile.rsa_public_key, newest_event=account.newest_event, byte_count=account.byte_count,
        address=address, most_accounts=quota_settings().accounts_per_hour,
    )  # fmt: skip
    if is_over_quota:
        quotas.refuse("accounts_per_hour")
    if not is_stored:
        taken = transaction.rows("SELECT FROM users WHERE id = :user_id", user_id=owner.user_id)
        raise AccountTaken("account.id" if taken else "account.lookup")
