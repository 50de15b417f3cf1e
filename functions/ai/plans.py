"""Plans and sessions, asked of the model in one piece. What it answers is checked before anybody sees it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jiter

from shared.ai import Question, blueprints, model
from shared.ai.shapes import ArrayShape, IntegerShape, Mismatch, ObjectShape, TextShape, response_format
from shared.ai.streams import End, Refusal, Words
from shared.errors import ModelRefused, ModelUnavailable

PROMPTS = Path(__file__).parent / "prompts"
EXERCISES_BELOW_VOLUME = ((25, 2), (50, 3), (75, 5), (90, 7))
MOST_EXERCISES = 10

_PORT_EXERCISE = ObjectShape(
    "Exercise",
    {
        "name": TextShape("name of the exercise", may_be_empty=False),
        "sets": IntegerShape("working sets", 1, 20),
        "reps_min": IntegerShape("fewest repetitions", 1, 1000),
        "reps_max": IntegerShape("most repetitions", 1, 1000),
        "rest_seconds": IntegerShape("rest after each set in seconds", 0, 3600),
        "notes": TextShape("short advice, or empty"),
    },
    defaults={"notes": ""},
    rule=lambda exercise: exercise["reps_min"] <= exercise["reps_max"],
)
_PORT_SESSION = ObjectShape(
    "Session",
    {
        "name": TextShape("name of the session", may_be_empty=False),
        "exercises": ArrayShape(_PORT_EXERCISE, 1, 30),
        "estimated_duration_minutes": IntegerShape("how long the session takes in minutes", 1, 600),
    },
)
_PORT_PLAN = ObjectShape(
    "Plan",
    {
        "name": TextShape("short name of the plan", may_be_empty=False),
        "description": TextShape("what the plan is for and how to follow it, in a few sentences"),
        "sessions": ArrayShape(_PORT_SESSION, 1, 14),
        "duration_weeks": IntegerShape("for how many weeks to follow the plan", 1, 104),
    },
    defaults={"description": ""},
)


def workout(form: str, wishes: dict[str, Any]) -> dict[str, Any]:
    """Return a plan for the week, in the form that was asked in. Raises ModelUnavailable, ModelRefused."""
    if form == "port":
        return _ask(["planner", "port-workout"], wishes, _PORT_PLAN)
    plan = _ask(["planner", "workout"], wishes, blueprints.PLAN)
    return plan | {"sessions": [_for_app(each) for each in plan["sessions"]]}


def session(form: str, wishes: dict[str, Any]) -> dict[str, Any]:
    """Return one session, in the form that was asked in. Raises ModelUnavailable, ModelRefused."""
    if form == "port":
        return _ask(["planner", "port-session"], wishes, _PORT_SESSION)
    wishes = wishes | {"number_of_exercises": number_of_exercises(wishes["volume"])}
    return _for_app(_ask(["planner", "session"], wishes, blueprints.SESSION))


def number_of_exercises(volume: int) -> int:
    """Return how many exercises a volume from 0 to 100 asks for."""
    return next((count for below, count in EXERCISES_BELOW_VOLUME if volume < below), MOST_EXERCISES)


def _ask(prompts: list[str], wishes: dict[str, Any], shape: ObjectShape) -> dict[str, Any]:
    """Return the model's answer, which has the shape. Raises ModelUnavailable, ModelRefused."""
    instructions = "\n\n".join(map(_prompt, prompts))
    wanted = {name: value for name, value in wishes.items() if value is not None}
    messages = [
        {"role": "system", "content": instructions},
        {"role": "user", "content": json.dumps(wanted, ensure_ascii=False)},
    ]
    text = _answer(Question(messages, response_format=response_format(shape)))
    try:
        accepted: dict[str, Any] = shape.accept(jiter.from_json(text.encode(), allow_inf_nan=False))
    except ValueError:
        raise ModelUnavailable("its answer is not JSON") from None
    except Mismatch as fault:
        raise ModelUnavailable(f"its answer does not fit the schema at {fault}") from None
    return accepted


def _answer(question: Question) -> str:
    """Return the whole text of an answer. Raises ModelUnavailable, ModelRefused."""
    texts = []
    with model().ask(question) as stream:
        for piece in stream.rest():
            match piece:
                case Words(text):
                    texts.append(text)
                case Refusal() | End("content_filter"):
                    raise ModelRefused("in words")
                case End("length"):
                    raise ModelUnavailable("its answer became too long")
    return "".join(texts)


def _for_app(blueprint: dict[str, Any]) -> dict[str, Any]:
    """Return a session as the app reads it here: rests as `d.hh:mm:ss:FFF`, no links, since nobody gave one."""
    exercises = []
    for exercise in blueprint["exercises"]:
        rests = {name: f"0.{rest}:" for name, rest in exercise["restBetweenSets"].items()}
        exercises.append(exercise | {"restBetweenSets": rests, "link": ""})
    return blueprint | {"exercises": exercises}


@cache
def _prompt(name: str) -> str:
    return (PROMPTS / f"{name}.md").read_text(encoding="utf-8").strip()
