"""JSON is found in an answer, however it is wrapped."""

import json
from contextlib import suppress

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


DAYS = [{"name": f"Day {{{day}}}", "exercises": [{"name": "Squat \\", "reps": [[5, 8], [10, 12]]}, {"name": "Row]"}]}
        for day in range(3)]  # fmt: skip


def two_levels(value):
    """Accept sessions, each of which has some exercises, and no others."""
    if not value.get("sessions"):
        raise Mismatch("sessions")
    if not all(session.get("exercises") for session in value["sessions"]):
        raise Mismatch("sessions.0.exercises")
    return value["sessions"]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("wrapped", ["%s", "```json\n%s", '<think>{"no</think>Here: {x} %s', '{"arguments": %s'])
def test_of_an_answer_that_was_cut_what_was_whole_is_read(wrapped, last):
    plan = {"sessions": DAYS, "days": 12} if last else {"days": 12, "sessions": DAYS}
    text = json.dumps(plan)
    seen = set()
    for end in range(len(text)):
        try:
            found = lenient.salvage(wrapped % text[:end], two_levels)
        except lenient.Unreadable:
            found = []
        first = [DAYS[0] | {"exercises": DAYS[0]["exercises"][:1]}]
        assert found in ([], first, *(DAYS[:count] for count in range(1, 4)))
        seen.add((len(found), len(found[0]["exercises"]) if found else 0))
    assert seen == {(0, 0), (1, 1), (1, 2), (2, 2), (3, 2)}


@pytest.mark.parametrize("text", ["", "Sure!", "{", '{"sessions": [', '{"sessions": 5', "[" * 10_000, '{"a":' * 10_000])
def test_of_an_answer_that_holds_nothing_whole_nothing_is_read(text):
    with pytest.raises(lenient.Unreadable, match=lenient.NO_JSON):
        lenient.salvage(text, two_levels)


@settings(max_examples=200)
@given(st.text(alphabet='{}[]":,\\ a1', max_size=60))
def test_whatever_was_cut_is_read_or_refused(text):
    with suppress(lenient.Unreadable):
        assert lenient.salvage(text, two_levels)
