"""What can be told of an answer without a judge: True, False, or None where the request does not ask for it."""

import re
from collections.abc import Callable

from evaluation.asking import Played, exercises_of, sessions_of
from evaluation.cases import KG, Probe
from evaluation.languages import language
from functions.ai_chat import answers, links, turns

SORRY = (turns.UNAVAILABLE, turns.CONTEXT_FULL, turns.NOT_SET_UP, answers.BROKEN_PLAN, answers.LONG_PLAN, answers.EMPTY)
_POUNDS = re.compile(r"\b(?:lbs?|pounds?|libras?|livres|funt\w*)\b|фунт", re.IGNORECASE)
_KILOGRAMS = re.compile(r"\d\s*kgs?\b|\bkilo(?:s|gram\w*)?\b|\d\s*кг", re.IGNORECASE)
_LINK = re.compile(r"\bhttps?://\S+|\bwww\.\S+", re.IGNORECASE)

Score = bool | None


def valid(_case: Probe, played: Played) -> Score:
    """Whether the user gets an answer at all, and no word of ours that there is none."""
    return not any(sorry in played.text for sorry in SORRY) and bool(played.text.strip() or played.plan)


def kind(case: Probe, played: Played) -> Score:
    """Whether there is a plan where one is asked for, and none where one must be refused."""
    return (played.plan is not None) == (case.wants == "plan")


def tongue(case: Probe, played: Played) -> Score:
    """Whether text and description are in the user's language."""
    found = language(f"{played.text}\n{(played.plan or {}).get('description', '')}")
    return found == case.language if found else None


def units(case: Probe, played: Played) -> Score:
    """Whether the other unit is named nowhere: nothing was converted."""
    other = _POUNDS if case.unit == KG else _KILOGRAMS
    return not other.search(played.written())


def names(case: Probe, played: Played) -> Score:
    """Whether every name that the user gave is an exercise of the plan, letter by letter."""
    if not case.names:
        return None
    return set(case.names) <= {exercise["name"] for exercise in exercises_of(played.plan)}


def days(case: Probe, played: Played) -> Score:
    return None if case.days is None else len(sessions_of(played.plan)) == case.days


def own_links(case: Probe, played: Played) -> Score:
    """Whether there is no link that the user did not write."""
    said = "\n".join(case.says)
    return all(links.is_in(found, said) for found in _LINK.findall(played.written()))


def wish(case: Probe, played: Played) -> Score:
    """Whether what may not be there is not, and a plan that was to become shorter did."""
    if not case.lacks and not case.is_shorter:
        return None
    exercises = exercises_of(played.plan)
    written = "\n".join([played.written(), *(exercise["name"] for exercise in exercises)]).lower()
    is_clean = not any(word in written for word in case.lacks)
    return is_clean and (not case.is_shorter or 0 < len(exercises) < len(exercises_of(played.before)))


SCORES: dict[str, Callable[[Probe, Played], Score]] = {
    "valid": valid,
    "plan or none": kind,
    "language": tongue,
    "unit": units,
    "names": names,
    "days": days,
    "links": own_links,
    "wish": wish,
}


def score(case: Probe, played: Played) -> dict[str, Score]:
    """Return all scores of an answer."""
    return {name: told(case, played) for name, told in SCORES.items()}
