"""Sessions as the first generation of plans has them: sets counted, one number of repetitions, rests as `hh:mm:ss`."""

from shared.ai.shapes import Array, Flag, Integer, Number, Object, Text, Token

_REST = Token("hh:mm:ss, like 00:01:30", r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d")

LINK = Token("a link that the user gave for this exercise, else empty", r"[\s\S]*")

REST_BETWEEN_SETS = Object("RestBetweenSets", {"minRest": _REST, "maxRest": _REST, "failureRest": _REST})

EXERCISE = Object(
    "Exercise",
    {
        "name": Text("name of the exercise", may_be_empty=False),
        "sets": Integer("working sets", 1, 20),
        "repsPerSet": Integer("repetitions in each set", 1, 100),
        "weightIncreaseOnSuccess": Number(
            "added to the weight after a successful session, in the user's unit", 0, 1000
        ),
        "restBetweenSets": REST_BETWEEN_SETS,
        "supersetWithNext": Flag("whether it alternates with the exercise after it"),
        "notes": Text("short advice, or empty"),
        "link": LINK,
    },
    defaults={"supersetWithNext": False, "notes": "", "link": ""},
)

SESSION = Object(
    "Session",
    {
        "name": Text("name of the session", may_be_empty=False),
        "exercises": Array(EXERCISE, 1, 30),
        "notes": Text("short advice for the whole session, or empty"),
    },
    defaults={"notes": ""},
)

PLAN = Object(
    "Plan",
    {
        "name": Text("short name of the plan", may_be_empty=False),
        "description": Text("what the plan is for and how to follow it, in a few sentences"),
        "sessions": Array(SESSION, 1, 14),
    },
    defaults={"description": ""},
)
