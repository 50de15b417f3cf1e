"""A client's connection: its socket, the request that comes in, and what of an answer is still to go out."""

import enum
import os
import socket
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from shared.worker.incoming import Incoming

_MOST_PIECES = 64  # given to the kernel at once; it takes 1024
_MOST_OF_FILE_BYTES = 1024 * 1024  # given to the kernel at once: others wait meanwhile


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client is waited for, in seconds."""

    head: float = 30.0  # until the head of a request is whole
    silence: float = 30.0  # of a body, or of who reads an answer
    grace: float = 30.0  # before either must have come at the least rate
    least_bytes_per_second: float = 1024.0  # on average; 3G brings a hundred times as much
    wanted: float = 2.0  # silence of who reads an answer, while others wait for the memory that it takes
    farewell: float = 2.0  # to take in the last answer, and close
    stopping: float = 2.0  # for a request to become whole when the process ends


class State(enum.Enum):
    """Who has to do something next. Only a thread that answers takes a client out of BUSY, under the loop's lock."""

    READING = enum.auto()  # the client: to send the rest of its request, or its next one
    BUSY = enum.auto()  # a thread
    WRITING = enum.auto()  # the client: to read
    LEAVING = enum.auto()  # the client: to close


@dataclass(slots=True)
class FilePart:
    """A part of a file that is to go out. The kernel sends it; nothing of it is in memory."""

    descriptor: int  # of our own
    offset: int
    missing_bytes: int
    source: Any  # the file as it was given: whoever counts such files sees it live as long as this part


class ClientSocket(socket.socket):
    """A socket whose `sendall` and `sendfile` wait for nobody: it keeps what it is given, for `flush`.

    Whoever sets a time-out, as a WebSocket does, has an ordinary socket.
    """

    def __init__(self, accepted: socket.socket) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.settimeout(0)
        self.outgoing: deque[memoryview | FilePart] = deque()

    @property
    def unsent_bytes(self) -> int:
        """How much memory is kept for what is to go out."""
        return sum(len(piece) for piece in self.outgoing if isinstance(piece, memoryview))

    def sendall(self, data: bytes, flags: int = 0) -> None:  # type: ignore[override]
        if self.gettimeout() == 0:
            self.outgoing.append(memoryview(data))
        else:
            super().sendall(data, flags)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        if self.gettimeout() != 0:
            return super().sendfile(file, offset, count)
        count = os.fstat(file.fileno()).st_size - offset if count is None else count
        self.outgoing.append(FilePart(os.dup(file.fileno()), offset, count, file))
        return count

    def flush(self) -> int:
        """Send as much of what is kept as the client takes now, and return the bytes. Raises OSError if it is gone.

        Of a file at most 1 MiB is sent.
        """
        sent_bytes = 0
        with suppress(BlockingIOError):
            while self.outgoing:
                first = self.outgoing[0]
                if isinstance(first, FilePart):
                    return sent_bytes + self._flush_file(first)
                sent_bytes += self._flush_memory()
        return sent_bytes

    def forget(self) -> None:
        """Drop what is kept."""
        while self.outgoing:
            piece = self.outgoing.popleft()
            if isinstance(piece, FilePart):
                os.close(piece.descriptor)

    def close(self) -> None:
        self.forget()
        super().close()

    def _flush_memory(self) -> int:
        pieces: list[memoryview] = []
        for piece in islice(self.outgoing, _MOST_PIECES):
            if isinstance(piece, FilePart):
                break
            pieces.append(piece)
        sent_bytes = sent = self.sendmsg(pieces)
        for piece in pieces:
            if sent < len(piece):
                self.outgoing[0] = piece[sent:]
                break
            sent -= len(piece)
            self.outgoing.popleft()
        return sent_bytes

    def _flush_file(self, part: FilePart) -> int:
        sent = os.sendfile(self.fileno(), part.descriptor, part.offset, min(part.missing_bytes, _MOST_OF_FILE_BYTES))
        if not sent and part.missing_bytes:
            raise OSError("the file became shorter")
        part.offset += sent
        part.missing_bytes -= sent
        if not part.missing_bytes:
            os.close(part.descriptor)
            self.outgoing.popleft()
        return sent


class ClientConnection:
    """A connection. Its first attributes are what gunicorn expects of one."""

    def __init__(self, sock: ClientSocket, address: object, server: object, now: float, keepalive: float) -> None:
        self.sock = sock
        self.client = address
        self.server = server
        self.state = State.READING
        self.incoming: Incoming | None = Incoming()  # None between two requests
        self.ahead = b""  # of the next request
        self.watched = 0  # the events that the loop is told of
        self.has_ended = False  # nothing more will come from it
        self.was_cut = False  # its last request: something of it may still come
        self.may_stay = True  # for another request, when its answer is out
        self.held_bytes = 0  # of a request that is not answered, or an answer that is not read
        self.kept_bytes = 0  # of an answer that is not read, in the budget of all
        self.moved_bytes = 0  # in or out, since the present state began
        self.began_at = now  # of the present state
        self.moved_at = now  # when something was last received or sent
        self._keepalive = keepalive

    @property
    def rests(self) -> bool:
        """Tell whether nothing is to be done for it but to wait for its next request, of which the loop is told."""
        return not (self.sock.outgoing or self.ahead or self.has_ended) and bool(self.watched)

    def drop_request(self) -> None:
        """Forget the request, which is answered or never will be."""
        if self.incoming:
            self.incoming.close()
        self.incoming = None

    def begin(self, state: State, now: float) -> None:
        """Change the state."""
        self.began_at = self.moved_at = now
        self.moved_bytes = 0
        self.state = state  # last: the loop may look at any time

    def move(self, byte_count: int, now: float) -> None:
        """Note that bytes were received or sent."""
        if byte_count:
            self.moved_bytes += byte_count
            self.moved_at = now

    def deadline(self, patience: Patience, *, is_wanted: bool = False) -> float:
        """Return when the client is waited for no longer, if nothing moves until then.

        `is_wanted`: others wait for the memory that it may have.
        """
        if self.state is State.BUSY:
            return float("inf")
        if self.state is State.LEAVING:
            return self.began_at + patience.farewell
        if self.state is State.READING and self.incoming is None:
            return self.began_at + self._keepalive
        if self.state is State.READING and self.incoming is not None and not self.incoming.has_head:
            return self.began_at + patience.head
        slowest = self.began_at + patience.grace + self.moved_bytes / patience.least_bytes_per_second
        silence = patience.wanted if is_wanted and self.kept_bytes else patience.silence
        return min(self.moved_at + silence, slowest)
