"""Connections that stall: nothing at all, half a head, half a body, an answer that is not read. Each must end."""

import socket
import time
from collections import Counter
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


def silent(port: int, seconds: float, connections: int) -> Tally:
    """Connect and say nothing."""
    return _stall(port, seconds, connections, {"silent": b""})


def halting(port: int, seconds: float, connections: int) -> Tally:
    """Stop in the head, stop in the body, do not read the answer: so many connections of each, all at once."""
    whole = raw("PUT", "/user", new_stranger(port).profile(HALVED_BYTES))
    kinds = {
        "half a head": b"PUT /user HTTP/1.1\r\nHost: localhost\r\nX-Half: ",
        "half a body": whole[: len(whole) // 2],
        "an unread answer": _megabytes(port),
    }
    return _stall(port, seconds, connections, kinds)


def _megabytes(port: int) -> bytes:
    """Return a request for more than the kernel takes off a server's hands (tcp(7), tcp_wmem: 4 MB)."""
    owners = [new_stranger(port) for _ in range(PICTURES)]
    for owner in owners:
        ask(port, raw("PUT", "/user", owner.profile(PICTURE_BYTES)), Tally())
    return raw("POST", "/users", {"ids": [owner.id for owner in owners]})


def _stall(port: int, seconds: float, connections: int, kinds: dict[str, bytes]) -> Tally:
    """Open connections of each kind, send their bytes, and see that all of them are ended by the other side."""
    tally = Tally(requests=connections * len(kinds))
    began = time.monotonic()
    ours = [(_connection(port, sent), kind) for _ in range(connections) for kind, sent in kinds.items()]
    kind_of = {connection.getsockname()[1]: kind for connection, kind in ours}
    held = Counter(kind_of.values())
    while held and time.monotonic() < began + max(seconds, GONE_SECONDS):
        time.sleep(1)
        left = Counter(kind_of[number] for number in _held(port, set(kind_of)))
        for kind in held - left:
            if not left[kind]:
                tally.remarks.append(f"{kind}: {connections} were gone after {time.monotonic() - began:.0f} s")
        held = left
    for connection, _kind in ours:
        connection.close()
    for kind, count in held.items():
        tally.hang_count += count
        tally.hangs.append(f"{kind}: {count} stayed for {time.monotonic() - began:.0f} s")
    return tally


def _connection(port: int, sent: bytes) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TINY_BUFFER_BYTES)
    connection.settimeout(GONE_SECONDS)
    with suppress(OSError):  # whoever is refused is gone at once
        connection.connect(("127.0.0.1", port))
        connection.sendall(sent)
    return connection


def _held(port: int, numbers: set[int]) -> list[int]:
    """Return those of our ports whose connections the other side has not ended."""
    return [
        connection.raddr.port
        for connection in psutil.net_connections("tcp")
        if connection.laddr and connection.raddr and connection.laddr.port == port
        if connection.status in HELD and connection.raddr.port in numbers
    ]
