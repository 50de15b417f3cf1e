"""Builders of valid requests, which take the one change that matters."""

from base64 import b64encode
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

EPOCH = "2000-01-01T00:00:00Z"
FUTURE = "2999-01-01T00:00:00Z"
IV = b64encode(bytes(16)).decode()


def base64(size_bytes: int) -> str:
    return b64encode(bytes(size_bytes)).decode()


@dataclass(frozen=True)
class User:
    """An account as its app knows it."""

    id: str
    lookup: str
    password: str

    def profile(self, **changes: Any) -> dict[str, Any]:
        """A valid PUT /user."""
        return {"id": self.id, "password": self.password, "encryptionIV": IV, "rsaPublicKey": base64(294)} | changes

    def account(self, **changes: Any) -> dict[str, Any]:
        """A valid POST /user/delete."""
        return {"id": self.id, "password": self.password} | changes

    def credentials(self, **changes: Any) -> dict[str, Any]:
        """A valid POST /inbox, and the beginning of the others."""
        return {"userId": self.id, "password": self.password} | changes

    def event(self, **changes: Any) -> dict[str, Any]:
        """A valid PUT /event."""
        new = {
            "eventId": str(uuid4()),
            "encryptedEventPayload": base64(100),
            "encryptedEventIV": IV,
            "expiry": FUTURE,
        }
        return self.credentials() | new | changes

    def secret(self, value: str, **changes: Any) -> dict[str, Any]:
        """A valid PUT /follow-secret."""
        return self.credentials(followSecret=value) | changes

    def message(self, *chunks: str, **changes: Any) -> dict[str, Any]:
        """A valid PUT /inbox to this user."""
        return {"toUserId": self.id, "encryptedMessage": list(chunks) or [base64(256)]} | changes

    def shared_item(self, **changes: Any) -> dict[str, Any]:
        """A valid POST /shareditem."""
        payload = {"encryptedPayload": base64(500), "iv": {"value": IV}}
        return self.credentials(encryptedPayload=payload, expiry=FUTURE) | changes

    def asked(self, secret: str, since: str = EPOCH, **changes: Any) -> dict[str, Any]:
        """One entry of POST /events about this user."""
        return {"userId": self.id, "followSecret": secret, "since": since} | changes
