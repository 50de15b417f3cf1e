"""What `make hostile` takes for a fault: a 5xx that nothing promises, and silence."""

import socket
import threading
from contextlib import contextmanager, suppress

import pytest

from bench.hostile import slow, tallies
from bench.hostile.tallies import Tally, ask

REQUEST = b"GET /health HTTP/1.1\r\n\r\n"
SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextmanager
def answering(answer, *, until_the_end=False):
    """Return the port of a server that answers one client, keeps the connection, or first waits for its end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection, suppress(ConnectionError):
                while connection.recv(65536) and until_the_end:
                    pass
                connection.sendall(answer)
                while answer and connection.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def problem(status, slug, headers="Retry-After: 2\r\n"):
    body = f'{{"type":"urn:liftlog:problem:{slug}"}}'
    return f"HTTP/1.1 {status} X\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("answer", "is_fault"),
    [
        (SMALL, False),
        (problem(404, "unknown-user"), False),
        (problem(500, "internal-error"), True),
        (problem(503, "overloaded"), False),
        (problem(503, "misrouted"), False),
        (problem(503, "overloaded", headers=""), True),
        (problem(503, "database-unavailable"), True),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>", True),
        (b"", False),
        (problem(503, "misrouted") + problem(400, "not-http"), False),
    ],
    ids=[
        "200",
        "404",
        "500",
        "overloaded",
        "misrouted",
        "without a time",
        "no database",
        "502",
        "hung up",
        "two answers",
    ],
)
def test_what_is_a_fault(answer, is_fault):
    tally = Tally()
    with answering(answer) as port:
        ask(port, REQUEST, tally)
    assert (tally.requests, tally.fault_count, len(tally.faults), tally.hang_count) == (1, is_fault, is_fault, 0)
    assert tally.statuses == {int(answer[9:12] or 0): 1}


def test_silence_is_a_hang(monkeypatch):
    monkeypatch.setattr(tallies, "HANG_SECONDS", 0.2)
    tally = Tally()
    with answering(SMALL, until_the_end=True) as port:
        ask(port, REQUEST, tally)
    assert (tally.hang_count, tally.requests) == (1, 1)


def test_what_may_be_broken_is_ended_before_it_is_a_hang():
    tally = Tally()
    with answering(SMALL, until_the_end=True) as port:
        ask(port, b"GET /hea", tally, may_be_broken=True)
    assert (tally.hang_count, tally.statuses) == (0, {200: 1})


@pytest.mark.parametrize("stays", [False, True])
def test_a_stalled_connection_must_be_ended_by_the_other_side(monkeypatch, stays):
    monkeypatch.setattr(slow, "GONE_SECONDS", 0.1)
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            accepted.extend(listener.accept()[0] for _ in range(3))
            for connection in [] if stays else accepted:
                connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        tally = slow.silent(listener.getsockname()[1], 0.1, 3)
        thread.join()
    for connection in accepted:
        connection.close()
    assert (tally.requests, tally.hang_count) == (3, 3 if stays else 0)
    assert bool(tally.remarks) == (not stays)


def test_tallies_add_up_and_keep_few_examples():
    total = Tally()
    for number in range(20):
        one = Tally()
        one.note(REQUEST, 500, problem(500, f"x{number}"))
        one.note_hang(REQUEST)
        total.add(one)
    assert (total.requests, total.fault_count, total.hang_count) == (40, 20, 20)
    assert len(total.faults) == len(total.hangs) == tallies.MOST_EXAMPLES
