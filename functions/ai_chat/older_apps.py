"""The form in which apps 4.18.0 to 4.20.0 read a weighted exercise, beside the members that newer apps read.

They say planVersion 3 like the newer ones, and show 3 × 10 without progression where these members are absent.
"""

from collections.abc import Mapping
from typing import Any


def members(exercise: Mapping[str, Any]) -> dict[str, Any]:
    """Return the older members that follow from those of a weighted exercise on the wire, which are whole or absent."""
    older: dict[str, Any] = {}
    if "plannedSets" in exercise:
        targets = [planned["reps"] for planned in exercise["plannedSets"]]
        older |= {"sets": len(targets), "repsConfig": _reps_config(targets)}
    if "progression" in exercise:
        older["progressiveOverload"] = _progressive_overload(exercise["progression"])
    if "resistance" in exercise:
        older["usesBodyweight"] = exercise["resistance"] == "bodyweight"
    return older


def _reps_config(targets: list[dict[str, int]]) -> dict[str, Any]:
    first = targets[0]
    if any(target != first for target in targets):
        return {"type": "perSet", "targets": targets}
    if first["min"] == first["max"]:
        return {"type": "fixed", "reps": first["min"]}
    return {"type": "range", **first}


def _progressive_overload(rules: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how the load grows; these apps know no rules for repetitions."""
    rule = next((rule for rule in rules if rule["axis"] == "load"), None)
    if rule is None:
        return {"type": "NoProgressiveOverload"}
    if rule["scope"]["type"] == "allSets":
        return {"type": "IncreaseAllEvenlyProgressiveOverload", "amount": rule["step"]}
    strategy = rule["scope"]["pick"]
    return {"type": "IncreaseLowestSetProgressiveOverload", "amount": rule["step"], "increaseStrategy": strategy}
