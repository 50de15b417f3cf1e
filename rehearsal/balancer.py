"""A load balancer as a plan describes it: its URL map decides, and functions on this machine answer.

Like Google's it hands bodies through as they come, opens WebSockets, adds X-Forwarded-For, X-Forwarded-Proto, Via and a
trace, and has no answer of its own but 503 (and 400 to what is no HTTP): installed apps delete their account on a 404.
"""

import ipaddress
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http import HTTPStatus
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import h11

from local.processes import Address
from rehearsal.url_map import UrlMap

Headers = list[tuple[bytes, bytes]]
CHUNK_BYTES = 64 * 1024
CONNECT_SECONDS = 5.0
KEEP_ALIVE_SECONDS = 610.0  # Google's, to clients
BACKEND_SECONDS = 3600.0  # the longest time-out of a function
DRAIN_SECONDS = 10.0
DRAIN_BYTES = 32 * 1024 * 1024
RETRY_SOON = (b"Retry-After", b"2")
VIA = (b"Via", b"1.1 google")
# Of one connection, and never handed on (RFC 9110 §7.6.1). A body's framing stays: h11 frames it anew.
HOP_BY_HOP = {b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer"}
UPGRADE = {b"upgrade", b"expect"}


class Balancer(ThreadingTCPServer):
    """The load balancer on a port of its own. Serves from `start` to `stop`."""

    allow_reuse_address = True
    daemon_threads = True  # an open WebSocket does not hold up the end
    request_queue_size = 128

    def __init__(self, address: Address, domain: str, url_map: UrlMap, find: Callable[[str], Address | None]) -> None:
        """`find` says where a function listens, None if it does not."""
        super().__init__(address, _Client)
        self.domain = domain
        self.url_map = url_map
        self.find = find
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in mid-request is not worth a traceback."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Client(StreamRequestHandler):
    """A client's connection: its requests, one after another."""

    server: Balancer
    timeout = KEEP_ALIVE_SECONDS
    disable_nagle_algorithm = True

    def handle(self) -> None:
        client = _Peer(self.connection, h11.SERVER)
        while True:
            try:
                request = client.next_event()
                if not isinstance(request, h11.Request):
                    return
                self._answer(client, request)
            except h11.RemoteProtocolError as error:
                self._refuse(client, error.error_status_hint)
            if not client.is_done():
                client.drain()
                return
            client.http.start_next_cycle()

    def _answer(self, client: "_Peer", request: h11.Request) -> None:
        headers = dict(request.headers)
        path = request.target.partition(b"?")[0].decode("latin-1")
        found = self.server.url_map.find(self._host(headers.get(b"host", b"").decode("latin-1")), path)
        if not isinstance(found, str):
            self._refuse(client, found)
            return
        backend = self._connect(found)
        if backend is None:
            self._refuse(client, HTTPStatus.SERVICE_UNAVAILABLE, RETRY_SOON)
            return
        with backend.socket:
            try:
                backend.send(
                    h11.Request(method=request.method, target=request.target, headers=self._handed_on(request))
                )
                for event in client.body():
                    backend.send(event)
            except OSError:
                pass  # it may have answered early, and hung up
            self._answer_from(backend, client)

    def _connect(self, function: str) -> "_Peer | None":
        address = self.server.find(function)
        if address is None:
            return None
        try:
            connection = socket.create_connection(address, CONNECT_SECONDS)
        except OSError:
            return None
        connection.settimeout(BACKEND_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _Peer(connection, h11.CLIENT)

    def _answer_from(self, backend: "_Peer", client: "_Peer") -> None:
        try:
            for event in backend.answer():
                client.send(event)
                if isinstance(event, h11.InformationalResponse):
                    _splice(client, backend)
        except (h11.RemoteProtocolError, OSError):
            if client.http.our_state is not h11.SEND_RESPONSE:
                raise ConnectionAbortedError from None  # half an answer: the client must see that it is not whole
            self._refuse(client, HTTPStatus.SERVICE_UNAVAILABLE, RETRY_SOON)

    def _handed_on(self, request: h11.Request) -> Headers:
        """Return a request's headers as a function gets them."""
        given = dict(request.headers)
        way = [given[b"x-forwarded-for"]] if b"x-forwarded-for" in given else []
        way += [self.client_address[0].encode(), self.connection.getsockname()[0].encode()]
        headers = [
            *_kept(request.headers, UPGRADE | {b"x-forwarded-for", b"x-forwarded-proto"}),
            (b"X-Forwarded-For", b",".join(way)),
            (b"X-Forwarded-Proto", b"http"),
            VIA,
        ]
        if b"x-cloud-trace-context" not in given:
            headers.append((b"X-Cloud-Trace-Context", f"{secrets.token_hex(16)}/{secrets.randbits(63)}".encode()))
        if given.get(b"upgrade", b"").lower() == b"websocket":
            headers += [(b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
        return headers

    def _host(self, header: str) -> str:
        """Return the host that a request is for. This machine's own names stand for the domain."""
        host = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() else header
        with suppress(ValueError):
            ipaddress.ip_address(host.strip("[]"))
            return self.server.domain
        return self.server.domain if host.lower() == "localhost" else host

    def _refuse(self, client: "_Peer", status: int, *headers: tuple[bytes, bytes]) -> None:
        """Answer in the load balancer's own name, and end the connection."""
        if client.http.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return
        text = HTTPStatus(status).phrase.encode()
        framing = [(b"Content-Type", b"text/plain"), (b"Content-Length", b"%d" % len(text)), (b"Connection", b"close")]
        client.send(h11.Response(status_code=status, headers=[*framing, *headers]))
        if client.method != b"HEAD":
            client.send(h11.Data(data=text))
        client.send(h11.EndOfMessage())


class _Peer:
    """One side of a connection."""

    def __init__(self, connection: socket.socket, role: type[h11.CLIENT] | type[h11.SERVER]) -> None:
        self.socket = connection
        self.http = h11.Connection(role, max_incomplete_event_size=CHUNK_BYTES)
        self.method = b""

    def send(self, event: Any) -> None:
        data = self.http.send(event)
        if data:
            self.socket.sendall(data)

    def next_event(self) -> Any:
        """Return the next event, after reading as much as it takes. Raises h11.RemoteProtocolError, OSError."""
        while (event := self.http.next_event()) is h11.NEED_DATA:
            if self.http.they_are_waiting_for_100_continue:
                self.send(h11.InformationalResponse(status_code=100, headers=[]))
            self.http.receive_data(self.socket.recv(CHUNK_BYTES))
        if isinstance(event, h11.Request):
            self.method = event.method
        return event

    def body(self) -> Iterator[h11.Data | h11.EndOfMessage]:
        """Give what follows a request's headers, as it comes."""
        while isinstance(event := self.next_event(), h11.Data):
            yield event
        yield h11.EndOfMessage()

    def drain(self) -> None:
        """Read the rest of a body into nothing, up to a limit: to close on unread bytes would destroy the answer."""
        self.socket.settimeout(DRAIN_SECONDS)
        left = DRAIN_BYTES
        with suppress(OSError, h11.RemoteProtocolError):
            while left > 0 and self.http.their_state is h11.SEND_BODY:
                event = self.next_event()
                left -= len(event.data) if isinstance(event, h11.Data) else 0

    def answer(self) -> Iterator[Any]:
        """Give a response's parts as they come; the last is its end, or the beginning of a WebSocket.

        Raises h11.RemoteProtocolError and OSError where it breaks off.
        """
        while True:
            event = self.next_event()
            if isinstance(event, h11.InformationalResponse):
                if event.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
                    yield event
                    return
            elif isinstance(event, h11.Response):
                headers = [*_kept(event.headers, set()), VIA]
                yield h11.Response(status_code=event.status_code, reason=event.reason, headers=headers)
            elif isinstance(event, h11.Data):
                yield event
            else:
                yield h11.EndOfMessage()
                return

    def is_done(self) -> bool:
        """Tell whether both sides have said everything, and may go on with another request."""
        return self.http.our_state is h11.DONE and self.http.their_state is h11.DONE


def _kept(headers: Any, dropped: set[bytes]) -> Headers:
    """Return the headers that are handed on, in the case in which they came."""
    return [(raw, value) for raw, value in headers.raw_items() if raw.lower() not in HOP_BY_HOP | dropped]


def _splice(client: _Peer, backend: _Peer) -> None:
    """Carry bytes both ways until one side hangs up."""
    back = threading.Thread(target=_carry, args=(backend, client), daemon=True)
    back.start()
    _carry(client, backend)
    back.join()


def _carry(source: _Peer, target: _Peer) -> None:
    with suppress(OSError):
        source.socket.settimeout(BACKEND_SECONDS)
        target.socket.sendall(source.http.trailing_data[0])
        while data := source.socket.recv(CHUNK_BYTES):
            target.socket.sendall(data)
    for peer in (source, target):
        with suppress(OSError):
            peer.socket.shutdown(socket.SHUT_RDWR)
