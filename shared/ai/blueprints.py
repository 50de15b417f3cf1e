"""Sessions as the first generation of plans has them: sets counted, one number of repetitions, rests as `hh:mm:ss`."""

from shared.ai.shapes import ArrayShape, FlagShape, IntegerShape, NumberShape, ObjectShape, TextShape, TokenShape

_REST = TokenShape("hh:mm:ss, like 00:01:30", r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d")

LINK = TokenShape("a link that the user gave for this exercise, else empty", r"[\s\S]*")

REST_BETWEEN_SETS = ObjectShape("RestBetweenSets", {"minRest": _REST, "maxRest": _REST, "failureRest": _REST})

EXERCISE = ObjectShape(
    "Exercise",
    {
        "name": TextShape("name of the exercise", may_be_empty=False),
        "sets": IntegerShape("working sets", 1, 20),
        "repsPerSet": IntegerShape("repetitions in each set", 1, 100),
        "weightIncreaseOnSuccess": NumberShape(
            "added to the weight after a successful session, in the user's unit", 0, 1000
        ),
        "restBetweenSets": REST_BETWEEN_SETS,
        "supersetWithNext": FlagShape("whether it alternates with the exercise after it"),
        "notes": TextShape("short advice, or empty"),
        "link": LINK,
    },
    defaults={"supersetWithNext": False, "notes": "", "link": ""},
)

SESSION = ObjectShape(
    "Session",
    {
        "name": TextShape("name of the session", may_be_empty=False),
        "exercises": ArrayShape(EXERCISE, 1, 30),
        "notes": TextShape("short advice for the whole session, or empty"),
    },
    defaults={"notes": ""},
)

PLAN = ObjectShape(
    "Plan",
    {
        "name": TextShape("short name of the plan", may_be_empty=False),
        "description": TextShape("what the plan is for and how to follow it, in a few sentences"),
        "sessions": ArrayShape(SESSION, 1, 14),
    },
    defaults={"description": ""},
)
