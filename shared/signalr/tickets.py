"""Tickets: what a negotiation gives a client, and by which any instance knows the connection that it is about.

A connection token is a ticket and a signature. It holds everything that is needed, so nothing is stored of a
negotiation, and whoever has it speaks for the connection: it is kept out of logs, as a password is.
"""

import binascii
import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID, uuid4

from shared.errors import InvalidSetting, UnknownConnection
from shared.settings.secrets import secret

OPENS_FOR_SECONDS = 120  # from the negotiation; a connection that was opened in time lasts as long as it likes
MIN_KEY_CHARACTERS = 32
MAX_KEYS = 2


@dataclass(frozen=True, slots=True)
class Ticket:
    """A connection to a hub, and who it is of."""

    connection_id: UUID
    hub: str
    subscriber: str  # the rate limits' key of the subscriber, from whom a store was asked
    opens_until: int  # Unix time

    @property
    def may_open(self) -> bool:
        """Tell whether a connection may be opened with it now."""
        return time.time() < self.opens_until


def issue(hub: str, subscriber: str) -> Ticket:
    """Return the ticket of a new connection."""
    return Ticket(uuid4(), hub, subscriber, int(time.time()) + OPENS_FOR_SECONDS)


def sign(ticket: Ticket) -> str:
    """Return the connection token of a ticket. Raises InvalidSetting."""
    fields = [ticket.connection_id.hex, ticket.hub, ticket.subscriber, ticket.opens_until]
    payload = json.dumps(fields, separators=(",", ":")).encode()
    return f"{_text(payload)}.{_text(_digest(_keys()[0], payload))}"


def verify(token: str, hub: str) -> Ticket:
    """Return the ticket that a token of this hub holds. Raises UnknownConnection if it is none, InvalidSetting."""
    keys = _keys()
    payload_text, _, digest_text = token.partition(".")
    try:
        payload, digest = _bytes(payload_text), _bytes(digest_text)
    except (binascii.Error, ValueError):
        raise UnknownConnection from None
    if not any(hmac.compare_digest(_digest(key, payload), digest) for key in keys):
        raise UnknownConnection
    connection_id, of_hub, subscriber, opens_until = json.loads(payload)
    if of_hub != hub:
        raise UnknownConnection
    return Ticket(UUID(connection_id), of_hub, subscriber, opens_until)


def _keys() -> list[bytes]:
    """Return the keys that tokens may be signed with; the first one is to sign with."""
    keys = [key.strip() for key in secret("CHAT_TOKEN_KEY").split(",")]
    if not all(len(key) >= MIN_KEY_CHARACTERS for key in keys) or len(keys) > MAX_KEYS:
        raise InvalidSetting(
            f"CHAT_TOKEN_KEY must be one or two keys of at least {MIN_KEY_CHARACTERS} characters, parted by a comma"
        )
    return [key.encode() for key in keys]


def _digest(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, hashlib.sha256)


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
