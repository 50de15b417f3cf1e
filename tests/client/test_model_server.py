"""The scripted model server, met by the client library that the planner uses, and by a bare socket."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from client import canned_coach
from client.model_server import ModelServer
from client.scripted_answers import CallTool, Say
from functions.ai import plans as rest_plans
from functions.ai_chat import plans as chat_plans
from shared.ai import model as language_model
from shared.settings.planner import model_settings
from tests.scripted_faults import Disconnect, Finish, HttpError, Raw, Refuse, Stall
from tests.waiting import WAIT_SECONDS

PLAN = {"name": "Push", "sessions": [{"name": "Größe 🏋", "notes": 'a "quoted" note'}]}
QUESTION = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture
def model():
    with ModelServer() as running:
        yield running


@pytest.fixture
def client(model):
    with openai.OpenAI(base_url=model.base_url, api_key="a-key", max_retries=0, timeout=WAIT_SECONDS) as client:
        yield client


def stream(client, **changes):
    return client.chat.completions.create(**QUESTION | {"stream": True} | changes)


def whole(client, **changes):
    return client.chat.completions.create(**QUESTION | changes).choices[0]


def deltas(chunks):
    return [chunk.choices[0].delta for chunk in chunks if chunk.choices]


def test_a_text_comes_in_pieces_of_the_length_that_was_said(model, client):
    model.script(Say("Hello there", piece_characters=3))
    chunks = list(stream(client))
    assert [delta.content for delta in deltas(chunks)] == ["", "Hel", "lo ", "the", "re", None]
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None] * 5 + ["stop"]
    assert deltas(chunks)[0].role == "assistant"


@pytest.mark.parametrize("characters", [1, 2, 7, 10_000])
def test_a_tools_arguments_come_in_fragments_that_end_anywhere(model, client, characters):
    model.script(Say("Here."), CallTool(PLAN, fragment_characters=characters))
    chunks = list(stream(client))
    calls = [call for delta in deltas(chunks) for call in delta.tool_calls or []]
    assert (calls[0].index, calls[0].id, calls[0].function.name) == (0, "call_0", "create_workout_plan")
    fragments = [call.function.arguments for call in calls[1:]]
    assert all(len(fragment) <= characters for fragment in fragments)
    assert json.loads("".join(fragments)) == PLAN
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_arguments_may_be_no_json(model, client):
    model.script(CallTool('{"name": "Pu', fragment_characters=100))
    assert deltas(stream(client))[2].tool_calls[0].function.arguments == '{"name": "Pu'


def test_two_calls_have_their_indexes(model, client):
    model.script(CallTool(PLAN), CallTool("{}", name="another"))
    calls = whole(client).message.tool_calls
    assert [(call.function.name, json.loads(call.function.arguments)) for call in calls] == [
        ("create_workout_plan", PLAN),
        ("another", {}),
    ]


def test_a_whole_answer_has_everything(model, client):
    model.script(Say("Here."), CallTool(PLAN))
    choice = whole(client)
    assert (choice.message.content, choice.finish_reason) == ("Here.", "tool_calls")
    assert json.loads(choice.message.tool_calls[0].function.arguments) == PLAN


def test_a_refusal_and_a_reason_to_finish(model, client):
    model.script(Refuse("I must not."))
    model.script(Say("Too lo"), Finish("length"))
    assert whole(client).message.refusal == "I must not."
    assert whole(client).finish_reason == "length"


def test_usage_is_told_when_it_is_asked_for(model, client):
    model.script(Say("a"))
    model.script(Say("a"))
    last = list(stream(client, stream_options={"include_usage": True}))[-1]
    assert (last.choices, last.usage.total_tokens) == ([], 150)
    assert all(chunk.usage is None for chunk in stream(client))


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, openai.AuthenticationError), (429, openai.RateLimitError), (500, openai.InternalServerError)],
)
@pytest.mark.parametrize("streams", [True, False])
def test_errors_are_as_openai_sends_them(model, client, status, error, streams):
    model.script(HttpError(status, "some_code", retry_after="7"))
    with pytest.raises(error) as raised:
        client.chat.completions.create(**QUESTION, stream=streams)
    assert raised.value.code == "some_code"
    assert raised.value.response.headers["Retry-After"] == "7"


def test_scripts_answer_in_order_and_connections_are_used_again(model, client):
    for number in range(5):
        model.script(Say(str(number)))
    assert [whole(client).message.content for _ in range(5)] == list("01234")


def test_requests_are_recorded(model, client):
    model.script(Say("a"))
    whole(client, temperature=0.5)
    (request,) = model.requests
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer a-key"
    assert request.body == QUESTION | {"temperature": 0.5}
    assert request.ended.wait(WAIT_SECONDS)
    assert not request.disconnected.is_set()


@pytest.mark.parametrize("before", [(), (Say(""),), (Say("Half an ans"),), (CallTool('{"na'),)])
def test_a_stall_ends_when_it_is_released(model, client, before):
    stall = Stall()
    model.script(*before, stall, Say("wer"))
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(lambda: "".join(delta.content or "" for delta in deltas(stream(client))))
        request = model.wait_for_request()
        assert not request.ended.wait(0.1)
        stall.released.set()
        assert answer.result().endswith("wer")


@pytest.mark.parametrize("before", [(), (Say("Half an ans"),)])
def test_a_client_that_leaves_during_a_stall_is_noticed(model, before):
    model.script(*before, Stall())
    with socket.create_connection(("127.0.0.1", int(model.base_url.split(":")[2].split("/")[0]))) as bare:
        body = json.dumps(QUESTION | {"stream": True}).encode()
        bare.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        request = model.wait_for_request()
        assert not request.ended.wait(0.1)
    assert request.disconnected.wait(WAIT_SECONDS)
    assert request.ended.wait(WAIT_SECONDS)


def test_a_client_that_leaves_in_mid_stream_is_noticed(model, client):
    model.script(Say("word " * 10_000, pause_seconds=0.001))
    answer = stream(client)
    next(iter(answer))
    answer.close()
    assert model.requests[0].disconnected.wait(WAIT_SECONDS)


@pytest.mark.parametrize("before", [(), (Say("Half an ans"),)])
def test_a_disconnect_breaks_the_connection(model, client, before):
    model.script(*before, Disconnect())
    with pytest.raises((openai.APIConnectionError, openai.APIError)):
        list(stream(client))
    assert model.requests[0].ended.wait(WAIT_SECONDS)


def test_garbage_goes_out_as_it_is(model, client):
    model.script(Raw(b"data: {nonsense\n\n"))
    with pytest.raises(json.JSONDecodeError):
        list(stream(client))
    model.script(Raw(b"<html>"))
    assert client.chat.completions.with_raw_response.create(**QUESTION).text == "<html>"


def test_many_at_once_each_get_their_own_answer(model, client):
    barrier = threading.Barrier(8)

    def ask(number):
        barrier.wait()
        return "".join(delta.content or "" for delta in deltas(stream(client)))

    for number in range(8):
        model.script(Say(str(number) * 100))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    assert sorted(answers) == [str(number) * 100 for number in range(8)]


def test_the_end_of_the_server_ends_a_stall():
    with ModelServer() as model:
        model.script(Stall())
        client = openai.OpenAI(base_url=model.base_url, api_key="a-key", max_retries=0)
        with ThreadPoolExecutor(1) as threads:
            answer = threads.submit(whole, client)
            request = model.wait_for_request()
            model.__exit__(None, None, None)
            assert request.ended.is_set()
            with pytest.raises(openai.APIConnectionError):
                answer.result()
        client.close()


# the canned coach


def asked(text):
    return {"messages": [{"role": "user", "content": text}]}


SESSION = {"type": "object", "properties": {"name": {"type": "string"}}}
PARAMETERS = {
    "type": "object",
    "properties": {"sessions": {"type": "array", "items": {"$ref": "#/$defs/Session"}}},
    "$defs": {"Session": SESSION},
}
TOOLS = {"tools": [{"type": "function", "function": {"name": "make_plan", "parameters": PARAMETERS}}]}


def test_the_coach_introduces_itself(model, client):
    assert whole(client, **asked("Introduce yourself in en-AU")).message.content == canned_coach.INTRODUCTION


@pytest.mark.parametrize(
    ("wish", "days"),
    [("Make me a plan", 3), ("make it four days", 4), ("a 2-day split", 2), ("a plan for 6 days please", 6)],
)
def test_the_coach_calls_the_tool_for_a_plan_of_so_many_days(model, client, wish, days):
    choice = whole(client, **asked(wish) | TOOLS)
    (call,) = choice.message.tool_calls
    assert choice.message.content == canned_coach.PLAN_COMING
    assert call.function.name == "make_plan"
    names = [session["name"] for session in json.loads(call.function.arguments)["sessions"]]
    assert names == ["Push", "Pull", "Legs", "Push again", "Pull again", "Legs again"][:days]


def test_the_coach_knows_nothing_else(model, client):
    assert whole(client, **asked("What about the weather?") | TOOLS).message.content == canned_coach.SMALL_TALK


@pytest.mark.parametrize("version", [1, 2])
def test_the_chat_accepts_the_coachs_plan(model, client, version):
    (call,) = whole(client, **asked("a plan"), tools=[chat_plans.tool(version)]).message.tool_calls
    plan = chat_plans.finished(call.function.arguments, version, "")
    assert len((plan if version == 1 else plan["blueprint"])["sessions"]) == 3


@pytest.fixture
def planner(model, monkeypatch):
    """Return the REST routes' planner, asking the coach."""
    monkeypatch.setenv("OPENAI_BASE_URL", model.base_url)
    model_settings.cache_clear()
    language_model.cache_clear()
    yield rest_plans
    language_model.cache_clear()
    model_settings.cache_clear()


@pytest.mark.parametrize("form", ["app", "port"])
def test_the_rest_routes_accept_the_coachs_plans(planner, form):
    plan = planner.workout(form, {"days_per_week": 5, "goals": "strength"})
    assert [session["name"] for session in plan["sessions"]] == ["Push", "Pull", "Legs", "Push again", "Pull again"]
    assert len(planner.session(form, {"volume": 80})["exercises"]) == (7 if form == "app" else 3)
