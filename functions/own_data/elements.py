"""What there are many of in a document: how each is judged, what of it counts, and the row that it becomes."""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.own_data.schemas import ExportedEvent, ExportedFollowSecret, ExportedItem, ExportedMessage
from shared.data.inboxes import MAX_WAITING
from shared.http import WireSchema
from shared.settings.quotas import quota_settings

Element = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the document's arrays."""

    member: str
    schema: WireSchema
    name: Callable[[Element], Any]  # what there may be once; None: any number of the same
    byte_count: Callable[[Element], int]  # of ciphertext
    quota: str
    most: Callable[[], int]  # of them in an account
    row: Callable[[Element], Element]  # as `imports.create` takes it


def _event_row(event: Element) -> Element:
    return {
        "id": str(event["event_id"]), "stored_at": _instant(event["timestamp"]),
        "accessed_at": _instant(event["last_accessed"]), "expiry": _instant(event["expiry"]),
        "ciphertext": _base64(event["encrypted_event_payload"]), "iv": _base64(event["encrypted_event_iv"]),
    }  # fmt: skip


def _item_row(item: Element) -> Element:
    payload = item["encrypted_payload"]
    return {
        "id": item["id"], "stored_at": _instant(item["timestamp"]), "expiry": _instant(item["expiry"]),
        "ciphertext": _base64(payload["encrypted_payload"]), "iv": _base64(payload["iv"]["value"]),
    }  # fmt: skip


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _base64(content: bytes) -> str:
    return b64encode(content).decode()


_EVENTS = Kind(
    member="events",
    schema=ExportedEvent(),
    name=lambda event: event["event_id"],
    byte_count=lambda event: len(event["encrypted_event_payload"]),
    quota="events",
    most=lambda: quota_settings().events,
    row=_event_row,
)
_FOLLOW_SECRETS = Kind(
    member="followSecrets",
    schema=ExportedFollowSecret(),
    name=lambda secret: secret["follow_secret"],
    byte_count=lambda _secret: 0,
    quota="follow_secrets",
    most=lambda: quota_settings().follow_secrets,
    row=lambda secret: {"value": secret["follow_secret"]},
)
_INBOX_MESSAGES = Kind(
    member="inboxMessages",
    schema=ExportedMessage(),
    name=lambda _message: None,
    byte_count=lambda message: sum(map(len, message["encrypted_message"])),
    quota="inbox",
    most=lambda: MAX_WAITING,
    row=lambda message: {"chunks": list(map(_base64, message["encrypted_message"]))},
)
_SHARED_ITEMS = Kind(
    member="sharedItems",
    schema=ExportedItem(),
    name=lambda item: item["id"],
    byte_count=lambda item: len(item["encrypted_payload"]["encrypted_payload"]),
    quota="shared_items",
    most=lambda: quota_settings().shared_items,
    row=_item_row,
)
KINDS = {kind.member: kind for kind in (_EVENTS, _FOLLOW_SECRETS, _INBOX_MESSAGES, _SHARED_ITEMS)}
EVENTS = _EVENTS.member
