"""Writes this process's metrics to the database every few seconds, at the end of a request, and once more at the end.

Not from a thread of its own: between requests a function's CPU may be throttled. What cannot be written is kept.
"""

import atexit
import logging
import threading
import time
from functools import cache

from shared.data import database, metric_buckets
from shared.ending import at_end
from shared.errors import ServiceError
from shared.metrics import registry
from shared.process import CpuMeter, memory_percent
from shared.settings.operation import metric_settings

log = logging.getLogger(__name__)

PAUSE_SECONDS = 30.0  # after a failure


class MetricWriter:
    """Safe to use from many threads; one writes at a time, nobody waits for another."""

    def __init__(self, flush_seconds: float) -> None:
        self._flush_seconds = flush_seconds
        self._lock = threading.Lock()
        self._due_at = time.monotonic() + flush_seconds

    def write_if_due(self) -> None:
        """Write if the last time is long enough ago. Raises nothing."""
        if time.monotonic() >= self._due_at and self._lock.acquire(blocking=False):
            try:
                self._write()
            finally:
                self._lock.release()

    def write(self) -> None:
        """Write now. Raises nothing."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        buckets = registry.buckets()
        pause = self._flush_seconds
        if buckets:
            try:
                metric_buckets.put(database(), registry.instance, buckets)
            except ServiceError as error:
                log.warning("metrics not written", extra={"cause": str(error)})
                pause = max(pause, PAUSE_SECONDS)
            else:
                registry.forget(buckets)
        self._due_at = time.monotonic() + pause


@cache
def writer() -> MetricWriter:
    """Return this process's writer, which counts its time from its first request on. Raises InvalidSetting."""
    made = MetricWriter(metric_settings().flush_seconds)
    cpu = CpuMeter()
    registry.gauge("liftlog_process_memory_percent", memory_percent)
    registry.gauge("liftlog_process_cpu_percent", cpu.percent)
    at_end(made.write)  # when SIGTERM comes, for the case that a request outlasts the process
    atexit.register(made.write)  # after the last request; registered in the worker, else the arbiter would, too
    return made
