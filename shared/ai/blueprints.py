"""Sessions as the first generation of plans has them: sets counted, one number of repetitions, rests as `hh:mm:ss`."""

from typing import Any

from shared.ai.scalars import (
    DESCRIPTION_CHARACTERS,
    NOTES_CHARACTERS,
    DurationShape,
    FlagShape,
    IntegerShape,
    NumberShape,
    TextShape,
    TokenShape,
    clock,
)
from shared.ai.shapes import ArrayShape, ObjectShape

LONGEST_REST_SECONDS = 86_399  # 23:59:59
UNNAMED_PLAN, UNNAMED_SESSION, UNNAMED_EXERCISE = "Plan", "Session", "Exercise"

LINK = TokenShape("a link that the user gave for this exercise, else empty", r"[\s\S]*")


def in_order(least: str, most: str) -> Any:
    """Return what puts the ends of an object's range in order."""

    def mended(value: dict[str, Any]) -> dict[str, Any]:
        return value | {least: min(value[least], value[most]), most: max(value[least], value[most])}

    return mended


def _rest(description: str) -> DurationShape:
    return DurationShape(f"{description} in seconds", 0, LONGEST_REST_SECONDS, clock)


REST_BETWEEN_SETS = ObjectShape(
    "RestBetweenSets",
    {
        "minRest": _rest("shortest rest"),
        "maxRest": _rest("longest rest"),
        "failureRest": _rest("rest after a failed set"),
    },
    mended=in_order("minRest", "maxRest"),
)

EXERCISE = ObjectShape(
    "Exercise",
    {
        "name": TextShape("name of the exercise", UNNAMED_EXERCISE),
        "sets": IntegerShape("working sets", 1, 20),
        "repsPerSet": IntegerShape("repetitions in each set", 1, 100),
        "weightIncreaseOnSuccess": NumberShape(
            "added to the weight after a successful session, in the user's unit", 0, 1000
        ),
        "restBetweenSets": REST_BETWEEN_SETS,
        "supersetWithNext": FlagShape("whether it alternates with the exercise after it"),
        "notes": TextShape("short advice, or empty", most=NOTES_CHARACTERS),
        "link": LINK,
    },
    defaults={"supersetWithNext": False, "notes": "", "link": ""},
)


def session(exercise: ObjectShape) -> ObjectShape:
    """Return the shape of a session of such exercises."""
    return ObjectShape(
        "Session",
        {
            "name": TextShape("name of the session", UNNAMED_SESSION),
            "exercises": ArrayShape(exercise, 1, 30),
            "notes": TextShape("short advice for the whole session, or empty", most=NOTES_CHARACTERS),
        },
        defaults={"notes": ""},
    )


def plan(exercise: ObjectShape) -> ObjectShape:
    """Return the shape of a plan of such exercises."""
    description = "what the plan is for and how to follow it, in a few sentences"
    return ObjectShape(
        "Plan",
        {
            "name": TextShape("short name of the plan", UNNAMED_PLAN),
            "description": TextShape(description, most=DESCRIPTION_CHARACTERS),
            "sessions": ArrayShape(session(exercise), 1, 14),
        },
        defaults={"description": ""},
    )
