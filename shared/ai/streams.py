"""One answer of the model, read by a thread of its own, so that whoever waits for it has deadlines and can end it.

A thread that waits in a socket can only be woken by the socket: closing it does not do that, shutting it down does. The
reader therefore registers its connection with a Line, which any thread may cut.
"""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from shared.ai.breaker import Breaker, Permit
from shared.errors import ContextFull, ModelRefused, ModelUnavailable

log = logging.getLogger(__name__)

WHOLE_ANSWER_SECONDS = 300.0
SILENCES_IN_ANSWER = 3  # an answer may take as many of the longest silences, where that is longer

_FOREVER_SECONDS = 3600.0  # the deadlines are shorter


@dataclass(frozen=True, slots=True)
class Words:
    """A piece of the answer's text. An empty one is a sign of life."""

    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A piece of the text in which the model says that it will not answer."""

    text: str


@dataclass(frozen=True, slots=True)
class CallPart:
    """A piece of a tool call. The id stands in one of them at least; the name may come in pieces, too."""

    index: int
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class End:
    """The answer is over: "stop", "tool_calls", "length" (cut, it became too long), "content_filter"."""

    reason: str


Piece = Words | Refusal | CallPart | End


class Line:
    """The connection on which an answer comes. Any thread may cut it, before it is opened, too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cut = threading.Event()
        self._socket: socket.socket | None = None

    def carry_over(self, connection: socket.socket) -> None:
        """Register the socket that is used from now on."""
        with self._lock:
            self._socket = connection
            if self._cut.is_set():
                _shut_down(connection)

    def cut(self) -> None:
        """End the connection: whoever reads from it is woken with an error, and the other side sees it closed."""
        with self._lock:
            self._cut.set()
            if self._socket is not None:
                _shut_down(self._socket)

    def rest(self, seconds: float) -> bool:
        """Wait, and tell whether the line is still wanted."""
        return not self._cut.wait(seconds)


def _is_of_model(error: BaseException) -> bool:
    """Tell whether an error counts as a failure of the model."""
    return (
        error.is_of_model if isinstance(error, ModelUnavailable) else not isinstance(error, ModelRefused | ContextFull)
    )


def _shut_down(connection: socket.socket) -> None:
    with suppress(OSError):  # closed already, or not connected any more
        # not SSLSocket's own, which would drop the TLS state that the reader is using
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


class Stream:
    """The pieces of one answer. A context manager: leaving it early ends the request."""

    def __init__(
        self,
        source: Callable[[Line], Iterator[Piece]],
        breaker: Breaker,
        permit: Permit,
        silence_seconds: float,
        last_moment: float | None = None,
    ) -> None:
        """`source` is run in the reader's thread. It registers its connection and yields pieces, End among them.

        `silence_seconds` may pass before the first piece and between two; after `last_moment`, monotonic, none counts.
        """
        self._source = source
        self._breaker = breaker
        self._permit = permit
        self._line = Line()
        self._pieces: SimpleQueue[Piece | BaseException] = SimpleQueue()
        self._silence_seconds = silence_seconds
        now = time.monotonic()
        whole_seconds = max(WHOLE_ANSWER_SECONDS, SILENCES_IN_ANSWER * silence_seconds)
        self.last_moment = now + whole_seconds if last_moment is None else last_moment
        self._deadline = min(now + silence_seconds, self.last_moment)
        self._settling = threading.Lock()
        self._settled = False
        threading.Thread(target=self._read, name="model-answer", daemon=True).start()

    def next(self, patience_seconds: float) -> Piece | None:
        """Return the next piece, or None if none has come for that long. After End nothing comes.

        Raises ModelUnavailable if the answer fails or is too slow, ModelRefused, ContextFull.
        """
        now = time.monotonic()
        try:
            piece = self._pieces.get(timeout=max(0.0, min(patience_seconds, self._deadline - now)))
        except Empty:
            if time.monotonic() < self._deadline:
                return None
            raise self._give_up() from None
        if isinstance(piece, BaseException):
            raise piece
        self._deadline = min(time.monotonic() + self._silence_seconds, self.last_moment)
        return piece

    def rest(self) -> Iterator[Piece]:
        """Return all further pieces up to End. Raises as `next`."""
        while True:
            piece = self.next(_FOREVER_SECONDS)
            if piece is not None:
                yield piece
                if isinstance(piece, End):
                    return

    def close(self) -> None:
        """End the request, if its answer is not over. Safe to repeat, from any thread."""
        if self._settle(self._breaker.abandoned):
            self._line.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        try:
            for piece in self._source(self._line):
                if isinstance(piece, End):
                    self._settle(self._breaker.succeeded)
                self._pieces.put(piece)  # what comes after End is read, so that the connection ends in order
        except BaseException as error:  # the thread's edge: whatever it is, the one who waits gets it
            if self._settle(self._breaker.failed if _is_of_model(error) else self._breaker.succeeded):
                log.warning("model failed", extra={"fault": type(error).__name__, "cause": str(error)})
            self._pieces.put(error)

    def _give_up(self) -> ModelUnavailable:
        fault = ModelUnavailable("no answer in time")
        if self._settle(self._breaker.failed):
            log.warning("model failed", extra={"fault": type(fault).__name__, "cause": str(fault)})
        self._line.cut()
        return fault

    def _settle(self, report: Callable[[Permit], None]) -> bool:
        """Report the outcome, the first one that is known. Tell whether it was."""
        with self._settling:
            if self._settled:
                return False
            self._settled = True
        report(self._permit)
        return True
