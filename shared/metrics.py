"""Metrics of this process, minute by minute, until they are written to where those of all instances add up.

A series is named as Prometheus writes it: `liftlog_errors_total{type="Overloaded"}`. Counts are of one minute each, so
that writing them once more changes nothing. Nothing here knows a database or HTTP.
"""

import re
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID, uuid4

MINUTE_SECONDS = 60
LATENCY_BOUNDS_MS = (5, 10, 25, 50, 75, 100, 200, 300, 500, 750, 1000, 2500, 5000, 10_000)
_SERIES = re.compile(r"(\w+)(?:\{(.*)\})?")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_MOST_MINUTES = 24 * 60  # kept while the database is away; the oldest go first


@dataclass(frozen=True, slots=True)
class Bucket:
    """What one instance counted in one minute, and its gauges at the minute's last writing."""

    minute: int  # Unix time in seconds of its beginning, by this machine's clock
    counts: dict[str, float]
    gauges: dict[str, float]


@lru_cache(maxsize=4096)
def series(name: str, **labels: str) -> str:
    """Return the name of a series. Label values are ours (routes, statuses, classes) and hold no quotation marks."""
    if not labels:
        return name
    pairs = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{pairs}}}"


def taken_apart(text: str) -> tuple[str, dict[str, str]]:
    """Return the name and the labels that the name of a series holds."""
    match = _SERIES.fullmatch(text)
    return (match[1], dict(_LABEL.findall(match[2] or ""))) if match is not None else (text, {})


class Registry:
    """Counts and gauges of a process. Safe to use from many threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._minutes: dict[int, dict[str, float]] = {}
        self._gauges: dict[str, Callable[[], float]] = {}
        self._instance: UUID | None = None

    @property
    def instance(self) -> UUID:
        """This process's name among all instances, made at first use, after the server has forked."""
        with self._lock:
            if self._instance is None:
                self._instance = uuid4()
            return self._instance

    def count(self, name: str, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        self.add({series(name, **labels): amount})

    def add(self, counts: dict[str, float]) -> None:
        """Add to several series at once."""
        minute = int(self._clock()) // MINUTE_SECONDS * MINUTE_SECONDS
        with self._lock:
            bucket = self._minutes.get(minute)
            if bucket is None:
                bucket = self._minutes[minute] = defaultdict(float)
                if len(self._minutes) > _MOST_MINUTES:
                    del self._minutes[min(self._minutes)]
            for name, amount in counts.items():
                bucket[name] += amount

    def gauge(self, name: str, read: Callable[[], float], **labels: str) -> None:
        """Have a value read whenever metrics are written."""
        with self._lock:
            self._gauges[series(name, **labels)] = read

    def buckets(self) -> list[Bucket]:
        """Return every minute that was not written to its end, the oldest first."""
        with self._lock:
            minutes = [(minute, dict(counts)) for minute, counts in sorted(self._minutes.items())]
            readers = list(self._gauges.items())
        gauges = {name: float(read()) for name, read in readers}
        return [Bucket(minute, counts, gauges) for minute, counts in minutes]

    def forget(self, written: list[Bucket]) -> None:
        """Drop the minutes that were written and are over."""
        now = int(self._clock()) // MINUTE_SECONDS * MINUTE_SECONDS
        with self._lock:
            for bucket in written:
                if bucket.minute < now and dict(self._minutes.get(bucket.minute, {})) == bucket.counts:
                    del self._minutes[bucket.minute]


def observation(name: str, seconds: float, **labels: str) -> dict[str, float]:
    """Return what a duration adds to a histogram. Its buckets are not cumulative; whoever exposes them adds them up."""
    index = bisect_left(LATENCY_BOUNDS_MS, seconds * 1000)
    bound = f"{LATENCY_BOUNDS_MS[index] / 1000:g}" if index < len(LATENCY_BOUNDS_MS) else "+Inf"
    return {
        series(f"{name}_bucket", **labels, le=bound): 1,
        series(f"{name}_sum", **labels): seconds,
        series(f"{name}_count", **labels): 1,
    }


registry = Registry()
