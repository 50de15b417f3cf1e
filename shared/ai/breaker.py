"""A circuit breaker: after failures in a row nothing is asked for a while, then one call probes whether it is over."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from shared.metrics import registry

FAILURES_TO_OPEN = 5
PAUSE_SECONDS = 30.0


class BreakerState(StrEnum):
    """What happens to the next call."""

    CLOSED = "closed"  # it is let through
    OPEN = "open"  # it is refused
    HALF_OPEN = "half_open"  # the pause is over: one call is let through at a time, until one succeeds


@dataclass(frozen=True, slots=True)
class Counts:
    """How often what happened to this breaker."""

    succeeded: int = 0
    failed: int = 0
    refused: int = 0
    opened: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """One call that was let through. Its outcome is reported once: succeeded, failed or abandoned."""

    is_probe: bool
    epoch: int  # a call of an earlier epoch says nothing about the present one


class Breaker:
    """Safe to use from many threads. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        *,
        failures_to_open: int = FAILURES_TO_OPEN,
        pause_seconds: float = PAUSE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failures_to_open = failures_to_open
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures_in_a_row = 0
        self._opened_at: float | None = None
        self._probing = False
        self._epoch = 0
        self._happened: Counter[str] = Counter()

    @property
    def state(self) -> BreakerState:
        """Return what would happen to a call now."""
        with self._lock:
            return self._state()

    @property
    def counts(self) -> Counts:
        """Return how often what happened since the start."""
        with self._lock:
            return Counts(**self._happened)

    def admit(self) -> Permit | None:
        """Let a call through, or return None: then nothing may be asked now."""
        with self._lock:
            state = self._state()
            if state is BreakerState.OPEN or (state is BreakerState.HALF_OPEN and self._probing):
                self._count("refused")
                return None
            self._probing = state is BreakerState.HALF_OPEN
            return Permit(self._probing, self._epoch)

    def succeeded(self, permit: Permit) -> None:
        """The call was answered, if only with a refusal of what was asked."""
        with self._lock:
            self._count("succeeded")
            if permit.epoch == self._epoch:
                self._failures_in_a_row = 0
                if permit.is_probe:
                    self._turn(opened_at=None)

    def failed(self, permit: Permit) -> None:
        """The call was not answered, or not to its end."""
        with self._lock:
            self._count("failed")
            if permit.epoch == self._epoch:
                self._failures_in_a_row += 1
                if permit.is_probe or self._failures_in_a_row >= self._failures_to_open:
                    self._count("opened")
                    self._turn(opened_at=self._clock())

    def abandoned(self, permit: Permit) -> None:
        """Nobody waited for the call's end, so nothing is known; another call may probe."""
        with self._lock:
            if permit.epoch == self._epoch and permit.is_probe:
                self._probing = False

    def _state(self) -> BreakerState:
        if self._opened_at is None:
            return BreakerState.CLOSED
        if self._clock() - self._opened_at < self._pause_seconds:
            return BreakerState.OPEN
        return BreakerState.HALF_OPEN

    def _count(self, what: str) -> None:
        self._happened[what] += 1
        registry.count("liftlog_ai_calls_total", outcome=what)

    def _turn(self, *, opened_at: float | None) -> None:
        self._opened_at = opened_at
        self._failures_in_a_row = 0
        self._probing = False
        self._epoch += 1
