"""Wrong tries of a secret, counted by whence they come: after too many in a row the next has to wait.

In this process alone: each instance lets in as many, which is few of those that guessing would need, and a stranger
writes nothing into the database.
"""

import threading

from shared.errors import TooManyTries
from shared.short_memory import ShortMemory

MOST_OF_ADDRESS = 20
MOST_OF_NOBODY = 200  # of all whose address is not known, behind a proxy that is not trusted
PAUSE_SECONDS = 60.0  # from the last try that was looked at
_MOST_SOURCES = 10_000


class WrongTries:
    """Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: ShortMemory[str | None, int] = ShortMemory(_MOST_SOURCES)

    def refuse_if_many(self, source: str | None) -> None:
        """Raises TooManyTries. `source` is a client's address, None if it is nobody's."""
        if (self._found.find(source) or 0) >= (MOST_OF_NOBODY if source is None else MOST_OF_ADDRESS):
            raise TooManyTries

    def count(self, source: str | None) -> None:
        """Take in a wrong try."""
        with self._lock:
            self._found.put(source, (self._found.find(source) or 0) + 1, PAUSE_SECONDS)
