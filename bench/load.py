"""The load: keep-alive connections in one thread, one request under way on each, ready-made bytes, hardly any parsing.

It shares its cores with the servers, so what it costs itself is taken from them: about 20 µs a request.
"""

import selectors
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

ANSWER_SECONDS = 30.0
_CHUNK_BYTES = 1024 * 1024
_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"\r\ncontent-length:"
_OK = b"200"


class WrongAnswer(Exception):
    """An answer that is no complete 200; the message holds its beginning."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one measurement saw."""

    latencies: list[float]  # seconds, of each request from its first byte sent to its last byte received
    elapsed_seconds: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.elapsed_seconds


def measure(port: int, requests: Iterator[bytes], concurrency: int, seconds: float) -> Load:
    """Keep `concurrency` requests under way for some seconds, or until there are no more. Raises WrongAnswer."""
    with selectors.DefaultSelector() as selector:
        connections = [_Connection(port) for _ in range(concurrency)]
        try:
            for connection in connections:
                selector.register(connection.socket, selectors.EVENT_READ, connection)
            return _drive(selector, connections, requests, seconds)
        finally:
            for connection in connections:
                connection.socket.close()


def _drive(
    selector: selectors.BaseSelector, connections: list["_Connection"], requests: Iterator[bytes], seconds: float
) -> Load:
    latencies: list[float] = []
    start = time.perf_counter()
    end = start + seconds
    busy = 0
    for connection, request in zip(connections, islice(requests, len(connections)), strict=False):
        connection.send(request)
        busy += 1
    while busy:
        ready = selector.select(ANSWER_SECONDS)
        if not ready:
            raise WrongAnswer(f"none within {ANSWER_SECONDS:g} s")
        for key, _events in ready:
            if key.data.receive():
                now = time.perf_counter()
                latencies.append(now - key.data.sent_at)
                following = next(requests, None) if now < end else None
                if following is None:
                    busy -= 1
                else:
                    key.data.send(following)
    return Load(latencies, time.perf_counter() - start)


class _Connection:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0
        self._received = b""
        self._missing_bytes: int | None = None  # None until the head is whole

    def send(self, request: bytes) -> None:
        self._received = b""
        self._missing_bytes = None
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Take what has arrived. Tell whether the answer is whole. Raises WrongAnswer."""
        chunk = self.socket.recv(_CHUNK_BYTES)
        if not chunk:
            raise WrongAnswer(f"the connection ended after {self._received[:500]!r}")
        if self._missing_bytes is None:
            self._received += chunk
            self._missing_bytes = _missing_bytes(self._received)
        else:
            self._missing_bytes -= len(chunk)
        return self._missing_bytes == 0


def _missing_bytes(answer: bytes) -> int | None:
    """Return how much of an answer has not arrived, None if that is not known yet. Raises WrongAnswer."""
    end_of_head = answer.find(_END_OF_HEAD)
    if end_of_head < 0:
        return None
    length = answer[:end_of_head].lower().partition(_LENGTH)[2].partition(b"\r\n")[0]
    if answer[9:12] != _OK or not length:
        raise WrongAnswer(answer[:1000].decode(errors="replace"))
    return end_of_head + len(_END_OF_HEAD) + int(length) - len(answer)
