"""What a store holds."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a store."""

    place: str
    stored_at: datetime  # UTC, by the store's clock
