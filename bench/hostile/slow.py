"""Connections that stall: half a head, half a body, an answer that is not read, nothing at all. Each must end."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

from bench.hostile.requests import Stranger, new_stranger, raw
from bench.hostile.tallies import Tally

CONNECTIONS = 300  # of each kind, at once
GONE_SECONDS = 60.0  # a stalled connection is gone after 30 s, on a busy machine somewhat later
PICTURE_BYTES = 1_500_000
TINY_BUFFER_BYTES = 4096
HELD = {psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT}  # tcp(7): whoever has ended one is in none of these


def half_heads(port: int, seconds: float, connections: int) -> Tally:
    """Send half a head and wait."""
    return _stall(port, seconds, connections, lambda _account: b"PUT /user HTTP/1.1\r\nHost: localhost\r\nX-Half: ")


def half_bodies(port: int, seconds: float, connections: int) -> Tally:
    """Send a head and half a body and wait."""

    def request(account: Stranger) -> bytes:
        whole = raw("PUT", "/user", account.profile(PICTURE_BYTES // 100))
        return whole[: len(whole) // 2]

    return _stall(port, seconds, connections, request)


def silent(port: int, seconds: float, connections: int) -> Tally:
    """Connect and say nothing."""
    return _stall(port, seconds, connections, lambda _account: b"")


def unread(port: int, seconds: float, connections: int) -> Tally:
    """Ask for megabytes and read none of them."""

    def request(account: Stranger) -> bytes:
        return raw("GET", f"/user/{account.id}")

    return _stall(port, seconds, connections, request, picture_bytes=PICTURE_BYTES)


def _stall(
    port: int, seconds: float, connections: int, request: Callable[[Stranger], bytes], picture_bytes: int = 0
) -> Tally:
    """Open connections, send each its bytes, and see that all of them are ended by the other side."""
    account = new_stranger(port)
    if picture_bytes:
        with socket.create_connection(("127.0.0.1", port), seconds) as connection:
            connection.sendall(raw("PUT", "/user", account.profile(picture_bytes), Connection="close"))
            while connection.recv(TINY_BUFFER_BYTES):
                pass
    sent = request(account)
    began = time.monotonic()
    ours = [_connection(port, sent) for _ in range(connections)]
    numbers = {connection.getsockname()[1] for connection in ours}
    while (left := _held(port, numbers)) and time.monotonic() < began + max(seconds, GONE_SECONDS):
        time.sleep(1)
    gone = time.monotonic() - began
    for connection in ours:
        connection.close()
    tally = Tally(requests=connections, hang_count=left)
    tally.remarks.append(f"{connections - left} of {connections} were gone after {gone:.0f} s")
    if left:
        tally.hangs.append(f"{left} stayed for {gone:.0f} s: {sent[:80]!r}")
    return tally


def _connection(port: int, sent: bytes) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TINY_BUFFER_BYTES)
    connection.settimeout(GONE_SECONDS)
    with suppress(OSError):  # whoever is refused is gone at once
        connection.connect(("127.0.0.1", port))
        connection.sendall(sent)
    return connection


def _held(port: int, numbers: set[int]) -> int:
    """Return how many of the connections from our ports the other side has not ended."""
    return sum(
        connection.laddr.port == port and connection.status in HELD and connection.raddr.port in numbers
        for connection in psutil.net_connections("tcp")
        if connection.laddr and connection.raddr
    )
