"""The chat hubs in several processes: polls that land anywhere, ends, limits, and what idle chats cost."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle

import psutil
import pytest
import requests

from client.scripted_answers import Say
from shared.data import chats
from shared.data.pool import Database
from tests.hub_clients import (
    Polling,
    Socket,
    frame,
    invocation,
    negotiate,
    refusal,
    token,
)
from tests.scripted_faults import Stall
from tests.servers import Server
from tests.waiting import GUNICORNS_OWN_SECONDS, WAIT_SECONDS, wait_for

pytestmark = pytest.mark.slow
V2 = "/ai-chat-v2"
LISTENERS = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND query ~ 'LISTEN|^SELECT$|seen_at\\) AS float'
"""
LOST = "The server that played the turn was lost."
SEND = invocation("SendMessage", "Hello", 3)
STOP = invocation("StopInProgress", call="stop")
END_SECONDS = GUNICORNS_OWN_SECONDS  # it should take 8 at most, on a machine with nothing else to do
COMPLETED = {"type": 3, "invocationId": "1"}


@pytest.fixture(scope="module")
def other_server(new_chat_server):
    return new_chat_server()


@pytest.fixture
def here_and_there(chat_server, other_server):
    """One polled connection, as its client reaches it at two processes."""
    here = Polling(chat_server.url, V2).open()
    there = Polling(other_server.url, V2, here.token)
    yield here, there
    here.delete()


class RoundRobin:
    """A load balancer that sends each request to another server."""

    def __init__(self, *urls):
        turns = cycle(urls)
        choosing = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self):
                with choosing:
                    url = next(turns)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
                answer = requests.request(
                    self.command, url + self.path, data=body, headers=headers, timeout=WAIT_SECONDS
                )
                self.send_response(answer.status_code)
                self.send_header("Content-Length", str(len(answer.content)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(answer.content)

            do_GET = do_POST = do_DELETE = forward  # noqa: N815 - the base class's names

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


# any process serves any request


def test_the_official_client_polls_two_processes_in_turn(driver, chat_server, other_server, model):
    with RoundRobin(chat_server.url, other_server.url) as balancer:
        chat = driver.connect(balancer.url + V2, "LongPolling")
        chat.wait_for("connected")
        model.script(Say("Hi Ann"))
        assert chat.invoke("SendMessage", "I am Ann", 3) is None
        model.script(Say("Listen"), Stall())
        turn = chat.begin("SendMessage", "Tell me everything", 3)
        wait_for(lambda: "Listen" in chat.texts)
        assert chat.invoke("StopInProgress") is None
        assert chat.end(turn) is None
        assert model.wait_for_request(2).disconnected.wait(WAIT_SECONDS)
        model.script(Say("You are Ann"))
        assert chat.invoke("SendMessage", "Who am I?", 3) is None
        assert chat.texts[-1] == "You are Ann"
        assert [message["content"] for message in model.requests[2].body["messages"][1:3]] == ["I am Ann", "Hi Ann"]
        chat.stop()


def test_what_one_process_plays_is_polled_at_the_other(here_and_there, model):
    here, there = here_and_there
    model.script(Say("Hi"))
    here.send(frame(SEND))
    assert there.receive_until(type=3)[-1] == COMPLETED


def test_news_wake_a_poll_at_the_other_process_at_once(here_and_there, db):
    here, there = here_and_there
    with ThreadPoolExecutor() as executor:
        for number in range(3, 8):
            waiting = executor.submit(there.receive)
            wait_for(lambda number=number: there.number(db) == number)
            here.send(frame(STOP))
            assert waiting.result()[0]["invocationId"] == "stop"


def test_stop_reaches_the_process_that_plays(here_and_there, model):
    here, there = here_and_there
    model.script(Say("Listen"), Stall())
    here.send(frame(SEND))
    here.receive_until(type=1)
    there.send(frame(STOP))
    assert {"type": 3, "invocationId": "1"} in there.receive_until(type=3, invocationId="1")
    assert model.wait_for_request().disconnected.wait(WAIT_SECONDS)


def test_a_turn_that_was_sent_elsewhere_waits_for_the_one_under_way(here_and_there, model):
    here, there = here_and_there
    stall = Stall()
    model.script(Say("One"), stall)
    model.script(Say("Two"))
    here.send(frame(SEND))
    model.wait_for_request()
    there.send(frame(invocation("SendMessage", "Second", 3, call="2")))
    stall.released.set()
    received = there.receive_until(type=3, invocationId="2")
    assert [message["invocationId"] for message in received if message["type"] == 3] == ["1", "2"]
    assert model.requests[1].body["messages"][-1]["content"] == "Second"


def test_leaving_elsewhere_ends_the_turn(here_and_there, model):
    here, there = here_and_there
    model.script(Stall())
    here.send(frame(SEND))
    request = model.wait_for_request()
    there.delete()
    assert request.disconnected.wait(WAIT_SECONDS)


def test_a_lost_listener_is_replaced(here_and_there, model, db):
    here, there = here_and_there
    with ThreadPoolExecutor() as executor:
        waiting = executor.submit(there.receive)
        wait_for(lambda: db.rows(LISTENERS))
        assert db.rows(f"SELECT pg_terminate_backend(pid) FROM ({LISTENERS}) AS listener")
        here.send(frame(STOP))
        assert waiting.result() == [{"type": 3, "invocationId": "stop"}]


def test_the_death_of_the_process_that_plays_is_told(new_chat_server, other_server, model, db):
    doomed = new_chat_server()
    there = Polling(other_server.url, V2, Polling(doomed.url, V2).open().token)
    model.script(Stall())
    Polling(doomed.url, V2, there.token).send(frame(SEND))
    model.wait_for_request()
    kill(doomed)
    db.rows("UPDATE chats SET player_seen_at = now() - interval '31 seconds' WHERE player IS NOT NULL")
    assert there.receive()[-1] == {"type": 7, "error": LOST, "allowReconnect": True}
    assert there.poll().status_code == 204


def kill(server):
    """End a server so that it can do nothing any more."""
    processes = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
    for process in processes:
        process.kill()
    server.process.wait()


# the end of a process


@pytest.mark.parametrize("transport", ["WebSockets", "LongPolling"])
def test_the_official_client_comes_back_after_a_restart(driver, new_chat_server, model, transport):
    server = new_chat_server()
    chat = driver.connect(server.url + V2, transport, reconnect=[0, 100, 200, 500, 1000, 2000, 2000, 2000])
    first = chat.wait_for("connected")["id"]
    server.stop()
    chat.wait_for("reconnecting")
    new_chat_server(port=server.port)
    assert chat.wait_for("reconnected")["id"] != first
    model.script(Say("Hi"))
    assert chat.invoke("SendMessage", "Hello", 3) is None
    assert chat.texts == ["Hi"]
    chat.stop()


def test_sigterm_closes_sockets_politely_and_ends_in_time(new_chat_server, model):
    server = new_chat_server()
    model.script(Say("Listen"), Stall())
    with ExitStack() as opened:
        sockets = [opened.enter_context(Socket(server.url, V2)).greet() for _ in range(10)]
        sockets[0].send(frame(SEND))
        sockets[0].receive_until(type=1)
        unread = opened.enter_context(Socket(server.url, V2, reads=False))
        began = time.monotonic()
        server.process.terminate()
        for socket in sockets:
            assert socket.receive_until(type=7) == {"type": 7, "allowReconnect": True}
            assert socket.has_closed()
        assert server.process.wait(WAIT_SECONDS) == 0
        assert time.monotonic() - began < END_SECONDS
        unread.close()
    assert model.wait_for_request().disconnected.wait(WAIT_SECONDS)


def test_sigterm_ends_a_polled_turn_and_says_so_elsewhere(new_chat_server, other_server, model):
    server = new_chat_server()
    here = Polling(server.url, V2).open()
    there = Polling(other_server.url, V2, here.token)
    model.script(Stall())
    here.send(frame(SEND))
    request = model.wait_for_request()
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < END_SECONDS
    assert there.receive() == [{"type": 7, "allowReconnect": True}]
    assert there.poll().status_code == 204
    assert request.disconnected.wait(WAIT_SECONDS)


def test_a_process_that_ends_takes_no_more_calls(new_chat_server, model, db):
    """A call that was on its way when SIGTERM came: another process will take it."""
    server = new_chat_server()
    polling = Polling(server.url, V2).open()
    packet = frame(SEND).encode()
    late = HTTPConnection("127.0.0.1", server.port, timeout=WAIT_SECONDS)
    late.putrequest("POST", polling.url.removeprefix(server.url))
    late.putheader("Content-Length", str(len(packet)))
    late.endheaders(packet[:1])
    with ThreadPoolExecutor() as executor:
        polls = polling.number(db)
        waiting = executor.submit(polling.poll)
        wait_for(lambda: polling.number(db) > polls)  # so the call before it has been taken in, too
        server.process.terminate()
        assert waiting.result().content == b""  # the end has begun
    late.send(packet[1:])
    assert late.getresponse().status == 503
    late.close()
    assert server.process.wait(WAIT_SECONDS) == 0
    assert model.requests == []


def test_an_idle_polled_chat_goes_on_at_another_process(new_chat_server, other_server, model, db):
    server = new_chat_server()
    here = Polling(server.url, V2).open()
    model.script(Say("Hi Ann"))
    here.send(frame(invocation("SendMessage", "I am Ann", 3)))
    here.receive_until(type=3)
    with ThreadPoolExecutor() as executor:
        polls = here.number(db)
        waiting = executor.submit(here.poll)
        wait_for(lambda: here.number(db) > polls)
        began = time.monotonic()
        server.process.terminate()
        answer = waiting.result()
        assert (answer.status_code, answer.content) == (200, b"")
        assert server.process.wait(WAIT_SECONDS) == 0
        assert time.monotonic() - began < END_SECONDS
    there = Polling(other_server.url, V2, here.token)
    model.script(Say("You are Ann"))
    there.send(frame(invocation("SendMessage", "Who am I?", 3)))
    there.receive_until(type=3)
    assert [message["content"] for message in model.requests[1].body["messages"][1:]] == [
        "I am Ann", "Hi Ann", "Who am I?",
    ]  # fmt: skip
    there.delete()


# limits


@pytest.fixture(scope="module")
def small_server(new_chat_server):
    return new_chat_server(CHAT_LIMIT="3", THREADS="19")


def test_one_chat_too_many_is_refused_at_once(small_server):
    late = token(small_server.url, V2)
    with ExitStack() as opened:
        sockets = [opened.enter_context(Socket(small_server.url, V2)).greet() for _ in range(3)]
        for answer in (
            negotiate(small_server.url, V2),
            refusal(small_server.url, V2, id=late),
            refusal(small_server.url, V2, access_token="Web key"),
            Polling(small_server.url, V2, late).poll(),
        ):
            assert answer.status_code == 503
            assert answer.json()["type"] == "urn:liftlog:problem:chats-full"
            assert answer.headers["Retry-After"]
        sockets[0].close()
        wait_for(lambda: negotiate(small_server.url, V2).status_code == 200)
        opened.enter_context(Socket(small_server.url, V2, id=late)).greet()


def test_a_polled_chat_is_not_lost_when_the_places_run_out(small_server):
    polling = Polling(small_server.url, V2).open()
    with ExitStack() as opened:
        for _ in range(3):
            opened.enter_context(Socket(small_server.url, V2)).greet()
        polling.send(frame(STOP))
        assert polling.receive() == [{"type": 3, "invocationId": "stop"}]
    polling.delete()


@pytest.mark.parametrize("name", ["ai_chat", "gateway"])
def test_too_few_threads_are_a_clear_error_at_start(name, database_url, tmp_path, capfd):
    with pytest.raises(AssertionError, match="did not start"):
        Server(name, DATABASE_URL=database_url, THREADS="65")
    assert "THREADS must be at least 66" in capfd.readouterr().err


# what idle chats cost


@pytest.fixture
def own_database(new_database):
    """The URL of a database that nobody else uses, and a handle of it."""
    url = new_database(migrated=True)
    db = Database(url, 1, 30)
    yield url, db
    db.close()


def connections(db):
    return db.row(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )[0]


def test_idle_sockets_have_no_database_connection(new_chat_server, own_database):
    url, db = own_database
    server = new_chat_server(DATABASE_URL=url)
    with Socket(server.url, V2) as socket:
        socket.greet()
        assert connections(db) == 0


def test_waiting_polls_share_a_connection_that_goes_with_the_last_one(new_chat_server, own_database):
    url, db = own_database
    server = new_chat_server(DATABASE_URL=url, DB_POOL_SIZE="2")
    pollings = [Polling(server.url, V2).open() for _ in range(8)]
    pollings[0].send(frame(SEND))
    pollings[0].receive_until(type=3)  # who plays a turn listens, too
    begun = db.count("SELECT sum(poll) FROM chats")
    with ThreadPoolExecutor(len(pollings)) as executor:
        waiting = [executor.submit(polling.poll) for polling in pollings]
        wait_for(lambda: db.count("SELECT sum(poll) FROM chats") == begun + len(pollings))
        wait_for(lambda: connections(db) == 3)
        for polling in pollings:
            polling.delete()
        assert [answer.result().status_code for answer in waiting] == [204] * 8
    wait_for(lambda: connections(db) <= 2)


def test_plain_requests_are_answered_beside_fifty_idle_chats(new_chat_server):
    server = new_chat_server("gateway")
    pollings = [Polling(server.url, V2).open() for _ in range(25)]
    with ExitStack() as opened, ThreadPoolExecutor(25) as executor:
        for _ in range(25):
            opened.enter_context(Socket(server.url, V2)).greet()
        waiting = [executor.submit(polling.poll) for polling in pollings]
        wait_for(lambda: negotiate(server.url, V2).status_code == 503)
        with requests.Session() as session:
            for _ in range(100):
                assert session.get(f"{server.url}/health/ready", timeout=WAIT_SECONDS).status_code == 200
        for polling in pollings:
            polling.delete()
        assert {answer.result().status_code for answer in waiting} == {204}


# what is left of chats


def test_chats_that_nobody_polls_are_deleted_after_an_hour(chat_server, db):
    old, young = (Polling(chat_server.url, V2).open() for _ in range(2))
    old.send(frame(STOP))
    db.rows(
        "UPDATE chats SET seen_at = now() - interval '61 minutes' WHERE id = :id",
        id=old.connection_id,
    )
    assert chats.delete_stale(db, 1) == 1
    assert chats.delete_stale(db, 10) == 0
    assert old.send(frame(STOP)).status_code == 404
    assert db.rows("SELECT seq FROM chat_messages WHERE chat_id = :id", id=old.connection_id) == []
    young.send(frame(STOP))
    assert young.receive()
    young.delete()
