"""Files as bodies and as answers: admitted by their head, on the disk meanwhile, never whole in memory."""

import hashlib
import json
import os
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPResponse
from pathlib import Path

import pytest

from shared.worker.uploads import MOST_UPLOADS
from tests.processes import peak_bytes, worker_of
from tests.raw_http import ask, request
from tests.servers import Server
from tests.uploading.main import MOST_BYTES
from tests.waiting import wait_for

SOURCE = Path(__file__).parent.parent / "uploading" / "main.py"
MIB = 1024 * 1024
KEY = {"Authorization": "Bearer a key", "Content-Type": "application/octet-stream"}
CONTENT = os.urandom(MOST_BYTES)
AT_ONCE = 8


@pytest.fixture(scope="module")
def server():
    server = Server("uploading", source=SOURCE, THREADS="16", ENVIRONMENT="local")
    yield server
    server.stop()


def chunked(content, piece_bytes):
    pieces = [content[at : at + piece_bytes] for at in range(0, len(content), piece_bytes)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])


def head_of(length, **headers):
    lines = {"Host": "x", "Content-Length": length, **headers}
    return "\r\n".join(["POST /file HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items()), "", ""]).encode()


@pytest.mark.parametrize("size", [0, 1, 16_000, 5 * MIB, MOST_BYTES])
def test_a_file_arrives_as_it_was_sent(server, size):
    answer = ask(server.port, request("POST", "/file", CONTENT[:size], KEY))
    if not size:
        assert (answer.status, answer.problem) == (400, "invalid-request")
        return
    assert answer.status == 200
    assert json.loads(answer.content) == {"digest": hashlib.sha256(CONTENT[:size]).hexdigest(), "bytes": size}


@pytest.mark.parametrize("path", ["/file", "/v2/file/", "/FILE", "//file", "/%66ile", "http://x/file?user=me"])
def test_all_spellings_of_its_path_take_it(server, path):
    answer = ask(server.port, request("POST", path, CONTENT, KEY))
    assert (answer.status, json.loads(answer.content)["bytes"]) == (200, MOST_BYTES)


def test_it_may_come_in_chunks(server):
    head = request("POST", "/file", None, KEY | {"Transfer-Encoding": "chunked"}).replace(b"Content-Length: 0\r\n", b"")
    answer = ask(server.port, head + chunked(CONTENT, 10_000))
    assert (answer.status, json.loads(answer.content)["bytes"]) == (200, MOST_BYTES)
    answer = ask(server.port, head + chunked(CONTENT + b"!", 10_000))
    assert (answer.status, answer.problem) == (413, "body-too-large")


def test_the_next_request_on_the_connection_is_answered(server):
    kept = KEY | {"Connection": "keep-alive"}
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(request("POST", "/file", CONTENT, kept) + request("POST", "/file", CONTENT[:9], KEY))
        answers = b"".join(iter(lambda: connection.recv(MIB), b""))
    assert [int(size) for size in re.findall(rb'"bytes":(\d+)', answers)] == [MOST_BYTES, 9]


@pytest.mark.parametrize(
    ("headers", "size", "status"),
    [
        ({}, MOST_BYTES, 401),
        (KEY, MOST_BYTES + 1, 413),
        (KEY | {"Content-Encoding": "gzip"}, 100, 415),
        (KEY | {"Content-Length": "1e3"}, 100, 400),
    ],
)
def test_what_is_refused_is_refused_when_it_has_passed_by(server, headers, size, status):
    """Clients break when they are answered while they send. Nothing of it is kept."""
    before = peak_bytes(worker_of(server))
    assert ask(server.port, request("POST", "/file", bytes(size), headers)).status == status
    assert peak_bytes(worker_of(server)) - before < 4 * MIB


def test_who_asks_first_is_told_before_he_sends(server):
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(head_of(9, Expect="100-continue"))
        assert connection.recv(MIB).startswith(b"HTTP/1.1 401 ")
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(head_of(9, Expect="100-continue", **KEY))
        assert connection.recv(MIB) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(CONTENT[:9])
        assert connection.recv(MIB).startswith(b"HTTP/1.1 200 ")


def test_a_file_that_ends_early_is_none(server):
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(head_of(1000, **KEY) + CONTENT[:999])
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(MIB).startswith(b"HTTP/1.1 400 ")


def test_many_at_once_take_no_memory(server):
    before = peak_bytes(worker_of(server))
    with ThreadPoolExecutor(AT_ONCE) as executor:
        statuses = list(
            executor.map(lambda _: ask(server.port, request("POST", "/file", CONTENT, KEY)).status, range(3 * AT_ONCE))
        )
    assert statuses == [200] * len(statuses)
    assert peak_bytes(worker_of(server)) - before < 8 * MIB


def test_eight_slow_ones_are_not_taken_for_memory(server):
    """64 MiB of requests may be held in memory; what is on the disk does not count."""
    begun = [socket.create_connection(("127.0.0.1", server.port), 60) for _ in range(10)]
    for connection in begun:
        connection.sendall(head_of(MOST_BYTES, **KEY) + CONTENT[:-1])
    for connection in begun:
        connection.sendall(CONTENT[-1:])
        assert connection.recv(MIB).startswith(b"HTTP/1.1 200 ")
        connection.close()


def test_no_more_are_taken_in_than_the_disk_is_meant_for(server):
    begun = [socket.create_connection(("127.0.0.1", server.port), 60) for _ in range(MOST_UPLOADS)]
    for connection in begun:
        connection.sendall(head_of(1000, Expect="100-continue", **KEY))
        assert connection.recv(MIB) == b"HTTP/1.1 100 Continue\r\n\r\n"
    answer = ask(server.port, request("POST", "/file", CONTENT, KEY))
    assert (answer.status, answer.problem) == (503, "overloaded")
    assert answer.headers["Retry-After"]
    for connection in begun:
        connection.close()
    wait_for(lambda: ask(server.port, request("POST", "/file", CONTENT, KEY)).status == 200)


def test_nothing_of_it_stays_open(server):
    before = files_without_names(worker_of(server))  # gunicorn's
    assert ask(server.port, request("POST", "/file", CONTENT, KEY)).status == 200
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(request("GET", "/file"))
        assert connection.recv(1)
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(head_of(1000, **KEY) + CONTENT[:99])
        wait_for(lambda: files_without_names(worker_of(server)) > before)
    wait_for(lambda: files_without_names(worker_of(server)) == before)


def files_without_names(process):
    count = 0
    for link in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            count += "(deleted)" in str(link.readlink())
    return count


def test_a_file_as_an_answer_is_sent_by_the_kernel(server):
    before = peak_bytes(worker_of(server))
    answer = ask(server.port, request("GET", "/file", headers={"Accept-Encoding": "gzip"}))
    assert hashlib.sha256(answer.content).hexdigest() == answer.headers["X-Digest"]
    assert peak_bytes(worker_of(server)) - before < 30 * MIB  # the function itself writes 24


def test_who_reads_an_answer_slowly_gets_all_of_it(server):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(request("GET", "/file"))
        response = HTTPResponse(connection)
        response.begin()
        digest = hashlib.sha256()
        while piece := response.read(100_000):
            digest.update(piece)
        assert digest.hexdigest() == response.headers["X-Digest"]
