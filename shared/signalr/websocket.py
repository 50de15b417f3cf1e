"""The server's end of a WebSocket, on the socket that gunicorn has accepted (RFC 6455; wsproto knows its frames).

One thread reads, any may send. Nothing is compressed: compressors would cost 300 KB per connection.
"""

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

from werkzeug.datastructures import Headers
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

RECEIVE_BYTES = 16 * 1024
FAREWELL_SECONDS = 1.0  # for the client to close its end, too


class WebSocket:
    """An accepted connection. `sent_at` is when something was last sent, by time.monotonic."""

    def __init__(self, sock: socket.socket, headers: Headers, send_seconds: float) -> None:
        """Accept what was asked for with these headers. Raises RemoteProtocolError, ConnectionError."""
        self._sock = sock
        self._sock.settimeout(send_seconds)
        self._poller = select.poll()
        self._poller.register(sock, select.POLLIN)
        self._lock = threading.Lock()  # of the protocol's state, and of the order on the wire
        self._protocol = WSConnection(ConnectionType.SERVER)
        self.sent_at = time.monotonic()
        wanted = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        self._protocol.initiate_upgrade_connection(wanted, "/")
        if not any(isinstance(event, Request) for event in self._protocol.events()):
            raise RemoteProtocolError("no request for a WebSocket")
        self._send(AcceptConnection())

    def send(self, text: str) -> None:
        """Send a message. Raises ConnectionError if the client is gone, or takes nothing in for long."""
        self._send(Message(data=text))

    def receive(self, seconds: float) -> list[bytes]:
        """Return what has come in by then, in pieces; nothing if that is nothing. Raises ConnectionError at the end."""
        if not self._poller.poll(max(seconds, 0) * 1000):
            return []
        try:
            received = self._sock.recv(RECEIVE_BYTES)
        except OSError as error:
            raise ConnectionError("broken") from error
        if not received:
            raise ConnectionError("ended")
        with self._lock:
            try:
                self._protocol.receive_data(received)
                events = list(self._protocol.events())
            except (LocalProtocolError, RemoteProtocolError) as error:
                raise ConnectionError("not a WebSocket frame") from error
        return list(self._pieces(events))

    def wake(self) -> None:
        """Have the thread that reads find the connection ended; what was sent still arrives."""
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RD)

    def close(self) -> None:
        """Say farewell, wait a moment for the client's, and hang up. The thread that reads calls it."""
        deadline = time.monotonic() + FAREWELL_SECONDS
        with suppress(OSError):  # the client may have been faster
            self._send(CloseConnection(CloseReason.NORMAL_CLOSURE))
            self._sock.settimeout(FAREWELL_SECONDS)
            while time.monotonic() < deadline and self._sock.recv(RECEIVE_BYTES):
                pass
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)  # else gunicorn waits for the client, in its main thread

    def _send(self, event: Event) -> None:
        with self._lock:
            try:
                self._sock.sendall(self._protocol.send(event))
            except LocalProtocolError as error:
                raise ConnectionError("closed") from error
            except OSError as error:
                raise ConnectionError("broken") from error
            self.sent_at = time.monotonic()

    def _pieces(self, events: list[Event]) -> Iterator[bytes]:
        """Yield the contents of data frames, and answer the others."""
        for event in events:
            match event:
                case TextMessage(data=text):
                    yield text.encode()
                case BytesMessage(data=received):
                    yield bytes(received)
                case Ping():
                    self._send(event.response())
                case CloseConnection():
                    self._send(event.response())
                    raise ConnectionError("closed by the client")
