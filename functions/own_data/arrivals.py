"""Accounts that arrive: a document is read twice, first to judge all of it, then to store it in one transaction.

So what is refused has never been in the database, and costs its sender an upload and us a second or two.
"""

import json
import time
from collections.abc import Iterator
from typing import IO, Any

from functions.own_data import documents
from functions.own_data.elements import EVENTS, KINDS
from functions.own_data.inspections import Inspection
from shared.credentials import Credentials
from shared.data import database, imports
from shared.errors import Overloaded
from shared.fair_gate import FairGate
from shared.memory import budget
from shared.settings.quotas import quota_settings

MOST_AT_ONCE = 4  # anybody may send one: a quarter of the room for files that come, of which phones' backups need some
MOST_SECONDS = 120.0  # of a transaction; 64 MiB of ciphertext take 20 on a busy machine
MOST_WAITING, WAIT_SECONDS = 4, 60.0  # each holds a thread
_OVERHEAD_BYTES = 16 * 1024 * 1024  # of a document beside its ciphertext: 10,000 events have 4 MB of names and ids
_WORKING_BYTES = 24 * 1024 * 1024  # a window with the largest value, what is in it, and a batch
_BATCH_BYTES, _BATCH_ROWS = 1024 * 1024, 500

# One at a time, in turn between addresses: who brings an account is nobody's acquaintance yet.
_gate = FairGate(MOST_WAITING, WAIT_SECONDS)


def most_bytes() -> int:
    """Return how long a document may be: what an account may write on a day, in base64, and what is around it."""
    return quota_settings().bytes_per_day // 3 * 4 + _OVERHEAD_BYTES


def take_in(owner: Credentials, upload: IO[bytes], address: str | None) -> dict[str, object]:
    """Store a document as the account of its owner, and return how much of it that was.

    Raises InvalidRequest, AccountTaken, QuotaExceeded, Overloaded, DatabaseUnavailable; then nothing was stored.
    """
    with _gate.enter(address):
        budget().reserve(_WORKING_BYTES)
        inspection = Inspection(owner)
        for member, value in documents.members(upload, KINDS):
            inspection.judge(member, value)
        account = inspection.end()
        upload.seek(0)
        stored = imports.create(database(), owner, account, _batches(upload), address=address)
    return {
        "id": owner.user_id, "lookup": account.lookup, "events": stored[EVENTS],
        "follow_secrets": stored["followSecrets"], "inbox_messages": stored["inboxMessages"],
        "shared_items": stored["sharedItems"],
    }  # fmt: skip


def _batches(upload: IO[bytes]) -> Iterator[tuple[str, str]]:
    """Yield a judged document's elements as rows, so many at a time. Raises Overloaded where storing takes too long."""
    deadline = time.monotonic() + MOST_SECONDS
    rows: list[str] = []
    byte_count, of_rows = 0, ""
    for member, row in _rows(upload):
        if time.monotonic() > deadline:
            raise Overloaded("import")
        if rows and (member != of_rows or len(rows) >= _BATCH_ROWS or byte_count >= _BATCH_BYTES):
            yield of_rows, f"[{','.join(rows)}]"
            rows.clear()
            byte_count = 0
        of_rows = member
        rows.append(row)
        byte_count += len(row)
    if rows:
        yield of_rows, f"[{','.join(rows)}]"


def _rows(upload: IO[bytes]) -> Iterator[tuple[str, str]]:
    value: Any
    for member, value in documents.members(upload, KINDS):
        if member in KINDS and value is not None:
            kind = KINDS[member]
            yield member, json.dumps(kind.row(kind.schema.parse(value)))
