"""A TCP proxy before PostgreSQL that understands enough of its protocol to count, and can cut.

Each statement that pg8000 sends in the extended protocol ends in one Sync message, which is one round trip; preparing
one costs another, once for each connection.
"""

import contextlib
import socket
import struct
import threading
from urllib.parse import parse_qs, urlsplit


class PostgresProxy:
    """Listens on a TCP port of its own and forwards to the server of a URL."""

    def __init__(self, target_url: str) -> None:
        target = urlsplit(target_url)
        self._folder = parse_qs(target.query).get("host", [""])[0]
        self._address = (target.hostname or "localhost", target.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = (
            f"postgresql://{target.username}:{target.password or ''}@127.0.0.1:{port}{target.path}?sslmode=disable"
        )
        self._lock = threading.Lock()
        self._messages: list[str] = []
        self._sockets: list[socket.socket] = []
        self._answers_to_lose = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def round_trips(self) -> int:
        """How many round trips were asked for since the last `forget`."""
        with self._lock:
            return sum(kind in {"S", "Q"} for kind in self._messages)

    def statements(self) -> int:
        """How many statements were executed since the last `forget`."""
        with self._lock:
            return sum(kind in {"E", "Q"} for kind in self._messages)

    def forget(self) -> None:
        with self._lock:
            self._messages.clear()

    def lose_next_answer(self) -> None:
        """Cut the connection on which the server answers next, in place of the answer."""
        with self._lock:
            self._answers_to_lose = 1

    def cut(self) -> None:
        """Close every connection at once, in both directions."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # else the accept that waits takes one more
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._connect()
            with self._lock:
                self._sockets += [client, server]
            threading.Thread(target=self._forward, args=(server, client), daemon=True).start()
            threading.Thread(target=self._forward_counting, args=(client, server), daemon=True).start()

    def _connect(self) -> socket.socket:
        if not self._folder.startswith("/"):
            return socket.create_connection(self._address)
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(f"{self._folder}/.s.PGSQL.{self._address[1]}")
        return sock

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while (data := source.recv(65536)) and not self._is_to_be_lost():
                target.sendall(data)
        except OSError:
            pass
        finally:
            _end(source, target)

    def _is_to_be_lost(self) -> bool:
        with self._lock:
            lost, self._answers_to_lose = self._answers_to_lose, 0
        return lost > 0

    def _forward_counting(self, source: socket.socket, target: socket.socket) -> None:
        """Forward what a client sends and note the kind of each message; the first one has none."""
        buffer, started = b"", False
        try:
            while data := source.recv(65536):
                buffer += data
                while True:
                    header = 5 if started else 4
                    if len(buffer) < header:
                        break
                    length = struct.unpack_from("!i", buffer, header - 4)[0] + header - 4
                    if len(buffer) < length:
                        break
                    if started:
                        with self._lock:
                            self._messages.append(chr(buffer[0]))
                    buffer, started = buffer[length:], True
                target.sendall(data)
        except OSError:
            pass
        finally:
            _end(source, target)


def _end(*sockets: socket.socket) -> None:
    for sock in sockets:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
        sock.close()
