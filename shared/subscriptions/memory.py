"""What stores have said: in this process, for a while, by hash."""

from datetime import UTC, datetime

from shared.short_memory import ShortMemory
from shared.subscriptions.subscribers import Subscriber

PAID_SECONDS = 300.0
NOT_PAID_SECONDS = 10.0  # whoever buys right after a no is let in so much later
KNOWN_SECONDS = 24 * 3600.0
MOST_SUBSCRIBERS = 10_000  # of each kind; some 2 MB


class Memory:
    """Which subscribers need not be asked for now, and which have been let in before. Threads share it."""

    def __init__(self) -> None:
        self._paid = ShortMemory[Subscriber, bool](MOST_SUBSCRIBERS)
        self._not_paid = ShortMemory[Subscriber, bool](MOST_SUBSCRIBERS)
        self._known = ShortMemory[Subscriber, bool](MOST_SUBSCRIBERS)

    def is_paid(self, subscriber: Subscriber) -> bool:
        """Tell whether a store has said yes a short while ago."""
        return self._paid.find(subscriber) is not None

    def is_not_paid(self, subscriber: Subscriber) -> bool:
        """Tell whether a store has said no a moment ago."""
        return self._not_paid.find(subscriber) is not None

    def knows(self, subscriber: Subscriber) -> bool:
        """Tell whether a store has said yes within a day."""
        return self._known.find(subscriber) is not None

    def add_paid(self, subscriber: Subscriber, paid_until: datetime) -> None:
        """Remember a yes for five minutes, or until the subscription's end if that comes first."""
        seconds = min(PAID_SECONDS, (paid_until - datetime.now(UTC)).total_seconds())
        self._paid.put(subscriber, value=True, seconds=seconds)
        self._known.put(subscriber, value=True, seconds=KNOWN_SECONDS)

    def add_not_paid(self, subscriber: Subscriber) -> None:
        """Remember a no for ten seconds. Only what a store has said is one, never that it failed."""
        self._not_paid.put(subscriber, value=True, seconds=NOT_PAID_SECONDS)
