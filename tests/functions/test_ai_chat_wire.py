"""The chat hubs' wire, where clients misbehave or are not the official one: bare WebSockets and bare requests."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
import simple_websocket
from wsproto.events import Ping

from client.scripted_answers import Say
from shared.signalr import tickets
from shared.signalr.tickets import Ticket
from tests.hub_clients import (
    HANDSHAKE,
    SEPARATOR,
    SUBSCRIBED,
    Polling,
    Socket,
    frame,
    invocation,
    negotiate,
    refusal,
    token,
)
from tests.scripted_faults import Stall
from tests.servers import CHAT_TOKEN_KEY
from tests.waiting import WAIT_SECONDS, wait_for

pytestmark = pytest.mark.slow
V1, V2 = "/ai-chat", "/ai-chat-v2"
SEND = invocation("SendMessage", "Hello", 3)
TRANSPORTS = [
    {"transport": "WebSockets", "transferFormats": ["Text"]},
    {"transport": "LongPolling", "transferFormats": ["Text"]},
]
MAX_MESSAGE_BYTES = 256 * 1024
TOO_LARGE = f"The maximum message size of {MAX_MESSAGE_BYTES} bytes was exceeded."
PING = {"type": 6}


@pytest.fixture(params=["socket", "polling"])
def chat(request, chat_server):
    """Return a greeted connection, as an object with `send`, `receive` and `receive_all`."""
    if request.param == "polling":
        polling = Polling(chat_server.url, V2).open()
        yield BothWays(polling.send, polling.receive, lambda: everything_polled(polling))
        polling.delete()
    else:
        with Socket(chat_server.url, V2) as socket:
            yield BothWays(socket.greet().send, lambda: [socket.receive()], lambda: everything_received(socket))


class BothWays:
    """What both transports can do."""

    def __init__(self, send, receive, receive_all):
        self.send = send
        self.receive = receive  # what comes next, some messages
        self.receive_all = receive_all  # until the server ends the connection


def everything_polled(polling):
    received = []
    while (answer := polling.poll()).status_code == 200:
        received += [json.loads(message) for message in answer.text.split(SEPARATOR)[:-1]]
    assert answer.status_code == 204
    return received


def everything_received(socket):
    received = []
    try:
        while True:
            received.append(socket.receive())
    except simple_websocket.ConnectionClosed:
        return received


def completed(chat, number):
    """Wait for the ends of so many calls, and return their ids in the order in which they came."""
    ended: list[str] = []
    while len(ended) < number:
        ended += [message["invocationId"] for message in chat.receive() if message["type"] == 3]
    return ended


def test_the_end_of_a_restarted_call_comes_behind_the_next_ones(chat, model):
    model.script(Stall())
    model.script(Say("I am your coach."))
    chat.send(frame(SEND))
    model.wait_for_request(1)
    chat.send(frame(invocation("RestartChat", call=None), invocation("SendMessage", "Hello", 3, call="2")))
    assert completed(chat, 2) == ["2", "1"]


def test_a_turn_that_waits_when_a_chat_is_restarted_is_the_next_one(chat, model):
    model.script(Stall())
    model.script(Say("Hi"))
    chat.send(frame(SEND, invocation("SendMessage", "And?", 3, call="2")))
    model.wait_for_request(1)
    chat.send(frame(invocation("RestartChat", call="3")))
    assert completed(chat, 3) == ["3", "2", "1"]


# negotiation


@pytest.mark.parametrize("hub", [V1, V2, f"/v2{V1}", "/AI-Chat"])
def test_negotiation_gives_an_id_and_a_token(chat_server, hub):
    answer = negotiate(chat_server.url, hub)
    assert answer.status_code == 200
    body = answer.json()
    assert body["negotiateVersion"] == 1
    assert body["availableTransports"] == TRANSPORTS
    assert set(body) == {"negotiateVersion", "connectionId", "connectionToken", "availableTransports"}
    assert body["connectionId"] not in body["connectionToken"]


def test_negotiation_knows_two_versions(chat_server, model):
    oldest = negotiate(chat_server.url, V2, version=0).json()
    assert set(oldest) == {"negotiateVersion", "connectionId", "availableTransports"}
    with Socket(chat_server.url, V2, id=oldest["connectionId"]) as socket:
        socket.greet()
    assert negotiate(chat_server.url, V2, version=7).json()["negotiateVersion"] == 1
    url = f"{chat_server.url}{V2}/negotiate"
    headers = {"Authorization": SUBSCRIBED}
    assert requests.post(url, headers=headers, timeout=WAIT_SECONDS).json()["negotiateVersion"] == 0
    assert requests.post(f"{url}?negotiateVersion=x", headers=headers, timeout=WAIT_SECONDS).status_code == 400
    assert requests.get(url, headers=headers, timeout=WAIT_SECONDS).status_code == 405


@pytest.mark.parametrize("authorization", [None, "", "Web", "Web wrong", "Bearer", "Web key key"])
def test_negotiation_wants_a_subscription(chat_server, authorization):
    assert negotiate(chat_server.url, V2, authorization).status_code == 401


@pytest.mark.parametrize("authorization", ["Web key", "Bearer Web key", "web key"])
def test_browsers_give_their_subscription_in_the_query(chat_server, authorization):
    with Socket(chat_server.url, V2, access_token=authorization) as socket:
        socket.greet()
    answer = requests.post(
        f"{chat_server.url}{V2}/negotiate", params={"access_token": authorization}, timeout=WAIT_SECONDS
    )
    assert answer.status_code == 200


def test_only_hubs_take_a_subscription_from_the_query(servers):
    answer = requests.post(f"{servers['gateway'].url}/ai/workout?access_token=Web%20key", json={}, timeout=WAIT_SECONDS)
    assert answer.status_code == 401


def test_without_a_key_for_tokens_only_the_hubs_fail(new_chat_server):
    server = new_chat_server("gateway", CHAT_TOKEN_KEY="")
    answer = negotiate(server.url, V2)
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:liftlog:problem:not-configured"
    assert requests.get(f"{server.url}/health", timeout=WAIT_SECONDS).status_code == 200


# tokens


@pytest.fixture
def signed(monkeypatch):
    """Return a function that signs a ticket with the server's key, or another one."""

    def sign(ticket, key=CHAT_TOKEN_KEY):
        monkeypatch.setenv("CHAT_TOKEN_KEY", key)
        return tickets.sign(ticket)

    return sign


def expired(ticket):
    return Ticket(ticket.connection_id, ticket.hub, ticket.subscriber, 0)


def unusable(server, signed):
    """Tokens that the hub must not take, by what is wrong with them."""
    good = token(server.url, V2)
    payload, digest = good.split(".")
    ticket = tickets.issue(V2, "KEY")
    return {
        "another signature": f"{payload}.{digest[::-1]}",
        "no signature": payload,
        "an empty signature": f"{payload}.",
        "another payload": f"{payload[:-2]}AA.{digest}",
        "another hub's": token(server.url, V1),
        "another key's": signed(ticket, "a key that the server does not know"),
        "an old one": signed(expired(ticket)),
        "text": "nonsense",
        "no ASCII": "ü.ü",
        "nothing but a dot": ".",
    }


def test_a_token_that_is_forged_foreign_or_old_opens_nothing(chat_server, signed):
    for name, connection_token in unusable(chat_server, signed).items():
        polling = Polling(chat_server.url, V2, connection_token)
        assert polling.poll().status_code == 404, name
        assert polling.send(frame(HANDSHAKE)).status_code == 404, name
        assert polling.delete().status_code == 404, name
        assert refusal(chat_server.url, V2, id=connection_token).status_code == 404, name


def test_a_connection_outlives_the_time_in_which_its_token_opens_one(chat_server, signed):
    ticket = tickets.issue(V2, "KEY")
    Polling(chat_server.url, V2, signed(ticket)).open()
    late = Polling(chat_server.url, V2, signed(expired(ticket)))
    late.send(frame(invocation("StopInProgress")))
    assert late.receive_until(type=3)
    late.delete()


def test_both_keys_are_valid_during_a_rotation(new_chat_server, signed):
    old, new = "the old key of thirty-two letters", "the new key of thirty-two letters"
    server = new_chat_server(CHAT_TOKEN_KEY=f"{new}, {old}")
    for key in (old, new):
        Polling(server.url, V2, signed(tickets.issue(V2, "KEY"), key)).open().delete()
    signed(tickets.issue(V2, "KEY"), new)
    assert tickets.verify(token(server.url, V2), V2), "the first one signs"


# handshakes


@pytest.mark.parametrize(
    "first",
    [
        {"protocol": "messagepack", "version": 1},
        {"protocol": "json", "version": 2},
        {"protocol": "json", "version": True},
        {"protocol": "json"},
        {},
        SEND,
        PING,
        [],
    ],
)
def test_another_handshake_is_refused(chat_server, model, first):
    with Socket(chat_server.url, V2) as socket:
        socket.send(frame(first))
        assert socket.receive()["error"]
        assert socket.has_closed()
    polling = Polling(chat_server.url, V2)
    polling.poll()
    polling.send(frame(first, SEND))
    (answer,) = everything_polled(polling)
    assert answer["error"]
    assert model.requests == []


def test_a_handshake_and_a_call_may_come_in_one_packet(chat_server, model):
    model.script(Say("Hi"))
    with Socket(chat_server.url, V2) as socket:
        socket.send(frame(HANDSHAKE, SEND))
        assert socket.receive() == {}
        assert socket.receive()["arguments"] == [{"type": "messageResponse", "message": "Hi"}]
    model.script(Say("Hi"))
    polling = Polling(chat_server.url, V2)
    polling.poll()
    polling.send(frame(HANDSHAKE, SEND))
    assert polling.receive_until(type=3)[0] == {}
    polling.delete()


# what is not understood


@pytest.mark.parametrize(
    "packet",
    [
        "nonsense" + SEPARATOR,
        SEPARATOR,
        frame([]),
        frame({}),
        frame({"type": "1"}),
        frame({"type": True}),
        frame({"type": 1, "target": "SendMessage"}),
        frame({"type": 1, "target": "SendMessage", "arguments": {}}),
        frame({"type": 1, "target": 5, "arguments": []}),
        frame({"type": 1, "invocationId": 5, "target": "SendMessage", "arguments": []}),
        frame({"type": 1, "invocationId": "x" * 200, "target": "SendMessage", "arguments": []}),
        frame({"type": 4, "target": "SendMessage", "arguments": []}),
        frame({"type": 5}),
        '{"type":1,"type":1,"target":"A","arguments":[]}' + SEPARATOR,
        '{"type":1,"target":"A","arguments":[NaN]}' + SEPARATOR,
        '{"type":1,"target":"A","arguments":["\\ud800"]}' + SEPARATOR,
        "[" * 100_000 + SEPARATOR,
    ],
    ids=lambda packet: packet[:40],
)
def test_a_malformed_message_ends_the_connection_with_a_reason(chat, packet):
    chat.send(packet)
    *_, last = chat.receive_all()
    assert last["type"] == 7
    assert last["error"]
    assert "allowReconnect" not in last


def test_bytes_that_are_no_text_end_the_connection(chat):
    chat.send(b'{"type":1,"target":"\xff","arguments":[]}\x1e')
    assert chat.receive_all()[-1]["error"] == "A message is not JSON."


@pytest.mark.parametrize(
    "message",
    [
        PING,
        {"type": 2, "invocationId": "1", "item": 5},
        {"type": 3, "invocationId": "1"},
        {"type": 5, "invocationId": "1"},
        {"type": 8, "sequenceId": 1},
        {"type": 9, "sequenceId": 1},
        {"type": 99},
        {"type": -1},
    ],
)
def test_what_needs_no_answer_gets_none(chat, message):
    chat.send(frame(message, invocation("StopInProgress"), {}))
    completion, last = chat.receive_all()
    assert completion == {"type": 3, "invocationId": "1"}
    assert last["type"] == 7


@pytest.mark.parametrize("method", ["SendMessage", "StopInProgress"])
def test_a_call_for_a_stream_completes_with_an_error(chat, model, method):
    chat.send(frame({"type": 4, "invocationId": "9", "target": method, "arguments": ["Hello", 3]}, {"type": 0}, {}))
    assert {"type": 3, "invocationId": "9", "error": "The method does not stream."} in chat.receive_all()
    assert model.requests == []


def test_headers_in_a_message_are_ignored(chat):
    chat.send(frame(invocation("StopInProgress") | {"headers": {"a": "b"}, "streamIds": ["1"], "new": None}, {}))
    assert {"type": 3, "invocationId": "1"} in chat.receive_all()


# sizes


def large(size_bytes):
    """A message of that size."""
    empty = len(frame(invocation("SendMessage", "", 3))) - 1
    return frame(invocation("SendMessage", "x" * (size_bytes - empty), 3))


def test_the_largest_message_is_taken(chat, model):
    model.script(Say("Hi"))
    chat.send(large(MAX_MESSAGE_BYTES))
    assert len(model.wait_for_request().body["messages"][-1]["content"]) > MAX_MESSAGE_BYTES - 1000


@pytest.mark.parametrize("rest", ["", SEPARATOR])
def test_a_larger_one_ends_the_connection_with_a_reason(chat, model, rest):
    chat.send("x" * (MAX_MESSAGE_BYTES + 1) + rest)
    assert chat.receive_all()[-1] == {"type": 7, "error": TOO_LARGE}


def test_a_very_large_packet_is_refused(chat_server):
    polling = Polling(chat_server.url, V2).open()
    assert polling.send("x" * (5 * 1024 * 1024)).status_code == 413
    polling.delete()


def test_a_message_may_come_in_pieces_over_a_websocket(chat_server):
    with Socket(chat_server.url, V2) as socket:
        packet = frame(HANDSHAKE, invocation("StopInProgress"))
        for character in packet:
            socket.send(character)
        assert [socket.receive(), socket.receive()] == [{}, {"type": 3, "invocationId": "1"}]
        socket.send(packet[len(frame(HANDSHAKE)) :].encode())
        assert socket.receive() == {"type": 3, "invocationId": "1"}


def test_a_piece_of_a_message_is_an_error_in_a_post(chat_server):
    polling = Polling(chat_server.url, V2).open()
    polling.send(frame(SEND)[:-5])
    assert everything_polled(polling) == [{"type": 7, "error": "A message is incomplete."}]


# calls


def test_a_call_that_is_cancelled_completes(chat_server, model):
    model.script(Say("Listen"), Stall())
    with Socket(chat_server.url, V2) as socket:
        socket.greet().send(frame(SEND))
        socket.receive_until(type=1)
        socket.send(frame({"type": 5, "invocationId": "another"}, {"type": 5, "invocationId": "1"}))
        assert socket.receive_until(type=3) == {"type": 3, "invocationId": "1"}
    model.script(Say("Listen"), Stall())
    polling = Polling(chat_server.url, V2).open()
    polling.send(frame(SEND))
    polling.receive_until(type=1)
    polling.send(frame({"type": 5, "invocationId": "another"}, {"type": 5, "invocationId": "1"}))
    assert polling.receive_until(type=3)[-1] == {"type": 3, "invocationId": "1"}
    polling.delete()


def test_texts_that_nobody_fetched_are_replaced_by_the_newer_ones(chat_server, model, db):
    polling = Polling(chat_server.url, V2).open()
    model.script(Say("x" * 100, pause_seconds=0.02))
    polling.send(frame(SEND))
    completion = "SELECT seq FROM chat_messages WHERE chat_id = :id AND topic IS NULL"
    wait_for(lambda: db.row(completion, id=polling.connection_id))
    assert polling.receive() == [
        {"type": 1, "target": "ReceiveMessage", "arguments": [{"type": "messageResponse", "message": "x" * 100}]},
        {"type": 3, "invocationId": "1"},
    ]
    polling.delete()


# polls


def test_a_request_without_an_id_is_400_and_without_a_connection_404(chat_server):
    unopened = Polling(chat_server.url, V2)
    for method in ("GET", "POST", "DELETE"):
        assert requests.request(method, chat_server.url + V2, timeout=WAIT_SECONDS).status_code == 400
    assert unopened.send(frame(HANDSHAKE)).status_code == 404
    assert unopened.delete().status_code == 404


def test_an_idle_poll_comes_back_empty(hasty_server):
    polling = Polling(hasty_server.url, V2).open()
    answer = polling.poll()
    assert (answer.status_code, answer.content) == (200, b"")
    polling.delete()


def test_a_newer_poll_ends_the_one_before_it(chat_server, db):
    polling = Polling(chat_server.url, V2).open()
    with ThreadPoolExecutor() as executor:
        older = executor.submit(polling.poll)
        wait_for(lambda: polling.number(db) == 3)
        newer = executor.submit(polling.poll)
        assert older.result().status_code == 204
        polling.send(frame(invocation("StopInProgress")))
        assert newer.result().text == frame({"type": 3, "invocationId": "1"}).replace(" ", "")
    polling.delete()


@pytest.mark.parametrize("how", ["DELETE", "message"])
def test_leaving_ends_the_poll_and_everything_else(chat_server, db, how):
    polling = Polling(chat_server.url, V2).open()
    with ThreadPoolExecutor() as executor:
        waiting = executor.submit(polling.poll)
        wait_for(lambda: polling.number(db) == 3)
        if how == "DELETE":
            assert polling.delete().status_code == 202
        else:
            assert polling.send(frame({"type": 7})).status_code == 200
        assert waiting.result().status_code == 204
    assert polling.poll().status_code == 404
    assert polling.send(frame(SEND)).status_code == 404
    assert polling.delete().status_code == 202


def test_nothing_of_a_chat_that_was_left_stays(chat_server, model, db):
    polling = Polling(chat_server.url, V2).open()
    model.script(Say("Hi"))
    polling.send(frame(SEND))
    polling.receive_until(type=3)
    polling.send(frame(invocation("Nonsense")))
    polling.delete()
    chat_id = polling.connection_id
    row = db.row("SELECT state, history, playing, waiting FROM chats WHERE id = :id", id=chat_id)
    assert row == ["ended", [], None, []]
    assert db.rows("SELECT seq FROM chat_messages WHERE chat_id = :id", id=chat_id) == []


# clocks


def test_the_server_pings_and_gives_a_silent_client_up(hasty_server):
    with Socket(hasty_server.url, V2) as socket:
        socket.greet()
        assert [socket.receive(), socket.receive(), socket.receive()] == [PING] * 3
        assert socket.receive_until(type=7)["allowReconnect"] is True
        assert socket.has_closed()


def test_a_ping_of_the_socket_is_answered(chat_server):
    """Browsers and proxies send them, beside SignalR's own."""
    with Socket(chat_server.url, V2) as socket:
        socket.greet()
        socket.client.pong_received = False
        socket.client.sock.sendall(socket.client.ws.send(Ping(payload=b"are you there")))
        wait_for(lambda: socket.client.pong_received)


def test_a_client_that_says_nothing_at_all_is_given_up(hasty_server):
    with Socket(hasty_server.url, V2) as socket:
        assert socket.receive() == {"error": "Handshake was canceled."}
        assert socket.has_closed()


def test_a_client_that_takes_nothing_in_is_given_up(hasty_server, model):
    """Its buffers fill, the turn's sends fail, and the model is left."""
    model.script(Say("€" * 200_000, piece_characters=200_000), Say("x" * 100, 1, pause_seconds=0.1), Stall())
    with Socket(hasty_server.url, V2, reads=False) as socket:
        socket.send(frame(HANDSHAKE, SEND))
        stop = threading.Event()
        pings = threading.Thread(target=keep_pinging, args=[socket, stop])
        pings.start()
        assert model.wait_for_request().disconnected.wait(WAIT_SECONDS)
        stop.set()
        pings.join()


def keep_pinging(socket, stop):
    while not stop.wait(0.2):
        try:
            socket.send(frame(PING))
        except (simple_websocket.ConnectionClosed, OSError):
            return


# what is no WebSocket


@pytest.mark.parametrize(
    ("path", "status"), [("/nothing", 404), ("/ai-chat-v3", 404), ("/ai-chat/negotiate", 405), ("/v2/v2/ai-chat", 503)]
)
def test_a_websocket_elsewhere_is_answered_like_any_request(path, status, chat_server):
    assert refusal(chat_server.url, path, access_token=SUBSCRIBED).status_code == status


def test_a_websocket_without_a_subscription_is_401(chat_server):
    answer = refusal(chat_server.url, V2, access_token="Web wrong")
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:liftlog:problem:not-subscribed"


def test_half_a_request_for_a_websocket_is_400(chat_server):
    headers = {"Authorization": SUBSCRIBED, "Connection": "Upgrade", "Upgrade": "websocket"}
    answer = requests.get(chat_server.url + V2, headers=headers, timeout=WAIT_SECONDS)
    assert answer.status_code == 400


# browsers


@pytest.mark.parametrize("path", [V1, V2, f"{V2}/negotiate", f"/v2{V2}"])
def test_browsers_may_send_credentials_to_hubs(chat_server, path):
    origin = {"Origin": "https://app.example"}
    asked = origin | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-a, authorization"}
    preflight = requests.options(chat_server.url + path, headers=asked, timeout=WAIT_SECONDS)
    assert preflight.status_code == 204
    assert preflight.headers["Access-Control-Allow-Headers"] == "x-a, authorization"
    for answer in (preflight, requests.post(chat_server.url + path, headers=origin, timeout=WAIT_SECONDS)):
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert "Origin" in answer.headers["Vary"]


def test_other_paths_stay_open_to_all_and_take_no_credentials(servers):
    answer = requests.get(
        f"{servers['gateway'].url}/health", headers={"Origin": "https://app.example"}, timeout=WAIT_SECONDS
    )
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
