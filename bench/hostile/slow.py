"""Connections that stall: half a head, half a body, an answer that is not read, nothing at all. Each must end."""

import socket
import time
from contextlib import suppress

import psutil

from bench.hostile.requests import new_stranger, raw
from bench.hostile.tallies import Tally, ask

CONNECTIONS = 300  # of each kind, at once
GONE_SECONDS = 60.0  # a stalled connection is gone after 30 s, on a busy machine somewhat later
HALVED_BYTES = 15_000
PICTURES, PICTURE_BYTES = 3, 1_500_000
TINY_BUFFER_BYTES = 4096
HELD = {psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT}  # tcp(7): whoever has ended one is in none of these


def half_heads(port: int, seconds: float, connections: int) -> Tally:
    """Send half a head and wait."""
    return _stall(port, seconds, connections, b"PUT /user HTTP/1.1\r\nHost: localhost\r\nX-Half: ")


def half_bodies(port: int, seconds: float, connections: int) -> Tally:
    """Send a head and half a body and wait."""
    whole = raw("PUT", "/user", new_stranger(port).profile(HALVED_BYTES))
    return _stall(port, seconds, connections, whole[: len(whole) // 2])


def silent(port: int, seconds: float, connections: int) -> Tally:
    """Connect and say nothing."""
    return _stall(port, seconds, connections, b"")


def unread(port: int, seconds: float, connections: int) -> Tally:
    """Ask for more megabytes than the kernel takes off a server's hands (tcp(7), tcp_wmem: 4) and read none of them."""
    owners = [new_stranger(port) for _ in range(PICTURES)]
    for owner in owners:
        ask(port, raw("PUT", "/user", owner.profile(PICTURE_BYTES)), Tally())
    pictures = raw("POST", "/users", {"ids": [owner.id for owner in owners]})
    return _stall(port, seconds, connections, pictures)


def _stall(port: int, seconds: float, connections: int, sent: bytes) -> Tally:
    """Open connections, send each the same bytes, and see that all of them are ended by the other side."""
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
