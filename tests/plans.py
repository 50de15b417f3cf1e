"""Plans as the model writes them into its tool call, for tests."""

from typing import Any

REST = {"minRest": 90, "maxRest": 180, "failureRest": 300}
SENT_REST = {"minRest": "PT90S", "maxRest": "PT180S", "failureRest": "PT300S"}  # as apps get it


def rule(**changes: Any) -> dict[str, Any]:
    """How an exercise grows."""
    new = {"axis": "load", "step": 2.5, "scope": {"type": "allSets"}, "ceiling": None, "onCeiling": None}
    return new | {"trigger": "allSetsMetTarget"} | changes


def weighted(**changes: Any) -> dict[str, Any]:
    """A weighted exercise."""
    range_first = rule(axis="reps", step=1, ceiling=12, onCeiling="reset")
    return {
        "type": "WeightedExerciseBlueprint",
        "name": 'Bench "press" — Bankdrücken 💪',
        "plannedSets": [{"reps": {"min": 8, "max": 12}}, {"reps": {"min": 10, "max": 10}}],
        "restBetweenSets": REST,
        "supersetWithNext": False,
        "notes": "Elbows in\n2 s down, 1 s up: 3",
        "link": "",
        "progression": [range_first, rule(scope={"type": "lowestSets", "pick": "first"})],
        "resistance": "external",
    } | changes


def cardio(target: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A cardio exercise of one set."""
    tracks = ("Duration", "Distance", "Resistance", "Incline", "Weight", "Steps")
    one: dict[str, Any] = {"target": target or {"type": "time", "value": 1200}}
    one |= {f"track{what}": what in {"Duration", "Distance"} for what in tracks}
    return {
        "type": "CardioExerciseBlueprint",
        "name": "Rowing",
        "sets": [one | {"restBetweenSets": REST}, one | {"restBetweenSets": None}],
        "notes": "",
        "link": "",
    } | changes


def plan(*exercises: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The arguments of the tool of /ai-chat-v2: a plan of one session."""
    distance = {"type": "distance", "value": {"value": 2.5, "unit": "kilometre"}}
    session = {
        "name": "Push",
        "exercises": list(exercises or (weighted(), cardio(), cardio(distance))),
        "notes": "Warm",
    }
    return {
        "name": "Two days",
        "description": "Strong in 8 weeks: 2 days, 12",
        "blueprint": {"name": "Two days", "sessions": [session, session | {"name": "Pull"}]},
    } | changes


def plan_v1(**changes: Any) -> dict[str, Any]:
    """The arguments of the tool of /ai-chat."""
    return _plan_v1({"minRest": 90, "maxRest": 180, "failureRest": 300}) | changes


def sent_plan_v1() -> dict[str, Any]:
    """What apps get of the same plan."""
    return _plan_v1({"minRest": "00:01:30", "maxRest": "00:03:00", "failureRest": "00:05:00"})


def _plan_v1(rests: dict[str, Any]) -> dict[str, Any]:
    exercise = {
        "name": "Bench press",
        "sets": 3,
        "repsPerSet": 8,
        "weightIncreaseOnSuccess": 2.5,
        "restBetweenSets": rests,
        "supersetWithNext": False,
        "notes": "",
        "link": "",
    }
    sessions = [{"name": "Push", "exercises": [exercise], "notes": ""}]
    return {"name": "One day", "description": "Short", "sessions": sessions}
