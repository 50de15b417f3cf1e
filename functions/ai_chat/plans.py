"""Workout plans that the model makes with its one tool, while they are generated and when they are finished.

Version 1 is what /ai-chat shows, once, complete; version 2 what /ai-chat-v2 shows again and again. An unfinished plan
is always an object that apps can show: nothing in it is null, cut or guessed at, except that free text may go on.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jiter

from functions.ai_chat import links, older_apps
from shared.ai import blueprints, lenient
from shared.ai.scalars import (
    DESCRIPTION_CHARACTERS,
    NOTES_CHARACTERS,
    ChoiceShape,
    DecimalShape,
    DurationShape,
    FlagShape,
    IntegerShape,
    TextShape,
    TokenShape,
)
from shared.ai.shapes import MISSING, ArrayShape, ObjectShape, OneOfShape, strict_schema

TOOL_NAME = "create_workout_plan"
PLAN_VERSION = 3
BLUEPRINT_VERSION = 3
SESSION_VERSION = 6
LONGEST_SECONDS = 359_999  # of cardio: 99:59:59


class InvalidPlan(Exception):
    """The finished plan is none. The message is NO_JSON or a path, without a value."""


def _rest(description: str) -> DurationShape:
    return DurationShape(f"{description} in seconds", 0, blueprints.LONGEST_REST_SECONDS)


_NAME_OF_EXERCISE = TextShape(
    "name of the exercise; the user's own spelling where the user gave one", blueprints.UNNAMED_EXERCISE
)
_NOTES = TextShape("short advice, or empty", most=NOTES_CHARACTERS)

_REST = ObjectShape(
    "RestBetweenSets",
    {
        "minRest": _rest("shortest rest"),
        "maxRest": _rest("longest rest"),
        "failureRest": _rest("rest after a failed set"),
    },
    mended=blueprints.in_order("minRest", "maxRest"),
)
_REPS = ObjectShape(
    "Reps",
    {
        "min": IntegerShape("fewest repetitions", 1, 1000),
        "max": IntegerShape("most repetitions; as min if they are fixed", 1, 1000),
    },
    mended=blueprints.in_order("min", "max"),
)
_RULE = ObjectShape(
    "ProgressionRule",
    {
        "axis": ChoiceShape(("reps", "load")),
        "step": DecimalShape("what is added at once", 0, 1000),
        "scope": OneOfShape(
            {
                "allSets": ObjectShape("AllSets", {"type": ChoiceShape(("allSets",))}),
                "lowestSets": ObjectShape(
                    "LowestSets",
                    {"type": ChoiceShape(("lowestSets",)), "pick": ChoiceShape(("first", "middle", "last", "all"))},
                ),
            }
        ),
        "ceiling": DecimalShape("how far it goes", 0, 10_000),
        "onCeiling": ChoiceShape(("reset",)),
        "trigger": ChoiceShape(("allSetsMetTarget",)),
    },
    optional=frozenset({"ceiling", "onCeiling"}),
    defaults={"trigger": "allSetsMetTarget"},
)
_WEIGHTED = ObjectShape(
    "WeightedExercise",
    {
        "type": ChoiceShape(("WeightedExerciseBlueprint",)),
        "name": _NAME_OF_EXERCISE,
        "plannedSets": ArrayShape(ObjectShape("PlannedSet", {"reps": _REPS}), 1, 30),
        "restBetweenSets": _REST,
        "supersetWithNext": FlagShape("whether it alternates with the exercise after it"),
        "notes": _NOTES,
        "link": blueprints.LINK,
        "progression": ArrayShape(_RULE, 0, 10),
        "resistance": ChoiceShape(("none", "external", "bodyweight")),
    },
    defaults={"supersetWithNext": False, "notes": "", "link": "", "progression": []},
    derived=older_apps.members,
)
_DISTANCE = ObjectShape(
    "DistanceValue",
    {
        "value": DecimalShape("how far, in the unit", 0, 1_000_000),
        "unit": ChoiceShape(("metre", "yard", "mile", "kilometre")),
    },
)
_CARDIO_SET = ObjectShape(
    "CardioSet",
    {
        "target": OneOfShape(
            {
                "time": ObjectShape(
                    "Time",
                    {"type": ChoiceShape(("time",)), "value": DurationShape("how long in seconds", 1, LONGEST_SECONDS)},
                ),
                "distance": ObjectShape("Distance", {"type": ChoiceShape(("distance",)), "value": _DISTANCE}),
            }
        ),
        "trackDuration": FlagShape("whether the app records the time"),
        "trackDistance": FlagShape("whether the app records the distance"),
        "trackResistance": FlagShape("whether the app records the machine's resistance"),
        "trackIncline": FlagShape("whether the app records the incline"),
        "trackWeight": FlagShape("whether the app records a carried weight"),
        "trackSteps": FlagShape("whether the app records steps"),
        "restBetweenSets": _REST,
    },
    optional=frozenset({"restBetweenSets"}),
)
_CARDIO = ObjectShape(
    "CardioExercise",
    {
        "type": ChoiceShape(("CardioExerciseBlueprint",)),
        "name": _NAME_OF_EXERCISE,
        "sets": ArrayShape(_CARDIO_SET, 1, 30),
        "notes": _NOTES,
        "link": blueprints.LINK,
    },
    defaults={"notes": "", "link": ""},
)
_SESSION = ObjectShape(
    "Session",
    {
        "name": TextShape("name of the session", blueprints.UNNAMED_SESSION),
        "exercises": ArrayShape(
            OneOfShape({"WeightedExerciseBlueprint": _WEIGHTED, "CardioExerciseBlueprint": _CARDIO}), 1, 40
        ),
        "notes": TextShape("short advice for the whole session, or empty", most=NOTES_CHARACTERS),
    },
    constants={"version": SESSION_VERSION},
    defaults={"notes": ""},
)
_BLUEPRINT = ObjectShape(
    "Blueprint",
    {
        "name": TextShape("name of the plan in the app", blueprints.UNNAMED_PLAN),
        "sessions": ArrayShape(_SESSION, 1, 28),
        "lastEdited": TokenShape("date, like 2026-01-31", r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"),
    },
    unasked=frozenset({"lastEdited"}),  # the model does not know the date
    constants={"version": BLUEPRINT_VERSION},
)
_PLAN = ObjectShape(
    "Plan",
    {
        "name": TextShape("short name of the plan", blueprints.UNNAMED_PLAN),
        "description": TextShape(
            "what the plan is for and how to follow it, in a few sentences", most=DESCRIPTION_CHARACTERS
        ),
        "blueprint": _BLUEPRINT,
    },
    constants={"version": PLAN_VERSION},
    defaults={"description": ""},
)
_PLAN_V1 = blueprints.plan(blueprints.EXERCISE)
_SHAPES = {1: _PLAN_V1, 2: _PLAN}


def tool(version: int) -> dict[str, Any]:
    """Return the model's one tool."""
    return {
        "type": "function",
        "function": {
            "name": TOOL_NAME,
            "description": "Shows the user a workout plan, which the app can then adopt. Always give the whole plan.",
            "strict": True,
            "parameters": strict_schema(_SHAPES[version]),
        },
    }


def message(plan: dict[str, Any], version: int) -> dict[str, Any]:
    """Return a finished plan as the app receives it."""
    if version == 1:
        return {"type": "chatPlan", "plan": _PLAN_V1.wire(plan)}
    sent = _PLAN.wire(plan)
    sent["blueprint"].setdefault("lastEdited", datetime.now(UTC).date().isoformat())
    return unfinished_message(sent)


def unfinished_message(plan: dict[str, Any]) -> dict[str, Any]:
    """Return an unfinished plan as the app receives it."""
    return {"type": "chatPlan", **plan}


def finished(written: str, version: int, said: str) -> dict[str, Any]:
    """Return the plan that a tool call's arguments are, or that a text holds, as the model writes. Raises InvalidPlan.

    `said` is everything that the user said: links from elsewhere are left out.
    """
    return _plan(lenient.read, written, version, said)


def beginning(written: str, version: int, said: str) -> dict[str, Any]:
    """Return the sessions, or of the first its exercises, that were whole when a plan was cut. Raises InvalidPlan."""
    return _plan(lenient.salvage, written, version, said)


def _plan(read: Callable[..., Any], written: str, version: int, said: str) -> dict[str, Any]:
    try:
        plan: dict[str, Any] = read(written, _SHAPES[version].accept)
    except lenient.Unreadable as fault:
        raise InvalidPlan(str(fault)) from None
    _drop_foreign_links(plan, said)
    return plan


def unfinished(arguments: str, said: str) -> dict[str, Any] | None:
    """Return what a tool call that is still coming in shows of a plan of version 2; None before there is anything.

    Each call parses the whole text, so callers space them.
    """
    text = lenient.without_open_number(arguments).encode()
    try:
        whole = jiter.from_json(text, partial_mode=True)
        cut = jiter.from_json(text, partial_mode="trailing-strings")
    except ValueError:
        return None
    shown = _PLAN.show(cut, whole)
    if shown is MISSING:
        return None
    plan: dict[str, Any] = {"name": "", "description": "", "blueprint": {}} | shown
    _drop_foreign_links(plan, said)
    return plan


def _drop_foreign_links(plan: dict[str, Any], said: str) -> None:
    """Empty links that the user did not give: the model may have made them up, or been talked into them."""
    for session in plan.get("blueprint", plan).get("sessions", ()):
        for exercise in session.get("exercises", ()):
            if exercise.get("link") and not links.is_in(exercise["link"], said):
                exercise["link"] = ""
