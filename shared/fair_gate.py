"""A gate that lets one in at a time, in turn between those for whom they come: a crowd of one waits behind itself."""

import threading
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from shared.errors import Overloaded


@dataclass(slots=True, eq=False)
class _Waiter:
    decided: threading.Event = field(default_factory=threading.Event)
    goes_in: bool = False


class FairGate:
    """Safe to use from many threads.

    Where as many wait as may, a newcomer takes the place of the last of the longest crowd, unless that is its own.
    """

    def __init__(self, most_waiting: int, wait_seconds: float) -> None:
        self._most_waiting = most_waiting
        self._wait_seconds = wait_seconds
        self._lock = threading.Lock()
        self._is_taken = False  # always where somebody waits
        self._crowds: OrderedDict[Hashable, deque[_Waiter]] = OrderedDict()  # the one whose turn it is first

    @contextmanager
    def enter(self, whose: Hashable) -> Iterator[None]:
        """Be within the block alone. Raises Overloaded, at once or after `wait_seconds`."""
        self._wait(whose)
        try:
            yield
        finally:
            self._let_next_in()

    def _wait(self, whose: Hashable) -> None:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            if sum(map(len, self._crowds.values())) >= self._most_waiting:
                self._make_room(whose)
            waiter = _Waiter()
            self._crowds.setdefault(whose, deque()).append(waiter)
        waiter.decided.wait(self._wait_seconds)
        with self._lock:
            if waiter.goes_in:
                return
            if not waiter.decided.is_set():
                self._remove(whose, waiter)
        raise Overloaded

    def _make_room(self, whose: Hashable) -> None:
        longest = max(self._crowds, key=lambda crowd: len(self._crowds[crowd]))
        if len(self._crowds[longest]) <= len(self._crowds.get(whose, ())) + 1:
            raise Overloaded
        last = self._crowds[longest][-1]
        self._remove(longest, last)
        last.decided.set()

    def _let_next_in(self) -> None:
        with self._lock:
            if not self._crowds:
                self._is_taken = False
                return
            whose, crowd = next(iter(self._crowds.items()))
            waiter = crowd[0]
            self._remove(whose, waiter)
            if crowd:
                self._crowds.move_to_end(whose)
            waiter.goes_in = True
            waiter.decided.set()

    def _remove(self, whose: Hashable, waiter: _Waiter) -> None:
        crowd = self._crowds[whose]
        crowd.remove(waiter)
        if not crowd:
            del self._crowds[whose]
