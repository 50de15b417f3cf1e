"""Forms of texts on the wire: UUIDs, instants, base64."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

_UUID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")
_HYPHENS = {0, 4}
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII
)


def parse_uuid(text: str) -> UUID | None:
    """Return the UUID that a text of 32 hexadecimal digits, or of the hyphenated form, names; else None."""
    if _UUID.fullmatch(text) is None or text.count("-") not in _HYPHENS:
        return None
    return UUID(text)


def parse_instant(text: str) -> datetime | None:
    """Return the instant of an RFC 3339 text with an offset, cut to microseconds, in UTC; None if it is none."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    *date_and_time, fraction, zulu, sign, hours, minutes = match.groups()
    offset = timedelta() if zulu else timedelta(hours=int(hours), minutes=int(minutes))
    if offset >= timedelta(days=1):
        return None
    try:
        whole = (int(part or 0) for part in date_and_time)  # the original takes instants without seconds, too
        local = datetime(*whole, int((fraction or "").ljust(6, "0")[:6]), tzinfo=UTC)  # type: ignore[arg-type,misc]
        return local + offset if sign == "-" else local - offset
    except (ValueError, OverflowError):
        return None


def base64_length(byte_count: int) -> int:
    """Return how many characters so many bytes have, with their padding."""
    return (byte_count + 2) // 3 * 4
