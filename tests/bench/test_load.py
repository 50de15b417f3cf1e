"""The load that benchmarks make: what it measures, and what is no answer to measure."""

import socket
import threading
from contextlib import suppress
from itertools import repeat

import pytest

from bench import load
from bench.load import WrongAnswer

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Answering:
    """A server that answers every request with the same bytes, in two pieces."""

    def __init__(self, answer):
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join()
        self._listener.close()

    def _serve(self):
        connection, _ = self._listener.accept()
        with connection, suppress(ConnectionError):  # the load hangs up at the first wrong answer
            while connection.recv(len(REQUEST)):
                half = len(self._answer) // 2
                connection.sendall(self._answer[:half])
                connection.sendall(self._answer[half:])


def answer(status, body=b"x" * 100, length=b"Content-Length: 100\r\n"):
    return b"HTTP/1.1 " + status + b"\r\n" + length + b"\r\n" + body


def test_each_request_is_timed_until_its_last_byte():
    with Answering(answer(b"200 OK")) as server:
        measured = load.measure(server.port, repeat(REQUEST, 5), concurrency=1, seconds=60)
    assert len(measured.latencies) == 5
    assert all(0 < latency <= measured.elapsed_seconds for latency in measured.latencies)
    assert measured.rate == 5 / measured.elapsed_seconds


@pytest.mark.parametrize("wrong", [answer(b"201 Created"), answer(b"503 No"), answer(b"200 OK", length=b"")])
def test_what_is_no_whole_200_ends_the_measurement(wrong):
    with Answering(wrong) as server, pytest.raises(WrongAnswer):
        load.measure(server.port, repeat(REQUEST, 5), concurrency=1, seconds=60)
