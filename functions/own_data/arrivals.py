"""Accounts that arrive: a document is read twice, first to judge all of it, then to store it in one transaction.

So what is refused has never been in the database, and costs its sender an upload and us a second or two.
"""

import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from functions.own_data import documents
from functions.own_data.schemas import (
    AccountDocument,
    ExportedAccount,
    ExportedEvent,
    ExportedFollowSecret,
    ExportedItem,
    ExportedMessage,
)
from shared.credentials import Credentials
from shared.cuids import new_cuid
from shared.data import database, exports, imports, quotas
from shared.data.inboxes import MAX_WAITING
from shared.data.users import Profile
from shared.errors import InvalidRequest, Overloaded
from shared.fair_gate import FairGate
from shared.http import WireSchema
from shared.memory import budget
from shared.settings.quotas import quota_settings

MOST_SECONDS = 60.0  # of a transaction
MOST_AHEAD = timedelta(days=1)  # of an event's timestamp, by this server's clock
MOST_WAITING, WAIT_SECONDS = 4, 60.0  # each holds a thread
_OVERHEAD_BYTES = 16 * 1024 * 1024  # of a document beside its ciphertext: 10,000 events have 4 MB of names and ids
_WORKING_BYTES = 24 * 1024 * 1024  # a window with the largest value, what is in it, and a batch
_BATCH_BYTES, _BATCH_ROWS = 1024 * 1024, 500

# One at a time, in turn between addresses: who brings an account is nobody's acquaintance yet.
_gate = FairGate(MOST_WAITING, WAIT_SECONDS)
_account = ExportedAccount()
_HEAD = ("format", "version")
_head = AccountDocument(only=_HEAD)
_arrays: dict[str, WireSchema] = {
    "events": ExportedEvent(),
    "followSecrets": ExportedFollowSecret(),
    "inboxMessages": ExportedMessage(),
    "sharedItems": ExportedItem(),
}
_names: dict[str, Callable[[Mapping[str, Any]], Any]] = {  # what may be in the document once
    "events": lambda event: event["event_id"],
    "followSecrets": lambda secret: secret["follow_secret"],
    "inboxMessages": lambda _message: None,
    "sharedItems": lambda item: item["id"],
}


def most_bytes() -> int:
    """Return how long a document may be: what an account may write on a day, in base64, and what is around it."""
    return quota_settings().bytes_per_day // 3 * 4 + _OVERHEAD_BYTES


def take_in(owner: Credentials, upload: IO[bytes], address: str | None) -> dict[str, object]:
    """Store a document as the account of its owner, and return how much of it that was.

    Raises InvalidRequest, AccountTaken, QuotaExceeded, Overloaded, DatabaseUnavailable; then nothing was stored.
    """
    with _gate.enter(address):
        budget().reserve(_WORKING_BYTES)
        inspection = _Inspection(owner)
        for member, value in documents.members(upload, exports.ARRAYS):
            inspection.judge(member, value)
        account = inspection.end()
        upload.seek(0)
        counts = imports.create(database(), owner, account, _batches(upload), address=address)
    stored = {"events": "events", "follow_secrets": "followSecrets", "inbox_messages": "inboxMessages",
              "shared_items": "sharedItems"}  # fmt: skip
    return {"id": owner.user_id, "lookup": account.lookup} | {name: counts[member] for name, member in stored.items()}


@dataclass
class _Inspection:
    """What is known of a document that is read."""

    owner: Credentials
    head: dict[str, Any] = field(default_factory=dict)
    account: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    byte_counts: dict[str, int] = field(default_factory=dict)
    newest_event: datetime | None = None
    known: set[tuple[str, Any]] = field(default_factory=set)
    latest: datetime = field(default_factory=lambda: datetime.now(UTC) + MOST_AHEAD)

    def judge(self, member: str, value: Any) -> None:
        """Look at the next member, or an element of one. Raises InvalidRequest."""
        if member in _arrays:
            self.counts.setdefault(member, 0)
            if value is not None:
                self._judge_element(member, value)
        elif member == "account":
            self.account = _parsed(_account, value, member)
            if self.account["id"] != self.owner.user_id:
                raise _refusal({"account.id": "is another than that of the credentials"})
        elif member in _HEAD:
            self.head[member] = value

    def _judge_element(self, member: str, value: Any) -> None:
        """Refuse one more than there may be at once: what is known of them is in memory."""
        place = f"{member}[{self.counts[member]}]"
        element = _parsed(_arrays[member], value, place)
        name = (member, _names[member](element))
        if name in self.known:
            raise _refusal({place: "is in the document twice"})
        if name[1] is not None:
            self.known.add(name)
        if member == "events":
            self.newest_event = self._later(f"{place}.timestamp", element["timestamp"])
        self.counts[member] += 1
        self.byte_counts[member] = self.byte_counts.get(member, 0) + _bytes_of(element)
        most, quota = _most(member)
        if self.counts[member] > most:
            quotas.refuse(quota)

    def _later(self, place: str, timestamp: datetime) -> datetime:
        if timestamp > self.latest:
            raise _refusal({place: "is in the future"})
        return max(timestamp, self.newest_event or timestamp)

    def end(self) -> imports.BroughtAccount:
        """Return what the document says of the account. Raises InvalidRequest, QuotaExceeded."""
        _parsed(_head, self.head)
        missing = {"account", *_arrays} - {*self.counts} - ({"account"} if self.account else set())
        if missing:
            raise _refusal(dict.fromkeys(sorted(missing), "is missing"))
        account = self.account
        newest_event = account["newest_event"]
        if newest_event is not None:
            self.newest_event = self._later("account.newestEvent", newest_event)
        byte_count = sum(self.byte_counts.values()) + _bytes_of(account)
        if self.byte_counts.get("events", 0) > quota_settings().event_bytes:
            quotas.refuse("events")
        if byte_count > quota_settings().bytes_per_day:
            quotas.refuse("bytes_per_day")
        return imports.BroughtAccount(
            lookup=account["lookup"] or new_cuid(),
            created=account["created"],
            newest_event=self.newest_event,
            profile=Profile(
                account["encrypted_current_plan"], account["encrypted_profile_picture"], account["encrypted_name"],
                account["encryption_iv"], account["rsa_public_key"],
            ),
            byte_count=byte_count,
        )  # fmt: skip


def _most(member: str) -> tuple[int, str]:
    """Return how many elements of a member an account may have, and by which quota."""
    quota = quota_settings()
    return {
        "events": (quota.events, "events"),
        "followSecrets": (quota.follow_secrets, "follow_secrets"),
        "inboxMessages": (MAX_WAITING, "inbox"),
        "sharedItems": (quota.shared_items, "shared_items"),
    }[member]


def _batches(upload: IO[bytes]) -> Iterator[tuple[str, str]]:
    """Yield a judged document's elements as rows, so many at a time. Raises Overloaded where storing takes too long."""
    deadline = time.monotonic() + MOST_SECONDS
    rows: list[str] = []
    rows_bytes, of_rows = 0, ""
    for member, value in documents.members(upload, exports.ARRAYS):
        if time.monotonic() > deadline:
            raise Overloaded("import")
        if rows and (member != of_rows or len(rows) >= _BATCH_ROWS or rows_bytes >= _BATCH_BYTES):
            yield of_rows, f"[{','.join(rows)}]"
            rows.clear()
            rows_bytes = 0
        if member in _arrays and value is not None:
            of_rows = member
            rows.append(json.dumps(_row(member, _arrays[member].parse(value))))
            rows_bytes += len(rows[-1])
    if rows:
        yield of_rows, f"[{','.join(rows)}]"


def _row(member: str, element: dict[str, Any]) -> dict[str, Any]:
    """Return an element as `imports.create` takes it."""
    match member:
        case "events":
            return {
                "id": str(element["event_id"]),
                "stored_at": element["timestamp"].isoformat(),
                "accessed_at": element["last_accessed"] and element["last_accessed"].isoformat(),
                "expiry": element["expiry"].isoformat(),
                "ciphertext": _base64(element["encrypted_event_payload"]),
                "iv": _base64(element["encrypted_event_iv"]),
            }
        case "followSecrets":
            return {"value": element["follow_secret"]}
        case "inboxMessages":
            return {"chunks": list(map(_base64, element["encrypted_message"]))}
        case _:
            payload = element["encrypted_payload"]
            return {
                "id": element["id"],
                "stored_at": element["timestamp"] and element["timestamp"].isoformat(),
                "expiry": element["expiry"].isoformat(),
                "ciphertext": _base64(payload["encrypted_payload"]),
                "iv": _base64(payload["iv"]["value"]),
            }


def _base64(content: bytes) -> str:
    return b64encode(content).decode()


def _bytes_of(value: Any) -> int:
    """Return how many bytes of ciphertext there are in a value."""
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_bytes_of, value.values()))
    return sum(map(_bytes_of, value)) if isinstance(value, list) else 0


def _parsed(schema: WireSchema, value: Any, place: str = "") -> dict[str, Any]:
    """Return the values of an object at a place in the document. Raises InvalidRequest."""
    try:
        return schema.parse(value)
    except InvalidRequest as error:
        faults = {f"{place}.{name}".strip("."): message for name, message in error.errors.items()}
        raise _refusal(faults) from None


def _refusal(faults: dict[str, str]) -> InvalidRequest:
    return InvalidRequest("The document has members that cannot be accepted.", faults)
