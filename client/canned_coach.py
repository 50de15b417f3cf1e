"""A coach with a few sentences and one programme: the planner can be seen at work without a language model.

What it writes fits the JSON schema that the request brings, whatever that is: the names in it decide the values.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

INTRODUCTION = (
    "G'day! I'm the canned coach: I need no key and no network, and I have read exactly one book. "
    "Tell me how many days a week you can train, and I'll write you a plan."
)
PLAN_COMING = "Good choice. Here is your plan: push, pull and legs, with room to grow."
SMALL_TALK = "I only know about training plans. Ask me for one, like: a plan for three days a week."
PROGRAMME = (
    ("Push", ("Bench press", "Overhead press", "Dips")),
    ("Pull", ("Deadlift", "Barbell row", "Pull-up")),
    ("Legs", ("Squat", "Romanian deadlift", "Calf raise")),
)
TEXTS = {
    "name": "Push, pull, legs",
    "description": "Each muscle once a week, heavy enough to matter. Add weight when all sets went well.",
    "notes": "Leave two repetitions in the tank.",
}
CHOICES = {"axis": "load", "resistance": "external"}
NUMBERS = {
    "sets": 3,
    "repsPerSet": 8,
    "weightIncreaseOnSuccess": 2.5,
    "min": 8,
    "max": 10,
    "reps_min": 8,
    "reps_max": 10,
    "rest_seconds": 90,
    "estimated_duration_minutes": 45,
    "duration_weeks": 8,
    "step": 2.5,
    "value": 1000,
    "minRest": 90,
    "maxRest": 180,
    "failureRest": 300,
}
DEFAULT_COUNT = 3  # of sessions, exercises and sets
COUNTED = frozenset({"sessions", "exercises", "plannedSets"})
_DAYS = re.compile(r"\b([1-6]|one|two|three|four|five|six)[ -]days?\b", re.IGNORECASE)
_DAYS_OF_FORM = re.compile(r'"days_per_week": (\d+)')
_EXERCISES_OF_FORM = re.compile(r'"number_of_exercises": (\d+)')
_NUMBERS = {word: str(number) for number, word in enumerate(("one", "two", "three", "four", "five", "six"), 1)}
_ASKS_FOR_PLAN = re.compile(r"\b(plan|programme?|routine|split|days?|workouts?|sessions?|change)\b", re.IGNORECASE)
_INTRODUCE = re.compile(r"\bintroduce\b", re.IGNORECASE)

Json = dict[str, Any]
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the coach says, and the plan that it hands over through the request's tool, if it does."""

    text: str
    tool: str = ""
    arguments: Json | None = None


def reply(request: Json) -> Reply:
    """Answer a request for a chat completion."""
    asked = _last_user_text(request.get("messages") or [])
    answer_format = request.get("response_format") or {}
    tools = request.get("tools") or []
    if answer_format.get("type") == "json_schema":
        return Reply(json.dumps(_Writer(answer_format["json_schema"]["schema"], asked).write()))
    if _INTRODUCE.search(asked):
        return Reply(INTRODUCTION)
    if tools and _ASKS_FOR_PLAN.search(asked):
        function = tools[0]["function"]
        return Reply(PLAN_COMING, function["name"], _Writer(function["parameters"], asked).write())
    return Reply(SMALL_TALK)


def _last_user_text(messages: list[Json]) -> str:
    content = next((message.get("content") for message in reversed(messages) if message.get("role") == "user"), "")
    return content if isinstance(content, str) else json.dumps(content)


class _Writer:
    """Fills in a JSON schema in the way of OpenAI's strict mode: every member of every object, within its bounds."""

    def __init__(self, schema: Json, asked: str) -> None:
        self._schema = schema
        self._counts = dict.fromkeys(COUNTED, DEFAULT_COUNT)
        for name, wish in (("sessions", _DAYS), ("sessions", _DAYS_OF_FORM), ("exercises", _EXERCISES_OF_FORM)):
            found = wish.search(asked)
            if found:
                self._counts[name] = int(_NUMBERS.get(found[1].lower(), found[1]))

    def write(self) -> Any:
        return self._value(self._schema, ())

    def _value(self, schema: Json, path: Path) -> Any:
        if "$ref" in schema:
            return self._value(self._schema["$defs"][schema["$ref"].rpartition("/")[2]], path)
        if "anyOf" in schema:
            kinds = schema["anyOf"]
            return None if {"type": "null"} in kinds else self._value(kinds[0], path)
        if "enum" in schema:
            wanted = CHOICES.get(_name(path), "")
            return wanted if wanted in schema["enum"] else schema["enum"][0]
        return self._of_type(schema, path)

    def _of_type(self, schema: Json, path: Path) -> Any:
        match schema["type"]:
            case "object":
                return {name: self._value(member, (*path, name)) for name, member in schema["properties"].items()}
            case "array":
                count = _bounded(self._counts.get(_name(path), 1), schema.get("minItems"), schema.get("maxItems"))
                return [self._value(schema["items"], (*path, index)) for index in range(count)]
            case "string":
                return _text(path)
            case "boolean":
                return False
            case _:
                return _bounded(NUMBERS.get(_name(path), 1), schema.get("minimum"), schema.get("maximum"))


def _name(path: Path) -> str:
    return str(path[-1]) if path else ""


def _bounded(number: Any, least: Any, most: Any) -> Any:
    number = number if least is None else max(least, number)
    return number if most is None else min(most, number)


def _text(path: Path) -> str:
    name = _name(path)
    if name == "name":
        return _title(path)
    return TEXTS.get(name, "")


def _title(path: Path) -> str:
    """Return the name of a session or an exercise of the programme, by their places in it, or of the plan."""
    places = {path[index - 1]: place for index, place in enumerate(path) if isinstance(place, int)}
    session = places.get("sessions", 0)
    title, exercises = PROGRAMME[session % len(PROGRAMME)]
    if "exercises" in places:
        return exercises[places["exercises"] % len(exercises)]
    if "sessions" in places:
        return title if session < len(PROGRAMME) else f"{title} again"
    return TEXTS["name"]
