"""How many questions one store is asked: few at once, for each holds a thread, and few per second.

A store answers so many questions a minute of one project and refuses the rest (429), those about paying customers among
them. Whoever sends tokens that nobody was sold must not use that up, nor the threads that everybody else needs.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.errors import Overloaded

AT_ONCE = 4  # three stores that are all silent hold 12 of a function's 16 threads
PER_SECOND = 4.0  # a yes is good for five minutes: 1,200 subscribers at work in one process
BURST = 40.0
RESERVED = 0.25  # of each, for those whom the store has said yes to before


class StoreGate:
    """The way to one store. Safe to use from many threads. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way = 0
        self._spare = BURST  # questions that may be asked now
        self._counted_at = clock()

    @contextmanager
    def question(self, *, is_known: bool) -> Iterator[None]:
        """Be within the block while the store is asked. Raises Overloaded at once where too many are."""
        reserved = 0.0 if is_known else RESERVED
        with self._lock:
            now = self._clock()
            self._spare = min(BURST, self._spare + (now - self._counted_at) * PER_SECOND)
            self._counted_at = now
            if self._under_way >= AT_ONCE * (1 - reserved) or self._spare - 1 < BURST * reserved:
                raise Overloaded
            self._under_way += 1
            self._spare -= 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way -= 1
