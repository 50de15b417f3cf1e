"""Passwords: made here, 122 random bits, so a fast digest is as good as a slow one (docs/adr/0001).

The original backend stored PBKDF2 hashes, about 190 ms of CPU a check. They stay readable; the first success leaves a
fast verifier beside them.
"""

import hashlib
import re
import secrets
import threading
from dataclasses import dataclass
from uuid import UUID, uuid4

from shared.errors import Overloaded

LEGACY_ITERATIONS = 350_000
LEGACY_BYTES = 64  # of the salt and of the derived key
LEGACY_WAIT_SECONDS = 2.0

_GENERATED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_legacy_gate = threading.Lock()  # one PBKDF2 at a time: it is nobody's lever to stop a process


@dataclass(frozen=True, slots=True)
class LegacyHash:
    """What the original backend keeps of a password: `hashed_password` in upper-case hex, and its salt."""

    hashed_password: str
    salt: bytes


def new_password() -> str:
    """Return a new password: UUIDv4 text, 36 characters, 122 random bits."""
    return str(uuid4())


def fast_verifier(user_id: UUID, password: str) -> bytes:
    """Return the 32 bytes that are stored to recognise this user's password."""
    return hashlib.sha256(user_id.bytes + password.encode()).digest()


def is_generated(password: str) -> bool:
    """Tell whether the password has the form of `new_password`; only these are random enough for a fast verifier."""
    return _GENERATED.fullmatch(password) is not None


def legacy_digest(password: str, salt: bytes) -> str:
    """Return the original backend's hash of the password. Raises Overloaded after waiting 2 s for other callers."""
    if not _legacy_gate.acquire(timeout=LEGACY_WAIT_SECONDS):
        raise Overloaded
    try:
        digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, LEGACY_ITERATIONS, LEGACY_BYTES)
    finally:
        _legacy_gate.release()
    return digest.hex().upper()


def new_legacy_hash(password: str) -> LegacyHash:
    """Return what the original backend needs to accept this password. Raises Overloaded."""
    salt = secrets.token_bytes(LEGACY_BYTES)
    return LegacyHash(legacy_digest(password, salt), salt)
