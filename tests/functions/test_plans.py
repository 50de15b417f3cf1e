"""Plans when they are finished: what is repaired, what is none, and what apps receive."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from functions.ai_chat import plans
from tests.plans import REST, SENT_REST, cardio, plan, plan_v1, rule, sent_plan_v1, weighted

SAID = "https://example.com/bench"


def final(value, said=SAID):
    return plans.finished(json.dumps(value), 2, said)


def sent(value):
    """The finished plan as apps receive it."""
    message = plans.message(final(value), 2)
    assert message.pop("type") == "chatPlan"
    return message


def test_the_finished_plan_has_our_versions_and_no_null():
    apps = sent(plan(version=99) | {"unknown": 1})
    assert apps["version"] == apps["blueprint"]["version"] == 3
    assert [session["version"] for session in apps["blueprint"]["sessions"]] == [6, 6]
    assert "unknown" not in apps
    assert "null" not in json.dumps(apps)
    exercise, row, run = apps["blueprint"]["sessions"][0]["exercises"]
    unchanged = ("type", "name", "plannedSets", "supersetWithNext", "notes", "link", "resistance")
    assert {name: exercise[name] for name in unchanged} == {name: weighted()[name] for name in unchanged}
    assert exercise["restBetweenSets"] == SENT_REST
    assert exercise["progression"][0] == rule(axis="reps", step="1", ceiling="12", onCeiling="reset")
    assert set(exercise["progression"][1]) == {"axis", "step", "scope", "trigger"}
    assert [set(each) >= {"restBetweenSets"} for each in row["sets"]] == [True, False]
    assert row["sets"][0]["target"] == {"type": "time", "value": "PT1200S"}
    assert run["sets"][0]["target"] == {"type": "distance", "value": {"value": "2.5", "unit": "kilometre"}}


def test_the_model_remembers_a_plan_as_it_writes_one():
    """Without versions, and without what older apps read."""
    value = plan()
    for session in value["blueprint"]["sessions"]:
        for exercise in session["exercises"]:
            for each in [*exercise.get("progression", ()), *exercise.get("sets", ())]:
                for name in [name for name, member in each.items() if member is None]:
                    del each[name]
    assert final(plan()) == value


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
            weighted(progression=[rule(axis="reps", step=1), rule(step=5)]),
            {"progressiveOverload": {"type": "IncreaseAllEvenlyProgressiveOverload", "amount": "5"}},
        ),
        (
            weighted(progression=[rule(step=1.25, scope={"type": "lowestSets", "pick": "last"}), rule()]),
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
    assert "usesBodyweight" not in row


def test_last_edited_is_today_unless_the_model_says_else():
    before = datetime.now(UTC).date()
    given = date.fromisoformat(sent(plan())["blueprint"]["lastEdited"])
    assert before <= given <= before + timedelta(days=1)
    dated = plan()
    dated["blueprint"]["lastEdited"] = "2026-01-31"
    assert sent(dated)["blueprint"]["lastEdited"] == "2026-01-31"
    dated["blueprint"]["lastEdited"] = "last week"
    assert date.fromisoformat(sent(dated)["blueprint"]["lastEdited"]) >= before


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


@pytest.mark.parametrize(
    ("given", "repaired"),
    [
        ({"name": " "}, {"name": "Exercise"}),
        ({"plannedSets": [{"reps": {"min": 12, "max": 8}}]}, {"plannedSets": [{"reps": {"min": 8, "max": 12}}]}),
        ({"plannedSets": [{"reps": {"min": 0, "max": 8}}]}, {"plannedSets": [{"reps": {"min": 1, "max": 8}}]}),
        ({"plannedSets": [{"reps": {"min": 8.0, "max": "8"}}]}, {"plannedSets": [{"reps": {"min": 8, "max": 8}}]}),
        (
            {"restBetweenSets": REST | {"minRest": "PT3M", "maxRest": "00:01:30"}},
            {"restBetweenSets": REST | {"maxRest": 180}},
        ),
        ({"restBetweenSets": REST | {"failureRest": 10**9}}, {"restBetweenSets": REST | {"failureRest": 86_399}}),
        ({"supersetWithNext": "yes"}, {"supersetWithNext": False}),
        ({"resistance": "External"}, {"resistance": "external"}),
        ({"progression": None}, {"progression": []}),
    ],
)
def test_what_is_wrong_between_the_lines_is_repaired(given, repaired):
    exercise = final(plan(weighted(**given)))["blueprint"]["sessions"][0]["exercises"][0]
    assert {name: exercise[name] for name in repaired} == repaired


def test_an_exercise_without_sets_is_left_out():
    exercises = final(plan(weighted(plannedSets=[]), weighted(name="Row")))["blueprint"]["sessions"][0]["exercises"]
    assert [exercise["name"] for exercise in exercises] == ["Row"]


def without(value, name):
    return {key: each for key, each in value.items() if key != name}


@pytest.mark.parametrize(
    "exercise",
    [
        weighted(type="Stretching"),
        without(weighted(), "type"),
        without(weighted(), "plannedSets"),
        weighted(plannedSets=[]),
        weighted(plannedSets=[{"reps": {"min": True, "max": 8}}]),
        weighted(plannedSets=[{"reps": {"min": "some", "max": 8}}]),
        weighted(restBetweenSets=REST | {"minRest": "PT"}),
        weighted(restBetweenSets=REST | {"minRest": None}),
        weighted(resistance="heavy"),
        weighted(plannedSets=3),
        cardio({"type": "distance", "value": {"value": "5", "unit": "league"}}),
        cardio({"type": "time"}),
        cardio(sets=[]),
    ],
)
def test_a_plan_that_an_app_could_not_use_is_none(exercise):
    with pytest.raises(plans.InvalidPlan):
        final(plan(exercise))


@pytest.mark.parametrize(
    "text", ["", "null", "[]", '{"name": "x"}', json.dumps(plan())[:-1], json.dumps(json.dumps([[[[plan()]]]]))]
)
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


def test_a_plan_of_the_first_generation_has_its_own_form():
    finished = plans.finished(json.dumps(plan_v1()), 1, "")
    assert finished == plan_v1()
    assert plans.message(finished, 1) == {"type": "chatPlan", "plan": sent_plan_v1()}
