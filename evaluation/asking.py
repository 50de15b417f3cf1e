"""A case, played with the configured model as the newer hub plays it, in this process."""

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

from evaluation.cases import Probe
from functions.ai_chat import histories, plans, turns

VERSION = 2
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Played:
    """What the last turn of a case brought. `plan` is the last one in it, `before` the last one before it."""

    text: str
    plan: Json | None
    before: Json | None
    first_seconds: float | None  # until the first words or the first piece of a plan
    seconds: float
    tokens: int  # of all turns, both ways, as docs/planner.md estimates them; a repair's are not seen

    def written(self) -> str:
        """Return all that the model wrote for a person to read: the text, and a plan's description and notes."""
        exercises = [exercise["notes"] for exercise in exercises_of(self.plan)]
        sessions = [session["notes"] for session in sessions_of(self.plan)]
        return "\n".join([self.text, (self.plan or {}).get("description", ""), *sessions, *exercises])


def sessions_of(plan: Json | None) -> list[Json]:
    found: list[Json] = plan["blueprint"]["sessions"] if plan else []
    return found


def exercises_of(plan: Json | None) -> list[Json]:
    return [exercise for session in sessions_of(plan) for exercise in session["exercises"]]


def play(case: Probe) -> Played:
    """Play all turns of a case; the introduction's note is there, the introduction itself is not asked for."""
    history = histories.noted([], turns.note(case.locale, case.unit))
    before = None
    tokens = 0
    for text in case.says:
        shown = _Shown()
        asked = [*history, histories.user(text)]
        history = turns.play(history, text, version=VERSION, emit=shown.take, cancelled=threading.Event())
        tokens += _tokens(asked) + histories.tokens(history) - histories.tokens(asked)
        last, before = before, shown.plan or before
    return Played(shown.text, shown.plan, last, shown.first_seconds, shown.elapsed(), tokens)


class _Shown:
    """What the app shows of a turn."""

    def __init__(self) -> None:
        self.text = ""
        self.plan: Json | None = None
        self.first_seconds: float | None = None
        self._began = time.monotonic()

    def take(self, message: Json) -> None:
        if self.first_seconds is None:
            self.first_seconds = self.elapsed()
        if message["type"] == "chatPlan":
            self.plan = message
        else:
            self.text = message["message"]

    def elapsed(self) -> float:
        return time.monotonic() - self._began


def _tokens(asked: histories.History) -> int:
    """Estimate what a question weighs: instructions, history and tool."""
    tool = json.dumps(plans.tool(VERSION), ensure_ascii=False)
    return histories.tokens([*histories.prompt(turns.instructions(VERSION), asked), histories.user(tool)])
