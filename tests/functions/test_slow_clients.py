"""Clients that stall, or send a byte now and then, cost nobody anything; slow ones that go on are served."""

import resource
import socket
import time
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPResponse
from pathlib import Path

import psutil
import pytest

from shared.worker.clients import ClientConnection, ClientSocket, Patience, State
from tests.raw_http import ask, request
from tests.servers import Server
from tests.waiting import wait_for

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
IMPATIENT = Path(__file__).parent.parent / "impatient" / "main.py"
STALLED_OF_EACH_KIND = 300
MIB = 1024 * 1024
BIG = 32 * MIB
WAIT_SECONDS = 60.0
PUT = b"PUT /event HTTP/1.1\r\nHost: x\r\n"
STALLED = {
    "nothing": b"",
    "half a request line": b"GET /hea",
    "half a head": b"GET /health HTTP/1.1\r\nHost: x\r\nX-A: ",
    "half a body": PUT + b"Content-Length: 1000\r\n\r\n{",
    "a body that is not begun": PUT + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    "half a chunk": PUT + b"Transfer-Encoding: chunked\r\n\r\n10\r\n{",
    "a chunked body without its end": PUT + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    "half a body that is too long": PUT + b"Content-Length: 30000000\r\n\r\n" + bytes(MIB),
}
UNREAD = request("GET", "/openapi.json", headers={"Connection": "keep-alive"}) * 20


@pytest.fixture(scope="module")
def impatient():
    server = Server("answer", source=IMPATIENT, THREADS="4")
    yield server
    server.stop()


@contextmanager
def connected(port, receive_buffer=None):
    with socket.socket() as client:
        client.settimeout(WAIT_SECONDS)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect(("127.0.0.1", port))
        yield client


def received(client):
    """What has come until the connection ended."""
    answer = b""
    with suppress(ConnectionError):
        while piece := client.recv(MIB):
            answer += piece
    return answer


@pytest.mark.slow
def test_nobody_waits_for_900_clients_that_stall(call, new_user):
    if call.alone:
        pytest.skip("every function has the same worker")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    port, user = call.server("/event").port, new_user()
    with ExitStack() as stack:
        for sent in [STALLED["half a head"], STALLED["half a body"], UNREAD] * STALLED_OF_EACH_KIND:
            stack.enter_context(connected(port, 4096)).sendall(sent)
        for _ in range(20):
            began = time.monotonic()
            assert ask(port, request("GET", "/health")).status == 200
            assert ask(port, request("PUT", "/event", user.event())).status == 200
            assert time.monotonic() - began < WAIT_SECONDS  # bench/README.md has what it takes


@pytest.mark.parametrize("kind", STALLED)
def test_a_client_that_stalls_is_gone_after_its_deadline(kind, impatient):
    with connected(impatient.port) as client:
        client.sendall(STALLED[kind])
        assert received(client) == (CONTINUE if kind == "a body that is not begun" else b"")


@pytest.mark.parametrize("kind", ["half a head", "half a body", "half a chunk"])
def test_a_byte_now_and_then_is_not_enough(kind, impatient):
    with connected(impatient.port) as client:
        client.sendall(STALLED[kind])
        client.settimeout(0.2)

        def is_gone():
            try:
                client.sendall(b"1")
                return client.recv(1) in {b"", b"H"}
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        wait_for(is_gone)


def test_who_does_not_read_an_answer_is_gone_after_the_deadline(impatient):
    with connected(impatient.port, 4096) as client:
        client.sendall(request("GET", f"/?bytes={BIG}"))
        answer = HTTPResponse(client)
        answer.begin()
        wait_for(lambda: connections_of(impatient) == 0)
        assert ask(impatient.port, request("GET", "/?bytes=5")).content == bytes(5)


def connections_of(server):
    """How many connections a server holds."""
    workers = psutil.Process(server.process.pid).children()
    return sum(link.status == psutil.CONN_ESTABLISHED for worker in workers for link in worker.net_connections("tcp"))


def test_a_slow_phone_that_goes_on_is_served(impatient):
    """It sends and reads for longer than the times a client may be silent, or be below the least rate."""
    body = bytes(400_000)
    with connected(impatient.port, 4096) as client:
        head = f"POST /?bytes={3 * MIB} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode())
        client.settimeout(0.1)
        for at in range(0, len(body), 10_000):
            client.sendall(body[at : at + 10_000])
            with pytest.raises(TimeoutError):
                client.recv(1)  # nothing comes before all was sent, here for a tenth of a second
            if at == len(body) - 20_000:
                break
        client.settimeout(WAIT_SECONDS)
        client.sendall(body[-10_000:])
        answer = HTTPResponse(client)
        answer.begin()
        assert len(answer.read()) == 3 * MIB


@pytest.mark.parametrize("piece", [1, 7, 10_000])
@pytest.mark.parametrize("chunked", [True, False])
def test_requests_that_come_in_pieces_and_one_behind_the_other_are_all_answered(piece, chunked, impatient):
    if chunked:
        body = b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Trailer: a\r\n\r\n"
    else:
        body = b"Content-Length: 7\r\n\r\nabcdefg"
    one = b"POST / HTTP/1.1\r\nHost: x\r\n" + body
    sent = one * 3
    with connected(impatient.port) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(sent), piece):
            client.sendall(sent[at : at + piece])
        file = client.makefile("rb")
        for _ in range(3):
            assert file.readline() == b"HTTP/1.1 200 OK\r\n"
            while file.readline() != b"\r\n":
                pass
            assert file.read(1) == b"7"


def test_who_asks_whether_to_send_a_body_is_told_once(impatient):
    with connected(impatient.port) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert client.recv(1000) == CONTINUE
        client.sendall(b"abc")
        assert client.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_where_two_readers_of_a_head_would_differ_nobody_answers(impatient):
    """A length that one sees and the other does not would make a second request of the body."""
    for odd in (b"Content-Length : 3", b"Content-Length: 3\r\nContent-Length: 4", b"Content-Length: +3",
                b"Transfer-Encoding: chunked\r\nContent-Length: 3", b"Transfer-Encoding: xchunked",
                b"X: y\nContent-Length: 3", b"X: y\r\n Content-Length: 3"):  # fmt: skip
        answer = ask(impatient.port, b"POST / HTTP/1.1\r\nHost: x\r\n" + odd + b"\r\n\r\nabc")
        assert answer.status in {400, 501}, odd


def test_bodies_that_stall_make_room_for_one_that_does_not(impatient):
    half = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000000\r\n\r\n" + bytes(2 * MIB)
    with ExitStack() as stack:
        stalled = [stack.enter_context(connected(impatient.port)) for _ in range(8)]
        for client in stalled:
            client.sendall(half)
        wait_for(lambda: ask(impatient.port, request("POST", "/", bytes(4_000_000))).content == b"4000000")
        refused = [answer for client in stalled if (answer := received(client))]
    assert refused
    assert all(b"503 Service Unavailable" in answer and b"\r\nRetry-After: " in answer for answer in refused)


def test_whom_a_thread_answers_nobody_drops():
    """Not even while others wait for memory that its answer has already: the thread still uses the socket."""
    near, far = socket.socketpair()
    with near, far:
        client = ClientConnection(ClientSocket(near), None, None, 0.0, 2.0)
        client.kept_bytes = MIB
        client.begin(State.BUSY, 0.0)
        assert client.deadline(Patience(), is_wanted=True) == float("inf")
        client.begin(State.WRITING, 0.0)
        assert client.deadline(Patience(), is_wanted=True) == Patience().wanted
        assert client.deadline(Patience()) == Patience().silence
        client.sock.close()


def test_an_answer_that_breaks_off_ends_its_own_connection_alone(impatient):
    workers = psutil.Process(impatient.process.pid).children()
    with connected(impatient.port) as other:
        other.sendall(STALLED["half a chunk"])
        assert ask(impatient.port, request("GET", "/?breaks")).status == 0
        assert ask(impatient.port, request("GET", "/?bytes=5")).content == bytes(5)
    assert psutil.Process(impatient.process.pid).children() == workers


def test_whoever_asked_is_answered_when_the_process_ends_and_who_stalls_is_not_waited_for():
    server = Server("answer", source=IMPATIENT, THREADS="4")
    with connected(server.port) as stalled, connected(server.port) as slow:
        stalled.sendall(STALLED["half a body"])
        slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
        wait_for(lambda: connections_of(server) == 2)
        server.process.terminate()
        slow.sendall(b"abc")
        assert slow.recv(1000).endswith(b"\r\n\r\n3")
        assert server.process.wait(WAIT_SECONDS) == 0
        assert received(stalled) == b""
