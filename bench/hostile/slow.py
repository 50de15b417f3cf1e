"""Connections that stall: half a head, half a body, an answer that is not read, nothing at all. Each must end."""

import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from bench.hostile.requests import Stranger, new_stranger, raw
from bench.hostile.tallies import Tally

CONNECTIONS = 300  # of each kind, at once
GONE_SECONDS = 60.0  # a stalled connection is gone after 30 s, on a busy machine somewhat later
PICTURE_BYTES = 1_500_000
TINY_BUFFER_BYTES = 4096


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
    tally = Tally()
    sent = request(account)
    began = time.monotonic()
    held = [_connection(port, sent) for _ in range(connections)]
    tally.requests = len(held)
    unread_answers = bool(picture_bytes)
    waiting = set(held)
    while waiting and time.monotonic() < began + max(seconds, GONE_SECONDS):
        for connection in _ended(waiting, unread_answers=unread_answers):
            waiting.discard(connection)
        time.sleep(0.2)
    gone = time.monotonic() - began
    tally.remarks.append(f"the last of {connections} was gone after {gone:.0f} s")
    for connection in held:
        if connection in waiting:
            tally.hang_count += 1
        connection.close()
    if tally.hang_count:
        tally.hangs.append(f"{tally.hang_count} stayed for {gone:.0f} s: {sent[:80]!r}")
    return tally


def _connection(port: int, sent: bytes) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TINY_BUFFER_BYTES)
    connection.settimeout(GONE_SECONDS)
    with suppress(OSError):  # whoever is refused is gone at once
        connection.connect(("127.0.0.1", port))
        connection.sendall(sent)
    connection.setblocking(False)  # noqa: FBT003 - the socket's own
    return connection


def _ended(connections: set[socket.socket], *, unread_answers: bool) -> list[socket.socket]:
    """Return those that the other side has ended; of unread answers that is seen without reading them."""
    poll = select.poll()
    by_number = {connection.fileno(): connection for connection in connections}
    for number in by_number:
        poll.register(number, select.POLLRDHUP if unread_answers else select.POLLIN | select.POLLRDHUP)
    return [
        by_number[number]
        for number, event in poll.poll(0)
        if event & (select.POLLRDHUP | select.POLLHUP | select.POLLERR) or _is_over(by_number[number])
    ]


def _is_over(connection: socket.socket) -> bool:
    """Read what there is, and tell whether it was the end."""
    try:
        return connection.recv(TINY_BUFFER_BYTES) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
