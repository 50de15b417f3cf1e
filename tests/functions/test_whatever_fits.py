"""Whatever fits a schema that is sent to the model becomes an answer that apps and other clients can read."""

import json

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings

from functions.ai import forms
from functions.ai_chat import plans
from shared.ai.dialects import Dialect
from shared.ai.questions import Question
from shared.ai.shapes import Empty, strict_schema
from tests import wire_forms
from tests.schemas import instances

INSTANCES = 1000


def chat_plan(version):
    """What the hub sends for the arguments of its tool."""
    return lambda value: plans.message(plans.finished(json.dumps(value), version, ""), version)


KINDS = {
    "chat v1": (plans.tool(1)["function"]["parameters"], chat_plan(1), wire_forms.CHAT_V1),
    "chat v2": (plans.tool(2)["function"]["parameters"], chat_plan(2), wire_forms.CHAT_V2),
    "workout": (strict_schema(forms.WORKOUT["app"].shape), forms.WORKOUT["app"].accept, wire_forms.REST_PLAN),
    "session": (strict_schema(forms.SESSION["app"].shape), forms.SESSION["app"].accept, wire_forms.REST_SESSION),
    "port workout": (strict_schema(forms.WORKOUT["port"].shape), forms.WORKOUT["port"].accept, wire_forms.PORT_PLAN),
    "port session": (
        strict_schema(forms.SESSION["port"].shape),
        forms.SESSION["port"].accept,
        wire_forms.PORT_SESSION,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_fits_the_schema_is_a_valid_answer(kind):
    schema, answer, wire = KINDS[kind]
    judge = jsonschema.Draft202012Validator(wire)

    @settings(max_examples=INSTANCES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(instances(schema))
    def holds(value):
        faults = [f"{fault.json_path}: {fault.message[:200]}" for fault in judge.iter_errors(answer(value))]
        assert faults == []

    holds()


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_fits_the_schema_of_an_endpoint_without_bounds_is_an_answer_or_empty(kind):
    schema, answer, wire = KINDS[kind]
    judge = jsonschema.Draft202012Validator(wire)
    shape = {"json_schema": {"schema": schema, "strict": True}}
    sent = Dialect(bounds=False, references=False).request(Question([], response_format=shape))

    @settings(max_examples=200, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(instances(sent["response_format"]["json_schema"]["schema"]))
    def holds(value):
        try:
            faults = [fault.json_path for fault in judge.iter_errors(answer(value))]
        except (plans.InvalidPlan, Empty) as empty:
            faults = [] if str(empty) in {"sessions", "exercises", "blueprint.sessions"} else [str(empty)]
        assert faults == []

    holds()


def test_ranges_reach_apps_in_order():
    exercise = {"reps": {"min": 12, "max": 8}}
    value = json.loads(json.dumps(_EXAMPLE))
    value["blueprint"]["sessions"][0]["exercises"][0]["plannedSets"] = [exercise]
    sent = chat_plan(2)(value)
    assert sent["blueprint"]["sessions"][0]["exercises"][0]["plannedSets"] == [{"reps": {"min": 8, "max": 12}}]


_EXAMPLE = {
    "name": "Two days",
    "description": "",
    "blueprint": {
        "name": "Two days",
        "sessions": [
            {
                "name": "Push",
                "exercises": [
                    {
                        "type": "WeightedExerciseBlueprint",
                        "name": "Bench press",
                        "plannedSets": [],
                        "restBetweenSets": {"minRest": 180, "maxRest": 90, "failureRest": 300},
                        "supersetWithNext": False,
                        "notes": "",
                        "link": "",
                        "progression": [],
                        "resistance": "external",
                    }
                ],
                "notes": "",
            }
        ],
    },
}


@pytest.mark.parametrize("sessions", [[], [{"name": "A", "exercises": [], "notes": ""}]])
def test_an_empty_plan_is_none(sessions):
    """It is asked for again."""
    value = json.loads(json.dumps(_EXAMPLE))
    value["blueprint"]["sessions"] = sessions
    with pytest.raises(plans.InvalidPlan, match=r"^blueprint\.sessions$"):
        plans.finished(json.dumps(value), 2, "")
