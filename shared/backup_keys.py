"""Keys of backups: random, shown once, kept as a digest. A name has one, and a new one takes its place."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from shared.errors import WrongKey

KEY_BYTES, KEY_CHARACTERS = 32, 43
NAME_CHARACTERS = 64
# Names become folders, so the two that every folder has are none.
NAME = re.compile(rf"(?!\.{{1,2}}$)[A-Za-z0-9._-]{{1,{NAME_CHARACTERS}}}")


def new_key() -> str:
    """Return a key of 256 random bits, 43 characters that need no escape in a header."""
    return secrets.token_urlsafe(KEY_BYTES)


def digest_of(key: str) -> bytes:
    """Return what is kept of a key. Such keys cannot be guessed, so a fast digest is as good as a slow one."""
    return hashlib.sha256(key.encode()).digest()


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """Whose backups a request is about, and the key that it shows for them. Unchecked."""

    name: str | None  # as it was sent; None where the request does not say
    key: str

    @property
    def row_name(self) -> str | None:
        """The name, if it can be one of the database's. What cannot is unknown there, as any other."""
        return self.name if self.name is not None and NAME.fullmatch(self.name) else None

    def check(self, digest: bytes | None) -> None:
        """Hold it against what is kept; None where the database has no such name. Raises WrongKey."""
        presented = digest_of(self.key)
        if not hmac.compare_digest(presented, digest or b"") or not self.key:
            raise WrongKey
