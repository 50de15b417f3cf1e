"""A memory of what was found a short while ago: in this process, bounded in time and number."""

import threading
import time
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class ShortMemory(Generic[Key, Value]):
    """Values by key, the most recent ones. Safe to use from many threads."""

    def __init__(self, most_entries: int) -> None:
        self._most_entries = most_entries
        self._lock = threading.Lock()
        self._entries: dict[Key, tuple[Value, float]] = {}  # until when of the monotonic clock; the oldest entry first

    def find(self, key: Key) -> Value | None:
        """Return what was put there, for as long as it is good."""
        with self._lock:
            entry = self._entries.get(key)
        return entry[0] if entry is not None and entry[1] > time.monotonic() else None

    def put(self, key: Key, value: Value, seconds: float) -> None:
        """Keep a value for so long, or until as many newer ones have come as there may be."""
        with self._lock:
            self._entries.pop(key, None)
            if len(self._entries) >= self._most_entries:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = value, time.monotonic() + seconds

    def drop(self, key: Key) -> None:
        """Keep nothing under a key."""
        with self._lock:
            self._entries.pop(key, None)
