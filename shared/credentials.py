"""Credentials as a request brings them, and what a statement needs to check them."""

from dataclasses import dataclass
from uuid import UUID

from shared.passwords import fast_verifier, is_generated


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's id and password, unchecked: the statement that acts on them checks them."""

    user_id: UUID
    password: str

    def verifier(self) -> bytes:
        """Return the digest that the stored fast verifier must be equal to, 32 bytes."""
        return fast_verifier(self.user_id, self.password)

    def upgrade(self) -> bytes | None:
        """Return the verifier to leave beside a legacy hash once that has matched; None for a guessable password."""
        return self.verifier() if is_generated(self.password) else None
