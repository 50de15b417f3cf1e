"""A plan as a table on a terminal, finished or still growing: what has not come yet is left out."""

import re
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Json = dict[str, Any]

_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?")


def plan_view(message: Json) -> RenderableType:
    """Return the drawing of a `chatPlan` message of version 3."""
    sessions = message.get("blueprint", {}).get("sessions", [])
    parts: list[RenderableType] = [Text(message.get("name", ""), style="bold")]
    if message.get("description"):
        parts.append(Text(message["description"], style="italic"))
    return Group(*parts, *(_session(session) for session in sessions))


def _session(session: Json) -> Table:
    table = Table(title=session.get("name", ""), title_justify="left", title_style="bold cyan", expand=False)
    for heading in ("exercise", "sets", "rest", "next time"):
        table.add_column(heading)
    for exercise in session.get("exercises", []):
        row = _weighted(exercise) if exercise.get("type") == "WeightedExerciseBlueprint" else _cardio(exercise)
        table.add_row(exercise.get("name", ""), *row)
    return table


def _weighted(exercise: Json) -> tuple[str, str, str]:
    return sets_of(exercise.get("plannedSets", [])), _rest(exercise.get("restBetweenSets", {})), _rules(exercise)


def _cardio(exercise: Json) -> tuple[str, str, str]:
    targets = [_target(each.get("target", {})) for each in exercise.get("sets", [])]
    return _counted(targets), "", ""


def sets_of(planned: list[Json]) -> str:
    """Return planned sets as people write them: `3 × 8–10`, or `5, 5, 8` where they differ."""
    return _counted([_reps(each.get("reps", {})) for each in planned])


def _reps(reps: Json) -> str:
    least, most = reps.get("min"), reps.get("max")
    if least is None or most is None:
        return ""
    return str(least) if least == most else f"{least}–{most}"


def _counted(sets: list[str]) -> str:
    if len(set(sets)) == 1 and sets[0]:
        return f"{len(sets)} × {sets[0]}"
    return ", ".join(each for each in sets if each)


def _target(target: Json) -> str:
    value = target.get("value")
    if isinstance(value, dict):
        return f"{value.get('value', '')} {value.get('unit', '')}".strip()
    return clock_of(value or "")


def _rest(rest: Json) -> str:
    times = [clock_of(rest[name]) for name in ("minRest", "maxRest") if name in rest]
    return "–".join(dict.fromkeys(times))


def clock_of(duration: str) -> str:
    """Return an ISO 8601 duration as minutes and seconds, `1:30`; what is none as it is."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        return duration
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    total = 3600 * hours + 60 * minutes + seconds
    return f"{total // 60}:{total % 60:02}"


def _rules(exercise: Json) -> str:
    rules = [
        f"+{rule['step']} {rule.get('axis', '')}".strip() for rule in exercise.get("progression", []) if "step" in rule
    ]
    return ", then ".join(rules)
