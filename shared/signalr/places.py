"""Places: how many chats this process holds at once. Each has a thread of the server, and other requests need some."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from shared.errors import ChatsFull
from shared.settings import chat_settings

RESERVED = 8  # further places, for polls of chats that were opened before


class Places:
    """Counts the sockets and polls that are open in this process."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._taken = 0

    @contextmanager
    def take(self, *, is_open: bool = False) -> Iterator[None]:
        """Hold a place. `is_open`: the chat was opened before, and would be lost. Raises ChatsFull."""
        with self._lock:
            self._check(RESERVED if is_open else 0)
            self._taken += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1

    def check(self) -> None:
        """Return if there is a place for a new chat. Raises ChatsFull."""
        with self._lock:
            self._check(0)

    def _check(self, reserved: int) -> None:
        if self._taken >= self._limit + reserved:
            raise ChatsFull


@cache
def places() -> Places:
    """Return this process's places. Raises InvalidSetting."""
    return Places(chat_settings().limit)
