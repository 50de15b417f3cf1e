"""The accounts that the measured requests are about, put straight into the database."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

from shared.data.pool import Database

PASSWORD = "00000000-0000-4000-8000-000000000000"  # everybody's  # noqa: S105 # nosec B105
SINCE_ALL = "2000-01-01T00:00:00Z"
RESIDENTS = 200
CROWD = 20_000  # accounts that nobody asks for: a database in use has other plans than an empty one
NAME_BYTES = 32
EVENTS = 10
EVENT_BYTES = 1024
PLAN_BYTES = 2048
MESSAGE_CHUNKS = 4
ITEM_BYTES = 4096
IV_BYTES = 16
PUBLIC_KEY_BYTES = 294
CHUNK_BYTES = 256  # an RSA-2048 ciphertext

_ACCOUNTS = """
    INSERT INTO users (id, user_lookup, hashed_password, salt, verifier, last_accessed, created,
                       encrypted_current_plan, encrypted_name, encryption_iv, rsa_public_key)
    SELECT id, left(md5(id::text), 12), '', '', sha256(uuid_send(id) || convert_to(:password, 'UTF8')), now(), now(),
           :plan, :name, :iv, :public_key
    FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, :count)) AS new
    RETURNING id
"""
_SECRETS = """
    INSERT INTO user_follow_secrets (id, user_id, value)
    SELECT md5(id || ':' || id)::uuid, id, id FROM unnest(CAST(:ids AS uuid[])) AS id
"""
_EVENTS = """
    INSERT INTO user_events (user_id, id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv)
    SELECT id, gen_random_uuid(), date_trunc('day', now()) - number * interval '1 day', now(),
           now() + interval '90 days', :ciphertext, :iv
    FROM unnest(CAST(:ids AS uuid[])) AS id, generate_series(1, :events) AS number
"""
_ITEMS = """
    INSERT INTO shared_items (id, user_id, timestamp, expiry, encrypted_payload, encryption_iv)
    SELECT left(md5(id::text), 12), id, now(), now() + interval '90 days', :ciphertext, :iv
    FROM unnest(CAST(:ids AS uuid[])) AS id
    RETURNING id
"""
_NEWEST = """
    SELECT to_char(max(timestamp) - interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') FROM user_events
"""
_MESSAGES = """
    INSERT INTO user_inbox_items (id, user_id, encrypted_message)
    SELECT gen_random_uuid(), id, array_fill(CAST(:chunk AS bytea), ARRAY[CAST(:chunks AS int)])
    FROM unnest(CAST(:ids AS uuid[])) AS id
"""


@dataclass(frozen=True, slots=True)
class World:
    """Residents, who stay, and the means to get newcomers for requests that can be made once."""

    db: Database
    residents: list[UUID]  # each with a follow secret (its own id), a shared item and ten events
    item_ids: list[str]
    newest_only: str  # the `since` of a follower who lacks only the newest event of each
    single_use_count: int  # more newcomers than one measurement uses up
    numbers: Iterator[int] = field(default_factory=count)  # none comes twice

    def newcomers(self, account_count: int | None = None) -> list[UUID]:
        """Return new accounts, each with a follow secret (its own id) and a message; enough to use each only once."""
        ids = _accounts(self.db, account_count or self.single_use_count)
        self.db.rows(_SECRETS, ids=ids)
        self.db.rows(_MESSAGES, ids=ids, chunks=MESSAGE_CHUNKS, chunk=os.urandom(CHUNK_BYTES))
        return ids


def create(db: Database, single_use_count: int) -> World:
    """Create the residents."""
    ids = _accounts(db, RESIDENTS)
    db.rows(_SECRETS, ids=ids)
    db.rows(_EVENTS, ids=ids, events=EVENTS, ciphertext=os.urandom(EVENT_BYTES), iv=os.urandom(IV_BYTES))
    items = db.rows(_ITEMS, ids=ids, ciphertext=os.urandom(ITEM_BYTES), iv=os.urandom(IV_BYTES))
    newest = db.rows(_NEWEST)
    world = World(db, ids, [item[0] for item in items], newest[0][0], single_use_count)
    world.newcomers(CROWD)
    db.rows("ANALYZE")
    return world


def _accounts(db: Database, account_count: int) -> list[UUID]:
    rows = db.rows(
        _ACCOUNTS, count=account_count, password=PASSWORD, plan=os.urandom(PLAN_BYTES), name=os.urandom(NAME_BYTES),
        iv=os.urandom(IV_BYTES), public_key=os.urandom(PUBLIC_KEY_BYTES),
    )  # fmt: skip
    return [row[0] for row in rows]
