"""Places: how many chats this process holds at once. Each has a thread of the server, and other requests need some."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from shared.errors import ChatsFull
from shared.metrics import registry
from shared.settings.planner import chat_settings

RESERVED = 8  # further places, for polls of chats that were opened before and would be lost


class Places:
    """Counts the sockets and polls that are open in this process."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self.taken = 0

    @contextmanager
    def take(self, *, reserved: bool = False) -> Iterator[bool]:
        """Hold a place, or a reserved one, and tell whether it is one for a new chat. Raises ChatsFull."""
        with self._lock:
            self._check(RESERVED if reserved else 0)
            self.taken += 1
            is_for_new = self.taken <= self._limit
        try:
            yield is_for_new
        finally:
            with self._lock:
                self.taken -= 1

    def check(self) -> None:
        """Return if there is a place for a new chat. Raises ChatsFull."""
        with self._lock:
            self._check(0)

    def _check(self, reserved: int) -> None:
        if self.taken >= self._limit + reserved:
            raise ChatsFull


@cache
def places() -> Places:
    """Return this process's places. Raises InvalidSetting."""
    made = Places(chat_settings().limit)
    registry.gauge("liftlog_chats_open", lambda: made.taken)
    return made
