"""Answers of endpoints that differ from OpenAI's own, as they were reported of each, over real HTTP."""

import json

import pytest

from client.model_server import ModelServer
from client.scripted_answers import Say
from shared.ai.model import Model
from shared.ai.questions import Question
from shared.ai.streams import CallPart, End, Refusal, Words
from shared.errors import ModelUnavailable
from shared.metrics import registry, series
from shared.settings.planner import ModelSettings
from tests.scripted_faults import Disconnect, Raw, Whole
from tests.waiting import WAIT_SECONDS, wait_for

TOOL = "create_workout_plan"
DONE = b"data: [DONE]\n\n"


@pytest.fixture
def answered():
    """Return a function that scripts an answer, and returns its text, its calls and its end."""
    with ModelServer() as server:

        def play(*steps):
            server.script(*steps)
            model = Model(ModelSettings(server.base_url, "scripted", WAIT_SECONDS))
            with model.ask(Question([{"role": "user", "content": "a plan, please"}])) as stream:
                return summary(list(stream.rest()))

        yield play


def summary(pieces):
    calls: dict[int, tuple[str, str]] = {}
    for piece in pieces:
        if isinstance(piece, CallPart):
            name, arguments = calls.get(piece.index, ("", ""))
            calls[piece.index] = (name + piece.name, arguments + piece.arguments)
    text = "".join(piece.text for piece in pieces if isinstance(piece, Words | Refusal))
    return text, list(calls.values()), pieces[-1]


def event(value):
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def choice(delta, **members):
    return event({"choices": [{"index": 0, "delta": delta} | members]})


def call(name=None, arguments=None, **members):
    return choice({"tool_calls": [{"type": "function", "function": {"name": name, "arguments": arguments}} | members]})


FILTER_RESULT = {"content_filter_results": {}, "content_filter_offsets": {"check_offset": 44}, "finish_reason": None}


@pytest.mark.parametrize(
    "odd",
    [
        event({"id": "", "object": "", "choices": [{"index": 0} | FILTER_RESULT]}),
        event({"id": "", "object": "", "choices": [{"index": 0, "delta": None} | FILTER_RESULT]}),
        event({"choices": [], "prompt_filter_results": []}),
        event({"choices": None, "usage": {"total_tokens": 7}}),
        event({"choices": [None]}),
        event({"choices": 7}),
        event({"usage": None}),
        event([]),
        event(5),
        event(None),
        b"data: nothing like JSON\n\n",
        b"data: " + b"[" * 100_000 + b"\n\n",
        b"data:\n\n",
        b": ping\n\n",
        b"error: older llama.cpp's field\n\n",
        choice({"content": None, "refusal": None, "tool_calls": None}),
        choice({"role": "assistant", "reasoning_content": "The user wants"}),
        choice({"content": 7, "tool_calls": [None, 7]}) + choice({"tool_calls": {}}),
    ],
)
def test_an_odd_chunk_is_skipped(answered, odd):
    begun, rest = choice({"content": "Bench, "}), choice({"content": "then rows."})
    text, _, end = answered(Raw(odd + begun + odd + rest + odd))
    assert (text, end) == ("Bench, then rows.", End("stop"))


ONE = [(TOOL, '{"a":1}')]
TWO = [*ONE, (TOOL, '{"b":2}')]


@pytest.mark.parametrize(
    ("chunks", "calls"),
    [
        # Ollama: no index, later the same one for each call
        ([call(TOOL, '{"a":1}', id="call_1"), call(TOOL, '{"b":2}', id="call_2")], TWO),
        ([call(TOOL, '{"a":1}', id="call_1", index=0), call(TOOL, '{"b":2}', id="call_2", index=0)], TWO),
        ([call(TOOL, '{"a":1}', index=None), call(TOOL, '{"b":2}', index=None)], TWO),
        ([call(TOOL, '{"a"', index=0), call(TOOL, '{"b":2}', index=1), call(None, ":1}", index=0)], TWO),
        # older vLLM: another id with each fragment
        ([call(TOOL, id="a", index=0), call(None, '{"a"', id="b", index=0), call("", ":1}", id="c", index=0)], ONE),
        # id or name said again
        ([call(TOOL, '{"a"', id="a", index=0), call(TOOL, ":1}", id="a", index=0)], ONE),
        ([call(TOOL, '{"a"', index=0), call(TOOL, ":1}", index=0)], ONE),
        ([call(TOOL, index=0), call(TOOL, '{"a":1}', index=0)], ONE),
        ([call("create_", id="a", index=0), call("workout_plan", index=0), call(None, '{"a":1}', index=0)], ONE),
        ([call(TOOL, id="a"), call(None, '{"a"', index=0), call(None, ":1}", index=None)], ONE),
        ([call(TOOL, '{"a":1}'), choice({"tool_calls": [{"index": 0, "function": None}]})], ONE),
        # arguments that are no text
        ([call(TOOL, {"a": 1}, id="a", index=0)], [(TOOL, '{"a": 1}')]),
    ],
)
def test_calls_are_told_apart(answered, chunks, calls):
    _, got, end = answered(Raw(b"".join(chunks)))
    assert got == calls
    assert end == End("stop")


def test_a_text_may_come_in_parts(answered):
    """As Mistral's reasoning models write it; what they thought is in parts of another kind."""
    thoughts = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}
    text, _, _ = answered(Raw(choice({"content": [thoughts, {"type": "text", "text": "Bench."}]})))
    assert text == "Bench."


def test_an_answer_may_end_without_a_reason(answered):
    assert answered(Raw(choice({"content": "Bench."}) + DONE)) == ("Bench.", [], End("stop"))


def test_an_answer_that_stops_without_a_word_of_its_end_is_a_fault(answered):
    with pytest.raises(ModelUnavailable):
        answered(Raw(choice({"content": "Bench."})), Disconnect())
    with pytest.raises(ModelUnavailable):
        answered(Raw(DONE), Say("too late"))


@pytest.mark.parametrize("members", [{}, {"finish_reason": "tool_calls"}])
def test_an_answer_in_one_piece_is_one(answered, members):
    function = {"name": TOOL, "arguments": '{"a":1}'}
    message = {"role": "assistant", "content": "Here.", "tool_calls": [{"id": "a", "function": function}]}
    body = json.dumps({"object": "chat.completion", "choices": [{"message": message} | members]}).encode()
    text, calls, end = answered(Whole(body))
    assert (text, calls) == ("Here.", [(TOOL, '{"a":1}')])
    assert end == End(members.get("finish_reason", "stop"))


def tokens():
    """Return what this process has counted so far."""
    names = [series("liftlog_ai_tokens_total", kind=kind) for kind in ("prompt", "completion")]
    return [sum(bucket.counts.get(name, 0) for bucket in registry.buckets()) for name in names]


@pytest.mark.parametrize(
    "usages",
    [
        [{"prompt_tokens": 30, "completion_tokens": 12}],
        [
            {"prompt_tokens": 30, "completion_tokens": 1},
            {"prompt_tokens": 30, "completion_tokens": 12},
        ],  # in each chunk
    ],
    ids=["once", "anew each time"],
)
def test_tokens_are_counted_as_the_endpoint_says(answered, usages):
    before = tokens()
    chunks = [event({"choices": [], "usage": usage}) for usage in usages]
    answered(Raw(b"".join([choice({"content": "Hi"}, finish_reason="stop"), *chunks, DONE])))
    wait_for(lambda: tokens() != before)  # what comes behind the end is read by the answer's own thread
    assert [after - so_far for after, so_far in zip(tokens(), before, strict=True)] == [30, 12]


def test_a_number_of_tokens_that_is_none_is_not_counted(answered):
    before = tokens()
    said = choice({"content": "Hi"}, finish_reason="stop")
    answered(Raw(said + event({"usage": {"prompt_tokens": "many", "completion_tokens": None}}) + DONE))
    answered(Raw(said + event({"usage": {"prompt_tokens": 1}}) + DONE))
    wait_for(lambda: tokens() != before)
    assert tokens() == [before[0] + 1, before[1]]
