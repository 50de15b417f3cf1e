"""Plans while they are generated and when they are finished. The property: no prefix of a plan shows a broken plan."""

import json
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.ai_chat import plans
from tests.plans import REST, cardio, plan, plan_v1, rule, weighted

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
DECIMALS = st.decimals(0, 999, places=2).map(str)
DURATIONS = st.integers(0, 9999).map(lambda seconds: f"PT{seconds}S")
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
        ('{"type": "WeightedExerciseBlueprint", "restBetweenSets": {"minRest": "PT9', {"restBetweenSets": {}}),
        ('{"type": "WeightedExerciseBlueprint", "resistance": "extern', {}),
        ('{"type": "WeightedExerciseBlueprint", "supersetWithNext": tru', {}),
        ('{"type": "WeightedExerciseBlueprint", "supersetWithNext": true', {"supersetWithNext": True}),
        ('{"type": "WeightedExerciseBlueprint", "link": "https://example.com/be', {}),
        ('{"type": "WeightedExerciseBlueprint", "link": "https://example.com/bench"', {"link": SAID}),
        ('{"type": "WeightedExerciseBlueprint", "link": "https://elsewhere.example"', {"link": ""}),
        ('{"type": "WeightedExerciseBlueprint", "progression": [{"step": "2.', {"progression": [{}]}),
        ('{"type": "WeightedExerciseBlueprint", "progression": [{"scope": {"type": "all', {"progression": [{}]}),
        ('{"type": "WeightedExerciseBlueprint", "progression": [{"ceiling": null, ', {"progression": [{}]}),
    ],
)  # fmt: skip
def test_what_the_beginning_of_an_exercise_shows(text, shown):
    plan_so_far = plans.unfinished('{"blueprint": {"sessions": [{"exercises": [' + text, SAID)
    assert plan_so_far is not None
    exercises = plan_so_far["blueprint"]["sessions"][0]["exercises"]
    assert exercises == ([] if shown is None else [{"type": "WeightedExerciseBlueprint"} | shown])


def test_the_finished_plan_has_our_versions_and_no_null():
    finished = final(plan(version=99) | {"unknown": 1})
    assert finished["version"] == finished["blueprint"]["version"] == 3
    assert [session["version"] for session in finished["blueprint"]["sessions"]] == [6, 6]
    assert "unknown" not in finished
    exercise, row, run = finished["blueprint"]["sessions"][0]["exercises"]
    assert exercise == weighted(progression=exercise["progression"])
    assert exercise["progression"][0] == rule(axis="reps", step="1", ceiling="12", onCeiling="reset")
    assert set(exercise["progression"][1]) == {"axis", "step", "scope", "trigger"}
    assert [set(each) >= {"restBetweenSets"} for each in row["sets"]] == [True, False]
    assert run["sets"][0]["target"] == {"type": "distance", "value": {"value": "2.5", "unit": "kilometre"}}


def planned(*targets):
    return [{"reps": {"min": least, "max": most}} for least, most in targets]


@pytest.mark.parametrize(
    ("exercise", "older"),
    [
        (weighted(plannedSets=planned((5, 5), (5, 5))), {"sets": 2, "repsConfig": {"type": "fixed", "reps": 5}}),
        (
            weighted(plannedSets=planned((8, 12), (8, 12), (8, 12))),
            {"sets": 3, "repsConfig": {"type": "range", "min": 8, "max": 12}},
        ),
        (
            weighted(plannedSets=planned((8, 12), (10, 10))),
            {"sets": 2, "repsConfig": {"type": "perSet", "targets": [{"min": 8, "max": 12}, {"min": 10, "max": 10}]}},
        ),
        (
            weighted(progression=[rule(axis="reps", step="1"), rule(step="5")]),
            {"progressiveOverload": {"type": "IncreaseAllEvenlyProgressiveOverload", "amount": "5"}},
        ),
        (
            weighted(progression=[rule(step="1.25", scope={"type": "lowestSets", "pick": "last"}), rule()]),
            {
                "progressiveOverload": {
                    "type": "IncreaseLowestSetProgressiveOverload", "amount": "1.25", "increaseStrategy": "last",
                },
            },
        ),
        (weighted(progression=[rule(axis="reps")]), {"progressiveOverload": {"type": "NoProgressiveOverload"}}),
        (weighted(resistance="bodyweight"), {"usesBodyweight": True}),
        (weighted(resistance="none"), {"usesBodyweight": False}),
    ],
)  # fmt: skip
def test_apps_of_july_and_august_2026_find_the_members_that_they_read(exercise, older):
    apps, row = sent(plan(exercise, cardio()))["blueprint"]["sessions"][0]["exercises"]
    assert older.items() <= apps.items()
    assert {"sets", "repsConfig", "progressiveOverload", "usesBodyweight"} <= set(apps)
    assert final(plan(exercise))["blueprint"]["sessions"][0]["exercises"][0].items() <= apps.items()
    assert "usesBodyweight" not in row


def test_last_edited_is_today_unless_the_model_says_else():
    before = datetime.now(UTC).date()
    given = date.fromisoformat(final(plan())["blueprint"]["lastEdited"])
    assert before <= given <= before + timedelta(days=1)
    dated = plan()
    dated["blueprint"]["lastEdited"] = "2026-01-31"
    assert final(dated)["blueprint"]["lastEdited"] == "2026-01-31"


def test_what_a_lenient_model_leaves_out_is_empty():
    exercise = weighted()
    for name in ("notes", "link", "supersetWithNext", "progression"):
        del exercise[name]
    value = plan(exercise)
    del value["description"], value["blueprint"]["sessions"][0]["notes"]
    finished = final(value)
    assert finished["description"] == finished["blueprint"]["sessions"][0]["notes"] == ""
    expected = weighted(notes="", link="", supersetWithNext=False, progression=[])
    assert finished["blueprint"]["sessions"][0]["exercises"] == [expected]


def without(value, name):
    return {key: each for key, each in value.items() if key != name}


@pytest.mark.parametrize(
    "exercise",
    [
        weighted(type="Stretching"),
        without(weighted(), "type"),
        without(weighted(), "plannedSets"),
        weighted(name=" "),
        weighted(plannedSets=[]),
        weighted(plannedSets=[{"reps": {"min": 12, "max": 8}}]),
        weighted(plannedSets=[{"reps": {"min": 0, "max": 8}}]),
        weighted(plannedSets=[{"reps": {"min": 1.5, "max": 8}}]),
        weighted(plannedSets=[{"reps": {"min": True, "max": 8}}]),
        weighted(plannedSets=[{"reps": {"min": "1", "max": 8}}]),
        weighted(restBetweenSets=REST | {"minRest": "90"}),
        weighted(restBetweenSets=REST | {"minRest": "PT"}),
        weighted(restBetweenSets=REST | {"minRest": None}),
        weighted(resistance="heavy"),
        weighted(supersetWithNext="yes"),
        weighted(progression=[rule(step="2,5")]),
        weighted(progression=[rule(step=2.5)]),
        weighted(progression=[rule(scope={"type": "lowestSets"})]),
        cardio({"type": "distance", "value": {"value": "5", "unit": "league"}}),
        cardio({"type": "time"}),
    ],
)
def test_a_plan_that_an_app_could_not_use_is_none(exercise):
    with pytest.raises(plans.InvalidPlan):
        final(plan(exercise))


@pytest.mark.parametrize("text", ["", "null", "[]", '{"name": "x"}', json.dumps(plan())[:-1], json.dumps(plan()) + "}"])
def test_what_is_no_whole_plan_is_none(text):
    with pytest.raises(plans.InvalidPlan):
        plans.finished(text, 2, "")


def test_nesting_without_end_is_no_plan():
    deep = '{"blueprint":' * 100_000
    assert plans.unfinished(deep, "") is None
    with pytest.raises(plans.InvalidPlan):
        plans.finished(deep, 2, "")


def test_a_fault_names_its_place_and_no_value():
    with pytest.raises(plans.InvalidPlan) as raised:
        final(plan(weighted(), weighted(resistance="secret words")))
    assert str(raised.value) == "blueprint.sessions.0.exercises.1.resistance"


def test_a_plan_of_the_first_generation_goes_through_as_it_is():
    finished = plans.finished(json.dumps(plan_v1()), 1, "")
    assert plans.message(finished, 1) == {"type": "chatPlan", "plan": plan_v1()}


@pytest.mark.parametrize("rest", ["90", "00:90:00", "24:00:00", "PT90S", "00:01:30:", None])
def test_a_rest_of_the_first_generation_has_its_form(rest):
    value = plan_v1()
    value["sessions"][0]["exercises"][0]["restBetweenSets"]["minRest"] = rest
    with pytest.raises(plans.InvalidPlan):
        plans.finished(json.dumps(value), 1, "")


def parts_of(schema):
    """The schemas right within a schema, those that it refers to aside."""
    items = [schema["items"]] if "items" in schema else []
    return [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *items]


def schemas_in(schema):
    yield schema
    for part in parts_of(schema):
        yield from schemas_in(part)


def depth_of(schema):
    return 1 + max(map(depth_of, parts_of(schema)), default=0)


@pytest.mark.parametrize("version", [1, 2])
def test_the_tool_is_one_that_every_endpoint_takes(version):
    """What strict mode asks for, and none of the words that some endpoints refuse in it."""
    function = plans.tool(version)["function"]
    assert function["name"] == "create_workout_plan"
    assert function["strict"] is True
    parameters = function["parameters"]
    words = {"type", "description", "enum", "properties", "required", "additionalProperties", "items", "anyOf", "$ref"}
    definitions = parameters.pop("$defs")
    for each in (parameters, *definitions.values()):
        assert depth_of(each) <= 5
        for schema in schemas_in(each):
            assert set(schema) <= words
            assert schema.get("$ref", "#/$defs/Session").removeprefix("#/$defs/") in definitions
            if schema.get("type") == "object":
                assert schema["additionalProperties"] is False
                assert schema["required"] == list(schema["properties"])
    assert not {"version", "lastEdited"} & {name for each in definitions.values() for name in each["properties"]}
