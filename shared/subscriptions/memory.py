"""What stores have said yes to: in this process, for minutes, by hash."""

import threading
import time
from datetime import UTC, datetime

from shared.subscriptions.subscribers import Subscriber

LONGEST_SECONDS = 300.0
MOST_SUBSCRIBERS = 10_000  # some 2 MB


class Memory:
    """Subscribers and the instant at which each must be asked for again. Threads share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: dict[Subscriber, float] = {}  # the monotonic clock's; the oldest entry first

    def holds(self, subscriber: Subscriber) -> bool:
        """Tell whether a store has said yes a short while ago."""
        with self._lock:
            return self._until.get(subscriber, 0.0) > time.monotonic()

    def add(self, subscriber: Subscriber, paid_until: datetime) -> None:
        """Remember a yes for five minutes, or until the subscription's end if that comes first."""
        seconds = min(LONGEST_SECONDS, (paid_until - datetime.now(UTC)).total_seconds())
        with self._lock:
            self._until.pop(subscriber, None)
            if len(self._until) >= MOST_SUBSCRIBERS:
                del self._until[next(iter(self._until))]
            self._until[subscriber] = time.monotonic() + seconds
