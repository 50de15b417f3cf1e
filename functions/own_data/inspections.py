"""Judging a document while it is read. Nothing of it is kept but the profile, and what there may be once."""

from datetime import UTC, datetime, timedelta
from typing import Any

from functions.own_data.elements import EVENTS, KINDS
from functions.own_data.schemas import AccountDocument, ExportedAccount
from shared.credentials import Credentials
from shared.cuids import new_cuid
from shared.data import imports, quotas
from shared.data.users import Profile
from shared.errors import InvalidRequest
from shared.http import WireSchema
from shared.settings.quotas import quota_settings

MOST_AHEAD = timedelta(days=1)  # of an event's timestamp, by this server's clock
_HEAD = ("format", "version")
_head = AccountDocument(only=_HEAD)
_account = ExportedAccount()


class Inspection:
    """What is known so far of the document that somebody brings."""

    def __init__(self, owner: Credentials) -> None:
        self._owner = owner
        self._head: dict[str, Any] = {}
        self._account: dict[str, Any] = {}
        self._counts: dict[str, int] = {}  # of the members that have come
        self._byte_counts = dict.fromkeys(KINDS, 0)
        self._names: set[tuple[str, Any]] = set()
        self._newest_event: datetime | None = None
        self._latest = datetime.now(UTC) + MOST_AHEAD

    def judge(self, member: str, value: Any) -> None:
        """Look at the next member, or at an element of one; None is none. Raises InvalidRequest, QuotaExceeded."""
        if member in KINDS:
            self._counts.setdefault(member, 0)
            if value is not None:
                self._judge_element(member, value)
        elif member == "account":
            self._account = _parsed(_account, value, member)
            if self._account["id"] != self._owner.user_id:
                raise _refusal({"account.id": "is another than that of the credentials"})
        elif member in _HEAD:
            self._head[member] = value

    def end(self) -> imports.BroughtAccount:
        """Return what the document says of the account. Raises InvalidRequest, QuotaExceeded."""
        _parsed(_head, self._head)
        account = self._account
        missing = [name for name in KINDS if name not in self._counts] + ([] if account else ["account"])
        if missing:
            raise _refusal(dict.fromkeys(missing, "is missing"))
        profile = Profile(
            account["encrypted_current_plan"], account["encrypted_profile_picture"], account["encrypted_name"],
            account["encryption_iv"], account["rsa_public_key"],
        )  # fmt: skip
        self._note_event("account.newestEvent", account["newest_event"])
        return imports.BroughtAccount(
            lookup=account["lookup"] or new_cuid(),
            created=account["created"],
            newest_event=self._newest_event,
            profile=profile,
            byte_count=self._judge_bytes(profile),
        )

    def _judge_element(self, member: str, value: Any) -> None:
        """Refuse one more than there may be at once: the names of all are in memory."""
        kind, place = KINDS[member], f"{member}[{self._counts[member]}]"
        element = _parsed(kind.schema, value, place)
        name = (member, kind.name(element))
        if name in self._names:
            raise _refusal({place: "is in the document twice"})
        if name[1] is not None:
            self._names.add(name)
        if member == EVENTS:
            self._note_event(f"{place}.timestamp", element["timestamp"])
        self._byte_counts[member] += kind.byte_count(element)
        self._counts[member] += 1
        if self._counts[member] > kind.most():
            quotas.refuse(kind.quota)

    def _note_event(self, place: str, timestamp: datetime | None) -> None:
        """Followers' phones ask for what is later than the latest that they know. Raises InvalidRequest."""
        if timestamp is not None:
            if timestamp > self._latest:
                raise _refusal({place: "is in the future"})
            self._newest_event = max(timestamp, self._newest_event or timestamp)

    def _judge_bytes(self, profile: Profile) -> int:
        """Return how much ciphertext there is. Raises QuotaExceeded."""
        parts = (profile.encrypted_current_plan, profile.encrypted_profile_picture, profile.encrypted_name)
        byte_count = sum(self._byte_counts.values()) + sum(len(part) for part in parts if part is not None)
        if self._byte_counts[EVENTS] > quota_settings().event_bytes:
            quotas.refuse(KINDS[EVENTS].quota)
        if byte_count > quota_settings().bytes_per_day:
            quotas.refuse("bytes_per_day")
        return byte_count


def _parsed(schema: WireSchema, value: Any, place: str = "") -> dict[str, Any]:
    """Return the values of an object at a place in the document. Raises InvalidRequest."""
    try:
        return schema.parse(value)
    except InvalidRequest as error:
        faults = {f"{place}.{name}".strip("."): message for name, message in error.errors.items()}
        raise _refusal(faults) from None


def _refusal(faults: dict[str, str]) -> InvalidRequest:
    return InvalidRequest("The document has members that cannot be accepted.", faults)
