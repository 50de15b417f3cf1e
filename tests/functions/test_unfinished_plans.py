"""Plans while they are generated. The property: no prefix of a plan shows a broken plan."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.ai_chat import plans
from tests.plans import REST, cardio, plan, rule, weighted

FREE_TEXTS = {"name", "description", "notes"}
SAID = "https://example.com/bench"


def texts(value):
    return json.dumps(value, ensure_ascii=False), json.dumps(value, indent=2)


def final(value, said=SAID):
    return plans.finished(json.dumps(value), 2, said)


def prefixes(text):
    """What is shown after each character, where something is."""
    shown = (plans.unfinished(text[:length], SAID) for length in range(len(text) + 1))
    return [value for value in shown if value is not None]


def sent(value):
    """The finished plan as apps receive it."""
    message = plans.message(final(value), 2)
    assert message.pop("type") == "chatPlan"
    return message


def extends(later, earlier, key=""):
    """Whether everything shown before is still there, free text aside, which may have grown."""
    if isinstance(earlier, dict):
        return isinstance(later, dict) and all(
            name in later and extends(later[name], earlier[name], name) for name in earlier
        )
    if isinstance(earlier, list):
        return len(later) >= len(earlier) and all(map(extends, later, earlier))
    if key in FREE_TEXTS:
        return later.startswith(earlier)
    return type(later) is type(earlier) and later == earlier


def assert_shown_well(text, finished):
    shown = prefixes(text)
    assert shown
    for value in shown:
        assert value["version"] == 3
        assert set(value) == {"version", "name", "description", "blueprint"}
        assert "null" not in json.dumps(value)
    assert all(extends(later, earlier) for earlier, later in pairwise([*shown, finished]))


@pytest.mark.parametrize("text", texts(plan()), ids=["compact", "indented, escaped"])
def test_every_prefix_of_a_plan_shows_a_part_of_it(text):
    assert_shown_well(text, sent(plan()))


def test_every_prefix_of_a_plan_with_links_shows_a_part_of_it():
    value = plan(weighted(link=SAID), weighted(link="https://elsewhere.example"))
    finished = sent(value)
    assert [each["link"] for each in finished["blueprint"]["sessions"][0]["exercises"]] == [SAID, ""]
    assert_shown_well(json.dumps(value), finished)


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12).map(
    lambda text: f"x{text}"
)
DECIMALS = st.decimals(0, 999, places=2).map(float)
DURATIONS = st.integers(1, 9999)
RESTS = st.fixed_dictionaries(dict.fromkeys(REST, DURATIONS))
REPS = st.tuples(st.integers(1, 100), st.integers(0, 100)).map(
    lambda pair: {"reps": {"min": pair[0], "max": sum(pair)}}
)
SCOPES = st.one_of(
    st.just({"type": "allSets"}),
    st.sampled_from(["first", "middle", "last", "all"]).map(lambda pick: {"type": "lowestSets", "pick": pick}),
)
RULES = st.builds(
    rule, axis=st.sampled_from(["reps", "load"]), step=DECIMALS, scope=SCOPES, ceiling=st.none() | DECIMALS,
    onCeiling=st.sampled_from([None, "reset"]),
)  # fmt: skip
TARGETS = st.one_of(
    st.builds(lambda value: {"type": "time", "value": value}, DURATIONS),
    st.builds(
        lambda value, unit: {"type": "distance", "value": {"value": value, "unit": unit}},
        DECIMALS, st.sampled_from(["metre", "yard", "mile", "kilometre"]),
    ),
)  # fmt: skip
EXERCISES = st.one_of(
    st.builds(
        weighted, name=WORDS, notes=WORDS, plannedSets=st.lists(REPS, min_size=1, max_size=3), restBetweenSets=RESTS,
        progression=st.lists(RULES, max_size=2), supersetWithNext=st.booleans(),
        resistance=st.sampled_from(["none", "external", "bodyweight"]), link=st.sampled_from(["", SAID, "http://x.y"]),
    ),
    st.builds(cardio, TARGETS, name=WORDS),
)  # fmt: skip
PLANS = st.builds(
    lambda exercises, name, description: plan(*exercises, name=name, description=description),
    st.lists(EXERCISES, min_size=1, max_size=2), WORDS, WORDS,
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=25, derandomize=True, deadline=None)
@given(value=PLANS, is_ascii=st.booleans(), indent=st.none() | st.integers(0, 2))
def test_every_prefix_of_any_plan_shows_a_part_of_it(value, is_ascii, indent):
    text = json.dumps(value, ensure_ascii=is_ascii, indent=indent)
    assert_shown_well(text, sent(value))


@settings(max_examples=300, derandomize=True, deadline=None)
@given(text=st.text(max_size=60) | st.text(st.sampled_from('{}[]",:\\u0e1-.ntfblueprintsessions '), max_size=60))
def test_no_text_breaks_the_parser(text):
    shown = plans.unfinished(text, "")
    assert shown is None or set(shown) >= {"version", "name", "description", "blueprint"}
    with pytest.raises(plans.InvalidPlan):
        plans.finished(text, 2, "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", None),
        ("[", None),
        ("{", {}),
        ('{"na', {}),
        ('{"name": "Str', {"name": "Str"}),
        ('{"name": "Str\\u00', {"name": "Str"}),
        ('{"name": "Str\\u00e4', {"name": "Strä"}),
        ('{"name": null', {}),
        ('{"version": 7, "name": "A", "unknown": 1', {"name": "A"}),
        ('{"blueprint": {', {"blueprint": {"version": 3}}),
        ('{"blueprint": {"sessions": [', {"blueprint": {"version": 3, "sessions": []}}),
        ('{"blueprint": {"sessions": [{', {"blueprint": {"version": 3, "sessions": [{"version": 6}]}}),
        ('{"blueprint": {"lastEdited": "2026-0', {"blueprint": {"version": 3}}),
    ],
)
def test_what_a_beginning_shows(text, shown):
    expected = None if shown is None else {"version": 3, "name": "", "description": "", "blueprint": {}} | shown
    assert plans.unfinished(text, "") == expected


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{", None),
        ('{"name": "Bench", ', None),
        ('{"type": "Weighted', None),
        ('{"type": "Stretching", "name": "x"', None),
        ('{"type": "WeightedExerciseBlueprint"', {}),
        ('{"type": "WeightedExerciseBlueprint", "plannedSets": [{"reps": {"min": 1', {"plannedSets": [{"reps": {}}]}),
        (
            '{"type": "WeightedExerciseBlueprint", "plannedSets": [{"reps": {"min": 1, "max": 12}',
            {"plannedSets": [{"reps": {"min": 1, "max": 12}}]},
        ),
        (
            '{"type": "WeightedExerciseBlueprint", "plannedSets": [{"reps": {"min": 5, "max": 5}}], "notes": "',
            {
                "plannedSets": [{"reps": {"min": 5, "max": 5}}], "notes": "",
                "sets": 1, "repsConfig": {"type": "fixed", "reps": 5},
            },
        ),
        (
            '{"type": "WeightedExerciseBlueprint", "progression": [], "resistance": "bodyweight"',
            {
                "progression": [], "progressiveOverload": {"type": "NoProgressiveOverload"},
                "resistance": "bodyweight", "usesBodyweight": True,
            },
        ),
        ('{"type": "WeightedExerciseBlueprint", "restBetweenSets": {"minRest": 9', {"restBetweenSets": {}}),
        (
            '{"type": "WeightedExerciseBlueprint", '
            '"restBetweenSets": {"minRest": 90, "maxRest": 60, "failureRest": 300}',
            {"restBetweenSets": {"minRest": "PT60S", "maxRest": "PT90S", "failureRest": "PT300S"}},
        ),
        ('{"type": "WeightedExerciseBlueprint", "resistance": "extern', {}),
        ('{"type": "WeightedExerciseBlueprint", "supersetWithNext": tru', {}),
        ('{"type": "WeightedExerciseBlueprint", "supersetWithNext": true', {"supersetWithNext": True}),
        ('{"type": "WeightedExerciseBlueprint", "link": "https://example.com/be', {}),
        ('{"type": "WeightedExerciseBlueprint", "link": "https://example.com/bench"', {"link": SAID}),
        ('{"type": "WeightedExerciseBlueprint", "link": "https://elsewhere.example"', {"link": ""}),
        ('{"type": "WeightedExerciseBlueprint", "progression": [{"step": 2.', {"progression": [{}]}),
        ('{"type": "WeightedExerciseBlueprint", "progression": [{"scope": {"type": "all', {"progression": [{}]}),
        ('{"type": "WeightedExerciseBlueprint", "progression": [{"ceiling": null, ', {"progression": [{}]}),
    ],
)  # fmt: skip
def test_what_the_beginning_of_an_exercise_shows(text, shown):
    plan_so_far = plans.unfinished('{"blueprint": {"sessions": [{"exercises": [' + text, SAID)
    assert plan_so_far is not None
    exercises = plan_so_far["blueprint"]["sessions"][0]["exercises"]
    assert exercises == ([] if shown is None else [{"type": "WeightedExerciseBlueprint"} | shown])
