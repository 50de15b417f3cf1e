"""Endpoints as they are: what each refuses, in the words of error bodies that were reported, and what it is sent then.

One parametrised test over real HTTP. The bodies are in tests/endpoints.toml, with the threads that report them.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from client.model_server import ModelServer
from client.scripted_answers import CallTool, Say
from functions.ai import forms
from functions.ai_chat import plans
from shared.ai import dialects
from shared.ai.model import Model
from shared.ai.questions import Question
from shared.ai.shapes import response_format
from shared.ai.streams import CallPart, End, Words
from shared.errors import ContextFull, ModelRefused, ModelUnavailable
from shared.settings.planner import OPENAI_URL, ModelSettings
from tests.plans import plan, plan_v1
from tests.scripted_faults import Raw, Whole
from tests.waiting import WAIT_SECONDS

Json = dict[str, Any]
TABLE = tomllib.loads((Path(__file__).parent.parent / "endpoints.toml").read_text(encoding="utf-8"))
KINDS: dict[str, Json] = {kind["name"]: kind for kind in TABLE["endpoint"]}
TOO_LONG: dict[str, str] = TABLE["too_long"]
SYSTEM = {"role": "system", "content": "You plan."}
ASKED = {"role": "user", "content": "a plan, please"}
CHAT = Question([SYSTEM, ASKED], [plans.tool(2)])
REST = Question([SYSTEM, ASKED], response_format=response_format(forms.WORKOUT["app"].shape))
QUESTIONS = {"chat": CHAT, "rest": REST}
EXTRA = {"type": "extra_forbidden", "msg": "Extra inputs are not permitted"}


def openai_error(message: str, **members: Any) -> Json:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None} | members}


@pytest.fixture
def server():
    with ModelServer() as server:
        yield server


@pytest.fixture
def model(server):
    return Model(ModelSettings(server.base_url, "scripted", WAIT_SECONDS))


def answered(model, question):
    with model.ask(question) as stream:
        return list(stream.rest())


def refuse(server, body, status=400):
    server.script(Whole((body if isinstance(body, str) else json.dumps(body)).encode(), status))


def script_answer(server, kind):
    server.script(CallTool(plan()) if kind == "chat" else Say(json.dumps(plan_v1()), piece_characters=50))


def names_in(body):
    """The names and words of a request: those of members, and what texts say."""
    return json.dumps(body, ensure_ascii=False)


def is_in(word, body):
    text = names_in(body)
    return (
        word in text if " " in word or word.startswith("<") else f'"{word}"' in text or f"{word}" in _schema_words(body)
    )


def _schema_words(body):
    """What is said in texts, as words: a schema in the prompt, a limit as a number."""
    text = json.dumps(body, ensure_ascii=False).replace('\\"', " ").replace('"', " ")
    return set(text.replace(",", " ").replace(":", " ").replace("{", " ").replace("}", " ").split())


@pytest.mark.parametrize("name", KINDS)
def test_an_endpoint_gets_what_it_takes_and_it_is_remembered(server, model, name, caplog):
    kind = KINDS[name]
    asked, refusals = kind["asked"], kind["refusals"]
    for refusal in refusals:
        status, _, text = refusal.partition(" ")
        refuse(server, text, int(status))
    for _ in range(2):
        script_answer(server, asked)
    first = answered(model, QUESTIONS[asked])
    assert first[-1].reason in {"stop", "tool_calls"}
    logged = [record for record in caplog.records if record.getMessage() == "endpoint takes less"]
    assert len(server.requests) == len(refusals) + 1
    answered(model, QUESTIONS[asked])
    assert len(server.requests) == len(refusals) + 2  # remembered
    assert len([record for record in caplog.records if record.getMessage() == "endpoint takes less"]) == len(logged)
    assert len(logged) == len(refusals)
    body = server.requests[-1].body
    assert body == server.requests[-2].body
    assert {word for word in kind["has"] if not is_in(word, body)} == set()
    assert {
        word for word in kind["lacks"] if f'"{word}"' in names_in(body) or f'\\"{word}\\"' in names_in(body)
    } == set()
    assert model.breaker.counts.failed == 0


def test_openai_is_sent_no_lengths_of_texts_which_it_would_refuse():
    """platform.openai.com/docs/guides/structured-outputs, "Supported properties"."""
    assert "maxLength" not in json.dumps(dialects.first(OPENAI_URL).request(REST))
    assert "maxLength" in json.dumps(dialects.first("http://localhost:8080/v1").request(REST))


@pytest.mark.parametrize("name", TOO_LONG)
@pytest.mark.parametrize("way", ["status 400", "status 500", "in the stream", "after words", "whole, status 200"])
def test_a_context_that_is_too_long_is_told_apart(server, model, name, way):
    body = TOO_LONG[name].encode()
    event = Raw(b"data: " + body + b"\n\n")
    steps: dict[str, list[Any]] = {
        "in the stream": [event],
        "after words": [Say("Let me"), event],
        "whole, status 200": [Whole(body)],
    }
    for _ in range(5):
        server.script(*steps.get(way, [Whole(body, 500 if way == "status 500" else 400)]))
        with pytest.raises(ContextFull):
            answered(model, CHAT)
    assert len(server.requests) == 5
    assert model.breaker.counts.succeeded == 5


def test_what_a_model_said_that_groq_refused_is_an_answer(server, model):
    """console.groq.com/docs/errors: 400 with `failed_generation` where a call is no valid one."""
    said = f"<function=create_workout_plan>{json.dumps(plan())}</function>"
    error = openai_error("Failed to call a function.", code="tool_use_failed", failed_generation=said)
    server.script(Whole(json.dumps(error).encode(), 400))
    assert answered(model, CHAT) == [Words(said), End("stop")]
    server.script(Raw(b"event: error\ndata: " + json.dumps(error).encode() + b"\n\n"))
    assert answered(model, CHAT) == [Words(said), End("stop")]


def test_a_conversation_with_calls_goes_to_an_endpoint_without_tools_as_text(server, model):
    call = {"id": "a", "type": "function", "function": {"name": "create_workout_plan", "arguments": '{"name":"A"}'}}
    history: list[Json] = [
        SYSTEM, ASKED, {"role": "assistant", "content": "Here.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "Delivered."}, {"role": "user", "content": "Shorter"},
    ]  # fmt: skip
    refuse(server, openai_error("this model does not support tools"))
    server.script(Say("Sure."))
    answered(model, Question(history, [plans.tool(2)]))
    system, asked, said, again = server.requests[-1].body["messages"]
    assert system["content"].startswith("You plan.\n\n# How to call the tool")
    assert asked == ASKED
    assert said["content"] == 'Here.<tool_call>{"name": "create_workout_plan", "arguments": {"name":"A"}}</tool_call>'
    assert again == {"role": "user", "content": "(Result of the tool: Delivered.)\n\nShorter"}


@pytest.mark.parametrize(
    ("status", "message"),
    [(400, "I can't do that."), (422, "No."), (400, "Your request was flagged: content_filter, strict rules apply")],
)
def test_a_refused_question_is_asked_once_more_at_most(server, model, status, message):
    """Whatever its words: an endpoint that refuses everything is not asked for ever."""
    for _ in range(4):
        refuse(server, openai_error(message), status)
    with pytest.raises(ModelRefused):
        answered(model, CHAT)
    assert len(server.requests) <= 2


def test_an_endpoint_that_always_refuses_is_not_asked_for_ever(server, model):
    everything = openai_error("max_tokens max_completion_tokens parallel_tool_calls tools minItems $ref strict grammar")
    for _ in range(30):
        refuse(server, everything)
    with pytest.raises((ModelRefused, ModelUnavailable)):
        answered(model, CHAT)
    assert len(server.requests) < 12


def test_parts_that_are_left_out_are_no_secrets(server, model, caplog):
    refuse(server, {"detail": [EXTRA | {"loc": ["body", "max_completion_tokens"], "input": "secret words"}]}, 422)
    script_answer(server, "chat")
    pieces = answered(model, CHAT)
    assert any(isinstance(piece, CallPart) for piece in pieces)
    [record] = [record for record in caplog.records if record.getMessage() == "endpoint takes less"]
    assert (record.left_out, record.status) == ("max_completion_tokens", 422)
    assert "secret" not in caplog.text
