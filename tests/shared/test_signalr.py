"""SignalR's protocol and tickets, apart from sockets and databases."""

import json
import threading
from contextlib import ExitStack
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ChatsFull, InvalidSetting, UnknownConnection
from shared.settings.planner import THREADS_BESIDE_CHATS
from shared.signalr import protocol, tickets
from shared.signalr.hubs import Hub, InvalidCall, Turn, bind
from shared.signalr.places import RESERVED, Places
from shared.signalr.protocol import Invocation, ProtocolError, Splitter
from shared.signalr.tickets import OPENS_FOR_SECONDS, Ticket

KEY = "a key of at least thirty-two characters"
OTHER_KEY = "another key of at least thirty-two letters"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("CHAT_TOKEN_KEY", KEY)


# messages


@given(st.lists(st.binary(max_size=20).filter(lambda message: b"\x1e" not in message)), st.lists(st.integers(0, 200)))
def test_messages_come_out_whole_however_they_were_cut(messages, cuts):
    stream = b"".join(message + b"\x1e" for message in messages)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    splitter = Splitter()
    found = [message for start, end in pairwise(edges) for message in splitter.feed(stream[start:end])]
    assert found == messages
    assert splitter.is_between_messages


def test_a_message_that_never_ends_is_not_kept():
    splitter = Splitter(max_message_bytes=10)
    splitter.feed(b"x" * 10)
    with pytest.raises(ProtocolError):
        splitter.feed(b"x")


@given(st.binary())
def test_any_bytes_are_a_message_or_an_error(message):
    for parse in (protocol.parse, protocol.parse_handshake):
        try:
            parse(message)
        except ProtocolError:
            continue


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
MEMBERS = {"type": st.integers(-1, 12) | JSON, "target": JSON, "arguments": JSON, "invocationId": JSON}


@given(st.fixed_dictionaries({}, optional=MEMBERS))
def test_any_object_is_a_message_or_an_error(members):
    try:
        protocol.parse(json.dumps(members).encode())
    except ProtocolError:
        return


def test_an_invocation_is_read():
    message = b'{"type":1,"target":"A","arguments":[1,"b"],"invocationId":"7"}'
    assert protocol.parse(message) == Invocation("7", "A", [1, "b"])
    message = b'{"type":4,"target":"A","arguments":[],"invocationId":"7"}'
    assert protocol.parse(message) == Invocation("7", "A", [], is_stream=True)


def test_half_a_character_of_the_model_can_be_sent():
    assert json.loads(protocol.receive_message({"message": "\ud83d"})[:-1])["arguments"] == [{"message": "?"}]


@pytest.mark.parametrize(
    ("given", "bound"),
    [
        (["a"], ["a", 0, None]),
        (["a", 1], ["a", 1, None]),
        (["a", 1, "b"], ["a", 1, "b"]),
        (["a", None, None], ["a", 0, None]),
        (["a", 1, "b", "surplus"], ["a", 1, "b"]),
        ([], None),
        ([None], None),
        ([1], None),
        (["a", "1"], None),
        (["a", 1.5], None),
        (["a", False], None),
        (["a", 1, 1], None),
    ],
)
def test_arguments_are_bound_by_position_and_type(given, bound):
    def method(turn: Turn, text: str, number: int = 0, other: str | None = None): ...

    if bound is None:
        with pytest.raises(InvalidCall):
            bind(method, given)
    else:
        assert bind(method, given) == bound


def test_a_fault_of_ours_ends_the_call_and_keeps_the_conversation():
    hub = Hub("/hub")

    @hub.turn("Break")
    def break_down(_turn: Turn) -> list[dict[str, Any]]:
        raise KeyError("a bug")

    said = [{"role": "user", "content": "Hello"}]
    turn = Turn("SUBSCRIBER", said, lambda _: None, threading.Event())
    result = hub.run(Invocation("1", "Break", []), turn)
    assert result.state == said
    assert json.loads((result.completion or "")[:-1]) == {
        "type": 3, "invocationId": "1", "error": "An error occurred on the server.",
    }  # fmt: skip


# tickets


def test_a_ticket_comes_back_from_its_token():
    ticket = tickets.issue("/hub", "SUBSCRIBER")
    assert tickets.verify(tickets.sign(ticket), "/hub") == ticket
    assert ticket.may_open
    late = Ticket(ticket.connection_id, "/hub", "SUBSCRIBER", ticket.opens_until - OPENS_FOR_SECONDS)
    assert not tickets.verify(tickets.sign(late), "/hub").may_open


@given(st.text())
def test_any_other_text_is_no_token(text):
    with pytest.raises(UnknownConnection):
        tickets.verify(text, "/hub")


def test_no_character_of_a_token_can_be_changed():
    token = tickets.sign(tickets.issue("/hub", "SUBSCRIBER"))
    for place, character in enumerate(token[:-1]):  # of the last one, two bits mean nothing
        changed = token[:place] + ("A" if character != "A" else "B") + token[place + 1 :]
        with pytest.raises(UnknownConnection):
            tickets.verify(changed, "/hub")


def test_a_rotation_knows_two_keys_and_signs_with_the_first(monkeypatch):
    old = tickets.sign(tickets.issue("/hub", "SUBSCRIBER"))
    monkeypatch.setenv("CHAT_TOKEN_KEY", f"{OTHER_KEY}, {KEY}")
    new = tickets.sign(tickets.issue("/hub", "SUBSCRIBER"))
    assert tickets.verify(old, "/hub")
    monkeypatch.setenv("CHAT_TOKEN_KEY", OTHER_KEY)
    assert tickets.verify(new, "/hub")
    with pytest.raises(UnknownConnection):
        tickets.verify(old, "/hub")


@pytest.mark.parametrize("key", ["", "short", f"{KEY},", f"{KEY},short", f"{KEY},{KEY},{KEY}"])
def test_a_weak_key_is_refused(monkeypatch, key):
    monkeypatch.setenv("CHAT_TOKEN_KEY", key)
    with pytest.raises(InvalidSetting, match="CHAT_TOKEN_KEY") as refusal:
        tickets.sign(tickets.issue("/hub", "SUBSCRIBER"))
    assert key == "" or key not in str(refusal.value)


# places


def test_places_are_counted_and_given_back():
    places = Places(2)
    with places.take() as first, places.take(reserved=True) as second:
        assert (first, second) == (True, True)
        with pytest.raises(ChatsFull), places.take():
            pass
        with pytest.raises(ChatsFull):
            places.check()
        with places.take(reserved=True) as third:
            assert not third
    places.check()
    assert places.taken == 0


def test_reserved_places_end_before_the_threads_do():
    with ExitStack() as taken:
        places = Places(2)
        for _ in range(2 + RESERVED):
            taken.enter_context(places.take(reserved=True))
        with pytest.raises(ChatsFull), places.take(reserved=True):
            pass
    assert RESERVED < THREADS_BESIDE_CHATS
