"""Memory for what is large: requests and answers of megabytes are admitted by the bytes that they will need.

Whoever is answered in a thread reserves as he learns how much it will be, waits while others have it, and is told to
come back after a while. What is small is not counted: there are few threads.
"""

import ctypes
import threading
import time
from functools import cache

from shared.errors import Overloaded
from shared.metrics import registry
from shared.process import memory_limit_bytes

LARGE_BYTES = 64 * 1024  # from here on it is counted
WAIT_SECONDS = 5.0
_MOST_BYTES = 128 * 1024 * 1024
_PART_OF_LIMIT = 4
# mallopt(3). Without them glibc keeps what threads free, in 8 heaps for each CPU.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_GIVEN_BACK_FROM_BYTES = 128 * 1024
_ARENAS = 2


class Budget:
    """So many bytes for all requests together. Each thread has a share."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._used_bytes = 0
        self._changed = threading.Condition()
        self._own = threading.local()
        self.waiting_count = 0
        self._is_trimmed = True

    @property
    def used_bytes(self) -> int:
        return self._used_bytes

    def begin(self) -> None:
        """Begin to count for this thread, which until now reserved nothing."""
        self._own.share_bytes = 0

    def reserve(self, byte_count: int, *, may_refuse: bool = True) -> None:
        """Wait until this thread may have so many bytes more. The only one there is may always.

        Raises Overloaded at the deadline; where that `may` not be, since something has happened already, it goes on.
        Nothing is counted of a thread that answers no request.
        """
        share_bytes = getattr(self._own, "share_bytes", None)
        if share_bytes is None or byte_count < LARGE_BYTES:
            return
        deadline = time.monotonic() + WAIT_SECONDS
        with self._changed:
            self.waiting_count += 1
            while self._used_bytes > share_bytes and self._used_bytes + byte_count > self._most_bytes:
                if not self._changed.wait(deadline - time.monotonic()):
                    registry.count("liftlog_memory_refusals_total")
                    if may_refuse:
                        self.waiting_count -= 1
                        raise Overloaded("memory")
                    break
            self.waiting_count -= 1
            self._used_bytes += byte_count
            self._is_trimmed = False
        self._own.share_bytes = share_bytes + byte_count

    def end(self, kept_bytes: int) -> int:
        """Give back what this thread has reserved, but for as much of so many bytes as there is. Return that."""
        share_bytes = getattr(self._own, "share_bytes", None) or 0
        self._own.share_bytes = None
        kept_bytes = min(kept_bytes, share_bytes)
        self.give_back(share_bytes - kept_bytes)
        return kept_bytes

    def give_back(self, byte_count: int) -> None:
        """Give back what was kept."""
        if byte_count:
            with self._changed:
                self._used_bytes -= byte_count
                self._changed.notify_all()

    def rest(self) -> None:
        """Have the allocator return what it kept, if it is the first time that nobody uses anything."""
        if not self._is_trimmed and not self._used_bytes:
            self._is_trimmed = True
            _glibc("malloc_trim", 0)


@cache
def budget() -> Budget:
    """Return this process's budget: a quarter of what its container may use, 128 MiB at most."""
    return Budget(min(_MOST_BYTES, memory_limit_bytes() // _PART_OF_LIMIT))


def give_back_what_is_freed() -> None:
    """Have the allocator return large blocks at once, where it is glibc's, and keep few heaps."""
    for parameter, value in (
        (_TRIM_THRESHOLD, _GIVEN_BACK_FROM_BYTES), (_MMAP_THRESHOLD, _GIVEN_BACK_FROM_BYTES), (_ARENA_MAX, _ARENAS),
    ):  # fmt: skip
        _glibc("mallopt", parameter, value)


def _glibc(name: str, *arguments: int) -> None:
    """Call a function of the C library, if it has it."""
    function = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*arguments)


registry.gauge("liftlog_memory_reserved_bytes", lambda: budget().used_bytes)
