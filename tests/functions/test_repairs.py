"""Answers that are not what was asked for: read leniently, sent back once, and calm for the user meanwhile."""

import json
import time

import pytest

from client.scripted_answers import CallTool, Say
from functions.ai_chat import answers, plans
from functions.ai_chat.calm import calm
from shared.metrics import registry, series
from tests.plans import plan, plan_v1, sent_plan_v1
from tests.scripted_faults import Disconnect, Finish, HttpError, Pause, Raw, Refuse, Stall
from tests.turns import Client, play, scripted_model
from tests.waiting import WAIT_SECONDS

PLAN = json.dumps(plan())
HERE = "Here is your plan."
HIDDEN = ("{", "}", "<", "`", "TOOL_CALLS", "create_workout_plan", "plannedSets", "wants")


@pytest.fixture
def server():
    with scripted_model() as server:
        yield server


@pytest.fixture
def client():
    return Client()


def counted(outcome):
    """How many rounds of repair had this outcome, in this process."""
    name = series("liftlog_ai_repairs_total", outcome=outcome)
    return sum(bucket.counts.get(name, 0) for bucket in registry.buckets())


def assert_calm(client):
    assert not [text for text in client.texts for sign in HIDDEN if sign in text]


def assert_plan(client, name="Two days"):
    assert client.plans[-1]["name"] == name
    assert client.plans[-1]["blueprint"]["sessions"]


AS_TEXT = [
    f'{HERE}\n<tool_call>\n{{"name": "create_workout_plan", "arguments": {PLAN}}}\n</tool_call>',
    f'{HERE}\n{{"name": "create_workout_plan", "parameters": {PLAN}}}',
    f'{HERE}[TOOL_CALLS][{{"name": "create_workout_plan", "arguments": {PLAN}}}]',
    f"{HERE}\n\n```json\n{PLAN}\n```",
    f"{HERE}\n{PLAN}",
    f"{HERE}\ncreate_workout_plan({PLAN})",
    f"<think>The user wants {{a plan}}</think>{HERE} <function=create_workout_plan>{PLAN}</function>",
]


@pytest.mark.parametrize("text", AS_TEXT)
@pytest.mark.parametrize("piece_characters", [3, 10_000])
def test_a_call_that_is_written_as_text_makes_a_plan(server, client, text, piece_characters):
    server.script(Say(text, piece_characters=piece_characters, pause_seconds=0.0003))
    history = play(client)
    assert_plan(client)
    assert_calm(client)
    assert client.texts[-1] == HERE
    assert [message["role"] for message in history] == ["user", "assistant", "tool"]
    assert len(server.requests) == 1


def test_a_plan_of_the_first_generation_may_be_written_as_text(server, client):
    server.script(Say(f"{HERE}\n```json\n{json.dumps(plan_v1())}\n```"))
    play(client, version=1)
    assert client.got[-1] == {"type": "chatPlan", "plan": sent_plan_v1()}
    assert client.texts[-1] == HERE


@pytest.mark.parametrize(
    "arguments",
    [json.dumps(PLAN), json.dumps({"arguments": plan()}), f"```json\n{PLAN}\n```", f"<think>Hm {{</think>{PLAN}"],
)
def test_arguments_are_read_leniently(server, client, arguments):
    server.script(CallTool(arguments))
    play(client)
    assert_plan(client)
    assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["functions.create_workout_plan", "make_plan"])
def test_a_call_of_another_name_that_makes_a_plan_is_one(server, client, name):
    server.script(CallTool(plan(), name=name))
    play(client)
    assert_plan(client)


@pytest.mark.parametrize("end", [Disconnect(), Raw(b'data: {"error": {"code": 503}}\n\n'), Stall()])
def test_a_plan_that_was_whole_before_the_answer_broke_off_is_one(server, client, end):
    server.script(Say(HERE), CallTool(plan()), end)
    history = play(client)
    assert_plan(client)
    assert client.texts[-1] == HERE
    assert len(history) == 3


@pytest.mark.parametrize(
    "steps",
    [
        [[Say(HERE), CallTool(PLAN[:-20]), Disconnect()]],
        [[Say(HERE), CallTool(PLAN[:-20]), Finish("length")], [CallTool(PLAN[:-20]), Finish("length")]],
        [[Say(HERE), CallTool(PLAN[:-20])], [HttpError(401)]],
        [[Say(f"{HERE}\n```json\n{PLAN[:-20]}", piece_characters=50), Finish("length")], [HttpError(400)]],
    ],
)
def test_of_a_plan_that_stays_cut_the_whole_sessions_are_shown(server, client, steps):
    for answer in steps:
        server.script(*answer)
    history = play(client)
    (message,) = [each for each in client.got if each["type"] == "chatPlan"][-1:]
    assert [session["name"] for session in message["blueprint"]["sessions"]] == ["Push"]
    assert client.texts[-1] == f"{HERE}\n\n{answers.PART_OF_PLAN}"
    assert_calm(client)
    call = history[1]["tool_calls"][0]["function"]
    assert len(json.loads(call["arguments"])["blueprint"]["sessions"]) == 1
    assert len(server.requests) == len(steps)


@pytest.mark.parametrize(
    "wrong",
    [
        [CallTool({"name": "x"})],
        [CallTool(PLAN[:-20])],
        [CallTool(PLAN[:-20]), Finish("length")],
        [CallTool(plan(blueprint={"name": "A", "sessions": []}))],
        [Say(PLAN[:-20], piece_characters=50)],
        [Say('<tool_call>{"name": "create_workout_plan", "arguments": {}}</tool_call>')],
    ],
)
def test_an_answer_of_no_use_goes_back_once_with_its_fault(server, client, wrong):
    before = counted("repaired")
    server.script(Say(HERE), *wrong)
    server.script(Say("Sorry, again:"), CallTool(plan(name="Second")))
    history = play(client)
    assert_plan(client, "Second")
    assert_calm(client)
    assert client.texts[-1] == HERE
    first, second = (request.body["messages"] for request in server.requests)
    assert second[: len(first)] == first
    fault = second[-1]["content"]
    assert "create_workout_plan" in fault
    assert "valid JSON" in fault or "The member `" in fault or "too long" in fault
    assert [message["role"] for message in history] == ["user", "assistant", "tool"]
    assert history[1]["content"] == HERE
    assert counted("repaired") == before + 1


def test_a_cut_answer_is_said_to_be_no_json(server, client):
    server.script(CallTool(PLAN[:-20]))
    server.script(CallTool(plan()))
    play(client)
    assert "valid JSON" in server.requests[1].body["messages"][-1]["content"]
    assert_plan(client)


@pytest.mark.parametrize(
    "second", [[CallTool({"name": "x"})], [Stall()], [HttpError(401)], [HttpError(400)], [Disconnect()] * 3, [Say("")]]
)
def test_a_repair_that_fails_is_told_once(server, client, second):
    before = counted("failed")
    server.script(Say("Here:"), CallTool({"name": "x"}))
    for _ in range(3):
        server.script(*second)
    history = play(client)
    assert client.texts[-1] == f"Here:\n\n{answers.BROKEN_PLAN}"
    assert len(history) == 1
    assert counted("failed") == before + 1


def test_words_after_a_fault_are_words(server, client):
    server.script(Say("Here:"), CallTool({"name": "x"}))
    server.script(Refuse("I'd rather know about your knee first."))
    history = play(client)
    assert client.texts[-1] == "Here:\n\nI'd rather know about your knee first."
    assert history[-1] == {"role": "assistant", "content": client.texts[-1]}


def test_both_rounds_share_one_time_limit(client, monkeypatch):
    monkeypatch.setattr("shared.ai.streams.WHOLE_ANSWER_SECONDS", 6.0)
    monkeypatch.setattr("shared.ai.streams.SILENCES_IN_ANSWER", 0)
    with scripted_model(timeout_seconds=60) as server:
        server.script(Pause(3.0), CallTool({"name": "x"}))
        server.script(Stall())
        began = time.monotonic()
        play(client)
        assert time.monotonic() - began < 8.5  # with a limit of its own, the second round would end after nine
        assert client.texts == [answers.BROKEN_PLAN]
        assert server.requests[1].disconnected.wait(WAIT_SECONDS)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<think>The user wants</think>Hello!", "Hello!"),
        ("<think>The user wants", ""),
        ("Use {a brace} or [one].", "Use {a brace} or [one]."),
        ("5 < 6 and `code`", "5 < 6 and `code`"),
        ("```\nMonday: rest\n```", "Monday: rest\n"),
        ('Like {"a": 1} this.', "Like  this."),
        ("I call create_workout_plan for that.", "I call create_workout_plan for that."),
    ],
)
def test_words_stay_and_the_rest_is_hidden(text, shown):
    assert calm(text, ended=True) == shown


@pytest.mark.parametrize("text", AS_TEXT)
def test_no_beginning_of_a_call_is_shown(text):
    for length in range(len(text)):
        shown = calm(text[:length], ended=False)
        assert HERE.startswith(shown.strip()), (text[:length], shown)


def test_the_name_of_the_tool_is_what_is_looked_for():
    assert plans.TOOL_NAME == "create_workout_plan"
