"""What apps and other clients read of plans, as JSON schemas: written from the apps' side, not made of our shapes."""

from typing import Any

Json = dict[str, Any]


def _object(members: Json, *optional: str) -> Json:
    required = [name for name in members if name not in optional]
    return {"type": "object", "properties": members, "required": required, "additionalProperties": False}


def _list(element: Json, most: int, least: int = 1) -> Json:
    return {"type": "array", "items": element, "minItems": least, "maxItems": most}


def _whole(least: int, most: int) -> Json:
    return {"type": "integer", "minimum": least, "maximum": most}


TEXT = {"type": "string"}
FLAG = {"type": "boolean"}
NAME = {"type": "string", "pattern": r"\S"}
NO_LINK = {"const": ""}
DURATION = {"type": "string", "pattern": r"^PT\d{1,6}S$"}
CLOCK = {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d:[0-5]\d$"}
REST_CLOCK = {"type": "string", "pattern": r"^0\.([01]\d|2[0-3]):[0-5]\d:[0-5]\d:$"}
DECIMAL = {"type": "string", "pattern": r"^\d{1,7}(\.\d{1,4})?$"}


def _rests(rest: Json) -> Json:
    return _object(dict.fromkeys(("minRest", "maxRest", "failureRest"), rest))


_REPS = _object({"min": _whole(1, 1000), "max": _whole(1, 1000)})
_PICK = {"enum": ["first", "middle", "last", "all"]}
_RULE = _object(
    {
        "axis": {"enum": ["reps", "load"]},
        "step": DECIMAL,
        "scope": {
            "oneOf": [
                _object({"type": {"const": "allSets"}}),
                _object({"type": {"const": "lowestSets"}, "pick": _PICK}),
            ]
        },
        "ceiling": DECIMAL,
        "onCeiling": {"const": "reset"},
        "trigger": {"const": "allSetsMetTarget"},
    },
    "ceiling",
    "onCeiling",
)
_OLDER_REPS = {
    "oneOf": [
        _object({"type": {"const": "fixed"}, "reps": _whole(1, 1000)}),
        _object({"type": {"const": "range"}, "min": _whole(1, 1000), "max": _whole(1, 1000)}),
        _object({"type": {"const": "perSet"}, "targets": _list(_REPS, 30)}),
    ]
}
_OLDER_OVERLOAD = {
    "oneOf": [
        _object({"type": {"const": "NoProgressiveOverload"}}),
        _object({"type": {"const": "IncreaseAllEvenlyProgressiveOverload"}, "amount": DECIMAL}),
        _object(
            {
                "type": {"const": "IncreaseLowestSetProgressiveOverload"},
                "amount": DECIMAL,
                "increaseStrategy": _PICK,
            }
        ),
    ]
}
_WEIGHTED = _object(
    {
        "type": {"const": "WeightedExerciseBlueprint"},
        "name": NAME,
        "plannedSets": _list(_object({"reps": _REPS}), 30),
        "restBetweenSets": _rests(DURATION),
        "supersetWithNext": FLAG,
        "notes": TEXT,
        "link": NO_LINK,
        "progression": _list(_RULE, 10, 0),
        "resistance": {"enum": ["none", "external", "bodyweight"]},
        "sets": _whole(1, 30),
        "repsConfig": _OLDER_REPS,
        "progressiveOverload": _OLDER_OVERLOAD,
        "usesBodyweight": FLAG,
    }
)
_DISTANCE = _object({"value": DECIMAL, "unit": {"enum": ["metre", "yard", "mile", "kilometre"]}})
_TARGET = {
    "oneOf": [
        _object({"type": {"const": "time"}, "value": DURATION}),
        _object({"type": {"const": "distance"}, "value": _DISTANCE}),
    ]
}
_TRACKED = [f"track{what}" for what in ("Duration", "Distance", "Resistance", "Incline", "Weight", "Steps")]
_CARDIO_SET = _object(
    {"target": _TARGET, **dict.fromkeys(_TRACKED, FLAG), "restBetweenSets": _rests(DURATION)}, "restBetweenSets"
)
_CARDIO = _object(
    {
        "type": {"const": "CardioExerciseBlueprint"},
        "name": NAME,
        "sets": _list(_CARDIO_SET, 30),
        "notes": TEXT,
        "link": NO_LINK,
    }
)
_SESSION = _object(
    {"version": {"const": 6}, "name": NAME, "exercises": _list({"oneOf": [_WEIGHTED, _CARDIO]}, 40), "notes": TEXT}
)
_BLUEPRINT = _object(
    {
        "version": {"const": 3},
        "name": NAME,
        "sessions": _list(_SESSION, 28),
        "lastEdited": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
    }
)
CHAT_V2 = _object(
    {
        "type": {"const": "chatPlan"},
        "version": {"const": 3},
        "name": NAME,
        "description": TEXT,
        "blueprint": _BLUEPRINT,
    }
)


def _first_generation(rest: Json) -> Json:
    exercise = {
        "name": NAME,
        "sets": _whole(1, 20),
        "repsPerSet": _whole(1, 100),
        "weightIncreaseOnSuccess": {"type": "number", "minimum": 0, "maximum": 1000},
        "restBetweenSets": _rests(rest),
        "supersetWithNext": FLAG,
        "notes": TEXT,
        "link": NO_LINK,
    }
    return _object({"name": NAME, "exercises": _list(_object(exercise), 30), "notes": TEXT})


def _plan(session: Json) -> Json:
    return {"name": NAME, "description": TEXT, "sessions": _list(session, 14)}


CHAT_V1 = _object({"type": {"const": "chatPlan"}, "plan": _object(_plan(_first_generation(CLOCK)))})
REST_SESSION = _first_generation(REST_CLOCK)
REST_PLAN = _object(_plan(REST_SESSION))
_PORT_EXERCISE = {
    "name": NAME,
    "sets": _whole(1, 20),
    "reps_min": _whole(1, 1000),
    "reps_max": _whole(1, 1000),
    "rest_seconds": _whole(0, 3600),
    "notes": TEXT,
}
PORT_SESSION = _object(
    {
        "name": NAME,
        "exercises": _list(_object(_PORT_EXERCISE), 30),
        "estimated_duration_minutes": _whole(1, 600),
    }
)
PORT_PLAN = _object(_plan(PORT_SESSION) | {"duration_weeks": _whole(1, 104)})
