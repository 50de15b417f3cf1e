"""Conversations over long polling in the database: what two requests could race for."""

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from shared.data import chat_turns, chats
from shared.data.chat_turns import Part
from shared.data.chats import News
from shared.data.connections import Connection

WAITING = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%AS is_newest%'"
CALL = {"target": "SendMessage", "arguments": []}
HELD_SECONDS = 3600.0  # so that no test sees its end


@pytest.fixture
def chat(db):
    """Return the id of a chat that has been opened."""
    chat_id = uuid4()
    assert chats.begin_poll(db, chat_id, may_open=True).number == 1
    return chat_id


def play(db, chat):
    part = chat_turns.play(db, chat, CALL, 8)
    assert isinstance(part, Part)
    return part


def silence(db, chat):
    db.rows("UPDATE chats SET player_seen_at = now() - interval '31 seconds' WHERE id = :id", id=chat)


def test_a_poll_that_was_superseded_takes_nothing(db, chat):
    older, newer = (chats.begin_poll(db, chat, may_open=False).number for _ in range(2))
    chats.send(db, chat, "a")
    assert chats.take_news(db, chat, older) == News("", is_over=True)
    assert chats.take_news(db, chat, newer) == News("a", is_over=False)


def test_a_poll_that_is_superseded_at_this_moment_takes_nothing(db, chat, database_url):
    older = chats.begin_poll(db, chat, may_open=False).number
    chats.send(db, chat, "a")
    newer = Connection(database_url)
    newer.run("BEGIN", {})
    newer.run("UPDATE chats SET poll = poll + 1 WHERE id = :id", {"id": chat})
    with ThreadPoolExecutor(1) as threads:
        taking = threads.submit(chats.take_news, db, chat, older)
        while not taking.done() and not db.rows(WAITING):
            pass
        newer.run("COMMIT", {})
        assert taking.result() == News("", is_over=True)
    newer.close()
    assert chats.take_news(db, chat, older + 1) == News("a", is_over=False)


def test_a_text_takes_the_place_of_its_own_earlier_one_only(db, chat):
    for frame, topic in (("a", "one"), ("b", "two"), ("c", None), ("aa", "one")):
        assert chats.send(db, chat, frame, topic=topic)
    assert chats.take_news(db, chat, 1).frames == "bcaa"


def test_a_turn_that_is_no_longer_played_here_ends_nothing(db, chat):
    ended = play(db, chat)
    assert chat_turns.play_next(db, chat, ended, [{"said": "first"}], None, HELD_SECONDS) is None
    under_way = play(db, chat)
    assert chat_turns.play_next(db, chat, ended, [{"said": "late"}], "late", HELD_SECONDS) is None
    assert chat_turns.play(db, chat, CALL, 8) is True  # it waits for the turn under way
    said = [*under_way.history, {"said": "second"}]
    following = chat_turns.play_next(db, chat, under_way, said, "second", HELD_SECONDS)
    assert following is not None
    assert following.history == [{"said": "first"}, {"said": "second"}]
    assert chats.take_news(db, chat, 1).frames == "second"


def test_the_end_of_a_turn_that_a_restart_has_ended_comes_behind_the_next_ones(db, chat):
    forgotten = play(db, chat)
    chat_turns.restart(db, chat)
    assert chat_turns.play_next(db, chat, forgotten, [], "first", HELD_SECONDS) is None
    assert chats.take_news(db, chat, 1).frames == ""
    following = play(db, chat)
    chats.send(db, chat, "answer")
    chat_turns.restart(db, chat)
    assert chat_turns.play_next(db, chat, following, [], "second", HELD_SECONDS) is None
    assert chats.take_news(db, chat, 1).frames == "answer", "it was ended by a restart, too"
    last = play(db, chat)
    assert chat_turns.play_next(db, chat, last, [], "third", HELD_SECONDS) is None
    assert chats.take_news(db, chat, 1).frames == "thirdfirstsecond"


def test_a_turn_whose_end_nobody_waits_for_lets_the_earlier_ones_go(db, chat):
    forgotten = play(db, chat)
    chat_turns.restart(db, chat)
    chat_turns.play_next(db, chat, forgotten, [], "first", HELD_SECONDS)
    chat_turns.play_next(db, chat, play(db, chat), [], None, HELD_SECONDS)
    assert chats.take_news(db, chat, 1).frames == "first"


@pytest.mark.parametrize(("held_seconds", "frames"), [(HELD_SECONDS, ""), (0.0, "first")])
def test_it_is_held_back_so_long_and_no_longer(db, chat, database_url, held_seconds, frames):
    forgotten = play(db, chat)
    chat_turns.restart(db, chat)
    chat_turns.play_next(db, chat, forgotten, [], "first", held_seconds)
    connection = Connection(database_url)
    (sight,) = chats.look(connection, {chat})
    connection.close()
    assert sight.has_news == (frames != "")
    assert chats.take_news(db, chat, 1).frames == frames


def test_a_player_is_lost_when_it_is_silent_in_a_turn(db, chat):
    part = play(db, chat)
    assert not chats.begin_poll(db, chat, may_open=False).has_lost_player
    silence(db, chat)
    assert chats.begin_poll(db, chat, may_open=False).has_lost_player
    chat_turns.play_next(db, chat, part, [], None, HELD_SECONDS)
    silence(db, chat)
    assert not chats.begin_poll(db, chat, may_open=False).has_lost_player


def test_of_a_closed_chat_only_its_last_frames_are_left(db, chat):
    chats.send(db, chat, "a")
    play(db, chat)
    chats.close(db, chat, "z")
    assert chats.take_news(db, chat, 1) == News("az", is_over=True)
    assert not chats.send(db, chat, "late")
    row = db.row("SELECT history, playing, waiting, player FROM chats WHERE id = :id", id=chat)
    assert json.dumps(row) == "[[], null, [], null]"
