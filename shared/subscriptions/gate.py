"""How much the stores are asked: few questions at once, for each holds a thread, and few per second.

A store answers so many questions a minute of one project and refuses the rest (429), those about paying customers among
them. Whoever sends tokens that nobody was sold must not use that up, nor the threads that everybody else needs.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from shared.errors import Overloaded
from shared.short_memory import ShortMemory

AT_ONCE = 4  # three stores that are all silent hold 12 of a function's 16 threads
PER_SECOND = 4.0  # a yes is good for five minutes: 1,200 subscribers at work in one process
BURST = 40.0
RESERVED = 0.25  # of each, for those whom the store has said yes to before
NOES_PER_SECOND = 1 / 6  # to one address; who has bought something gets none
NOES_BURST = 20.0
MOST_ADDRESSES = 10_000

Clock = Callable[[], float]  # monotonic, in seconds


class Allowance:
    """So many of something at once, and then so many per second. Whoever shares one holds a lock."""

    def __init__(self, per_second: float, burst: float, clock: Clock) -> None:
        self._per_second, self._burst = per_second, burst
        self._clock = clock
        self._left = burst
        self._counted_at = clock()

    def left(self) -> float:
        """Return how many there may be now."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._counted_at) * self._per_second)
        self._counted_at = now
        return self._left

    def take(self) -> None:
        """Note one."""
        self._left = self.left() - 1


class StoreGate:
    """The way to one store. Safe to use from many threads."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        self._questions = Allowance(PER_SECOND, BURST, clock)

    @contextmanager
    def question(self, *, is_known: bool) -> Iterator[Callable[[], bool]]:
        """Be within the block while the store is asked. Raises Overloaded at once where too many are.

        The block gets a function that counts a repeat, and tells whether there may be one.
        """
        reserved = 0.0 if is_known else RESERVED
        with self._lock:
            if self._under_way >= AT_ONCE * (1 - reserved) or not self._take(reserved):
                raise Overloaded
            self._under_way += 1
        try:
            yield partial(self._repeat, reserved)
        finally:
            with self._lock:
                self._under_way -= 1

    def _repeat(self, reserved: float) -> bool:
        with self._lock:
            return self._take(reserved)

    def _take(self, reserved: float) -> bool:
        if self._questions.left() - 1 < BURST * reserved:
            return False
        self._questions.take()
        return True


class Noes:
    """How many noes stores have said to each address. Safe to use from many threads."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._allowances = ShortMemory[str, Allowance](MOST_ADDRESSES)

    def check(self, address: str | None) -> None:
        """Raises Overloaded for an address that was said no to too often. None is nobody's."""
        with self._lock:
            allowance = None if address is None else self._allowances.find(address)
            if allowance is not None and allowance.left() < 1:
                raise Overloaded

    def add(self, address: str | None) -> None:
        """Note a no."""
        if address is not None:
            with self._lock:
                allowance = self._allowances.find(address) or Allowance(NOES_PER_SECOND, NOES_BURST, self._clock)
                allowance.take()
                self._allowances.put(address, allowance, NOES_BURST / NOES_PER_SECOND)
