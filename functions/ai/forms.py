"""The forms of plans in one answer: what is asked of the model, and how its answer is sent.

The app's form is that of the original; the one with `reps_min` is of other clients ("port").
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from shared.ai import blueprints
from shared.ai.scalars import DESCRIPTION_CHARACTERS, NOTES_CHARACTERS, IntegerShape, TextShape
from shared.ai.shapes import ArrayShape, ObjectShape

Json = dict[str, Any]

# Nobody gives a link here, so none is asked for.
_EXERCISE = replace(blueprints.EXERCISE, unasked=frozenset({"link"}))
_PORT_EXERCISE = ObjectShape(
    "Exercise",
    {
        "name": TextShape("name of the exercise", blueprints.UNNAMED_EXERCISE),
        "sets": IntegerShape("working sets", 1, 20),
        "reps_min": IntegerShape("fewest repetitions", 1, 1000),
        "reps_max": IntegerShape("most repetitions", 1, 1000),
        "rest_seconds": IntegerShape("rest after each set in seconds", 0, 3600),
        "notes": TextShape("short advice, or empty", most=NOTES_CHARACTERS),
    },
    defaults={"notes": ""},
    mended=blueprints.in_order("reps_min", "reps_max"),
)
_PORT_SESSION = ObjectShape(
    "Session",
    {
        "name": TextShape("name of the session", blueprints.UNNAMED_SESSION),
        "exercises": ArrayShape(_PORT_EXERCISE, 1, 30),
        "estimated_duration_minutes": IntegerShape("how long the session takes in minutes", 1, 600),
    },
)
_PORT_PLAN = ObjectShape(
    "Plan",
    {
        "name": TextShape("short name of the plan", blueprints.UNNAMED_PLAN),
        "description": TextShape(
            "what the plan is for and how to follow it, in a few sentences", most=DESCRIPTION_CHARACTERS
        ),
        "sessions": ArrayShape(_PORT_SESSION, 1, 14),
        "duration_weeks": IntegerShape("for how many weeks to follow the plan", 1, 104),
    },
    defaults={"description": ""},
)


@dataclass(frozen=True, slots=True)
class Form:
    """What one route asks for in one form. `finish` makes of the shape's form on the wire what this route sends."""

    prompts: tuple[str, ...]
    shape: ObjectShape
    finish: Callable[[Json], Json]

    def accept(self, value: Any) -> Json:
        """Return the answer for a value of the model. Raises Mismatch."""
        return self.finish(self.shape.wire(self.shape.accept(value)))


def _session_for_app(session: Json) -> Json:
    """Return a session as the app reads it here: rests as `d.hh:mm:ss:FFF`, no links, since nobody gave one."""
    exercises = []
    for exercise in session["exercises"]:
        rests = {name: f"0.{rest}:" for name, rest in exercise["restBetweenSets"].items()}
        exercises.append(exercise | {"restBetweenSets": rests, "link": ""})
    return session | {"exercises": exercises}


def _plan_for_app(plan: Json) -> Json:
    return plan | {"sessions": [_session_for_app(session) for session in plan["sessions"]]}


def _as_it_is(answer: Json) -> Json:
    return answer


WORKOUT = {
    "app": Form(("planner", "workout"), blueprints.plan(_EXERCISE), _plan_for_app),
    "port": Form(("planner", "port-workout"), _PORT_PLAN, _as_it_is),
}
SESSION = {
    "app": Form(("planner", "session"), blueprints.session(_EXERCISE), _session_for_app),
    "port": Form(("planner", "port-session"), _PORT_SESSION, _as_it_is),
}
