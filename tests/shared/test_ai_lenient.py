"""JSON is found in an answer, however it is wrapped."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.ai import lenient
from shared.ai.shapes import Mismatch

PLAN = {"name": "A {brace} and a ``` fence", "sessions": [{"name": "One"}]}
TEXT = json.dumps(PLAN)


def accept(value):
    if "sessions" not in value:
        raise Mismatch("sessions")
    return value


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"\ufeff{TEXT}",
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}",
        f"Sure, here is your plan:\n\n{TEXT}\n\nHave fun {{and}} train hard!",
        f"<think>The user wants {{a plan}}.</think>\n{TEXT}",
        f'<thinking>{{"sessions": "many"}}</thinking>{TEXT}',
        f'The user wants {{"sessions": 1}}\n</think>\n\n{TEXT}',
        f'<|channel|>analysis<|message|>{{"sessions": 1}}<|end|><|start|>assistant<|channel|>final<|message|>{TEXT}',
        json.dumps(TEXT),
        json.dumps(json.dumps(TEXT)),
        f"[{TEXT}]",
        f'<tool_call>\n{{"name": "create_workout_plan", "arguments": {TEXT}}}\n</tool_call>',
        json.dumps({"name": "create_workout_plan", "arguments": TEXT}),
        json.dumps({"name": "create_workout_plan", "parameters": PLAN}),
        f'[TOOL_CALLS][{{"name": "create_workout_plan", "arguments": {TEXT}}}]',
        json.dumps({"type": "function", "function": {"name": "create_workout_plan", "arguments": TEXT}}),
        f"create_workout_plan({TEXT})",
        f"<function=create_workout_plan>{TEXT}</function>",
        json.dumps({"plan": PLAN}),
        f'{{"a": 1}} {TEXT}',
    ],
)
def test_an_object_is_read_however_it_is_wrapped(text):
    assert lenient.read(text, accept) == PLAN


@pytest.mark.parametrize(
    "text", ["", "Sure!", TEXT[:-5], f"<think>{TEXT}", "5", "null", '{"sessions": NaN}', "{" * 10_000]
)
def test_what_holds_no_object_is_no_json(text):
    with pytest.raises(lenient.Unreadable, match=lenient.NO_JSON):
        lenient.read(text, accept)


def test_the_fault_is_that_of_the_outermost_object():
    with pytest.raises(lenient.Unreadable, match=r"^sessions$"):
        lenient.read('{"name": "A", "arguments": {"b": 1}}', accept)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.text() | st.text(st.sampled_from('{}[]"\\:,<>think/`\ud800a1')))
def test_no_text_breaks_the_reader(text):
    list(lenient.objects_in(text))


def test_braces_without_end_cost_little():
    assert list(lenient.objects_in('{"a": ' * 40_000)) == []
