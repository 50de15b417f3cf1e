"""Passwords: made here, 122 random bits, so a fast digest is as good as a slow one (docs/adr/0001).

The original backend stored PBKDF2 hashes, about 190 ms of CPU a check. They stay readable; the first success leaves a
fast verifier beside them.
"""

import hashlib
import re
import secrets
from collections.abc import Hashable
from dataclasses import dataclass
from uuid import UUID, uuid4

from shared.fair_gate import FairGate
from shared.short_memory import ShortMemory

LEGACY_ITERATIONS = 350_000
LEGACY_BYTES = 64  # of the salt and of the derived key
LEGACY_WAIT_SECONDS = 10.0  # four times what as many as may wait take on a CPU of their own
MOST_WAITING = 13  # of a function's 16 threads
REMEMBERED_SECONDS = 60.0
MOST_REMEMBERED = 1000

_GENERATED = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_NEWCOMERS = "newcomers"  # who are one crowd at the gate
# One PBKDF2 at a time, and in turn between accounts: it is nobody's lever to stop a process, or to keep others out.
_legacy_gate = FairGate(MOST_WAITING, LEGACY_WAIT_SECONDS)
_digests = ShortMemory[bytes, str](MOST_REMEMBERED)  # by password and salt: the same try, right or wrong, costs once


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
    """Return the original backend's hash of the password. The salt is an account's own, and so is its turn.

    Raises Overloaded where too many wait, or after 10 s.
    """
    return _legacy_digest(password, salt, salt)


def new_legacy_hash(password: str) -> LegacyHash:
    """Return what the original backend needs to accept this password. Raises Overloaded."""
    salt = secrets.token_bytes(LEGACY_BYTES)
    return LegacyHash(_legacy_digest(password, salt, _NEWCOMERS), salt)


def _legacy_digest(password: str, salt: bytes, whose: Hashable) -> str:
    key = hashlib.sha256(salt + password.encode()).digest()
    known = _digests.find(key)
    if known is not None:
        return known
    with _legacy_gate.enter(whose):
        known = _digests.find(key)  # another request of the account may have brought it meanwhile
        if known is None:
            digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, LEGACY_ITERATIONS, LEGACY_BYTES)
            known = digest.hex().upper()
            _digests.put(key, known, REMEMBERED_SECONDS)
    return known
