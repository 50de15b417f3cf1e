"""What stores have said: in this process, for a while, by hash."""

import time
from datetime import UTC, datetime

from shared.short_memory import ShortMemory
from shared.subscriptions.subscribers import Subscriber

PAID_SECONDS = 300.0
TRUSTED_SECONDS = 30.0  # then a store that failed is asked again
NOT_PAID_SECONDS = 10.0  # whoever buys right after a no is let in so much later
KNOWN_SECONDS = 24 * 3600.0
LONGEST_OUTAGE_SECONDS = 7 * 24 * 3600.0
MOST_SUBSCRIBERS = 10_000  # of each kind; some 2 MB


class Memory:
    """Which subscribers need not be asked for now, and which have been let in before. Threads share it."""

    def __init__(self) -> None:
        self._paid = ShortMemory[Subscriber, bool](MOST_SUBSCRIBERS)
        self._not_paid = ShortMemory[Subscriber, bool](MOST_SUBSCRIBERS)
        self._last_yes = ShortMemory[Subscriber, float](MOST_SUBSCRIBERS)  # when, by the monotonic clock

    def is_paid(self, subscriber: Subscriber) -> bool:
        """Tell whether a store has said yes a short while ago, or has failed since and the subscriber was trusted."""
        return self._paid.find(subscriber) is not None

    def is_not_paid(self, subscriber: Subscriber) -> bool:
        """Tell whether a store has said no a moment ago."""
        return self._not_paid.find(subscriber) is not None

    def knows(self, subscriber: Subscriber) -> bool:
        """Tell whether a store has said yes within a day, and nothing else since."""
        return self.was_paid_within(subscriber, KNOWN_SECONDS)

    def was_paid_within(self, subscriber: Subscriber, seconds: float) -> bool:
        """Tell whether a store has said yes within that time, a week at most, and nothing else since."""
        last_yes = self._last_yes.find(subscriber)
        return last_yes is not None and time.monotonic() - last_yes < seconds

    def add_paid(self, subscriber: Subscriber, paid_until: datetime) -> None:
        """Remember a yes for five minutes, or until the subscription's end if that comes first."""
        seconds = min(PAID_SECONDS, (paid_until - datetime.now(UTC)).total_seconds())
        self._paid.put(subscriber, value=True, seconds=seconds)
        self._last_yes.put(subscriber, value=time.monotonic(), seconds=LONGEST_OUTAGE_SECONDS)

    def add_trusted(self, subscriber: Subscriber) -> None:
        """Remember for half a minute that a subscriber was let in while the store failed: to ask it takes seconds."""
        self._paid.put(subscriber, value=True, seconds=TRUSTED_SECONDS)

    def add_not_paid(self, subscriber: Subscriber) -> None:
        """Remember a no for ten seconds. Only what a store has said is one, never that it failed."""
        self._not_paid.put(subscriber, value=True, seconds=NOT_PAID_SECONDS)
        self._last_yes.drop(subscriber)
