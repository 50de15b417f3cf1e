"""One turn of a conversation: what the user says, what the model answers, and what the app sees of it meanwhile.

play → history and instructions → pieces of the answer → Outbox, at most ten sends a second → outcome → new history
An outcome that is at fault goes back to the model once, while the user sees what was shown before.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from functions.ai_chat import histories, plans
from functions.ai_chat.answers import REFUSED, FinalAnswer, IncomingAnswer
from functions.ai_chat.histories import History
from shared.ai import Question, model, repairs
from shared.ai.streams import Stream
from shared.errors import ContextFull, InvalidSetting, ModelRefused, ModelUnavailable
from shared.settings.planner import model_settings

Emit = Callable[[dict[str, Any]], None]  # sends one argument of ReceiveMessage; ConnectionError if the client is gone

UPDATE_REQUIRED = {"type": "updateRequired", "requiredVersion": plans.PLAN_VERSION}
SEND_SECONDS = 0.1
PLAN_GROWTH = (
    1.02  # an unfinished plan is parsed again when it is longer by this: so all parses together cost O(length)
)
DEFAULT_LOCALE = "en-AU"
PROMPTS = Path(__file__).parent / "prompts"

UNAVAILABLE = "Sorry, the planner cannot be reached right now. Please try again in a minute."
CONTEXT_FULL = "Sorry, this chat has become too long for me. Please restart the chat, and tell me again what matters."
NOT_SET_UP = "Sorry, the planner is not set up on this server."

_LOCALE = re.compile(r"[a-zA-Z]{2}-[a-zA-Z]{2}")
_UNITS = {
    "kilograms": frozenset({"kg", "kgs", "kilogram", "kilograms"}),
    "pounds": frozenset({"lb", "lbs", "pound", "pounds"}),
}


class Cancelled(Exception):
    """The turn was ended from outside. `history` has the user's message, and nothing of the answer."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self.history = history


def introduction(locale: str | None, weight_unit: str | None) -> str:
    """Return what the user is taken to say when a chat is opened. Whatever is not a locale or a unit is ignored."""
    units = "".join(f" I use {unit}." for unit in _unit(weight_unit))
    return _prompt("introduction").format(locale=_locale(locale), units=units)


def note(locale: str | None, weight_unit: str | None) -> str:
    """Return what is kept of an introduction for the whole chat, in which the introduction itself is cut off."""
    units = "".join(f", the weight unit {unit}" for unit in _unit(weight_unit))
    return _prompt("note").format(locale=_locale(locale), units=units)


def _locale(wanted: str | None) -> str:
    return wanted if isinstance(wanted, str) and _LOCALE.fullmatch(wanted) else DEFAULT_LOCALE


def _unit(wanted: str | None) -> list[str]:
    word = wanted.strip().lower() if isinstance(wanted, str) else ""
    return [unit for unit, names in _UNITS.items() if word in names]


def play(history: History, user_text: str, *, version: int, emit: Emit, cancelled: threading.Event) -> History:
    """Play one turn, and return the conversation with it, as it is to be given next time: what `histories` keeps.

    `version` is 1 for /ai-chat, 2 for /ai-chat-v2. A model that fails does not raise: the user is told, and the history
    has the user's message alone. Setting `cancelled` ends the model's request within a tenth of a second.
    Raises Cancelled, and what `emit` raises.
    """
    asked = _kept([*history, histories.user(user_text)])
    turn = IncomingAnswer(version, histories.given_by_user(asked))
    outbox = Outbox(turn, emit)
    question = Question(histories.prompt(instructions(version), asked), [plans.tool(version)])
    try:
        outcome = _outcome(question, turn, outbox, cancelled)
    except _Stopped:
        raise Cancelled(asked) from None
    for message in outbox.last_messages(outcome):
        if cancelled.wait(outbox.due_in_seconds()):
            raise Cancelled(asked)
        outbox.send(message)
    return _kept([*asked, *outcome.remembered])


def _kept(history: History) -> History:
    try:
        most = model_settings().history_tokens
    except InvalidSetting:  # of which the turn will tell
        most = 0
    return histories.newest(history, most)


class _Stopped(Exception):
    """`cancelled` was set."""


def _outcome(question: Question, turn: IncomingAnswer, outbox: "Outbox", cancelled: threading.Event) -> FinalAnswer:
    """Ask the model, show its answer as it grows, and return what the turn ends with, whatever happens."""
    if cancelled.is_set():
        raise _Stopped
    try:
        with model().ask(question) as stream:
            _follow(stream, turn, cancelled, outbox)
    except InvalidSetting:
        return FinalAnswer(turn.with_note(NOT_SET_UP))
    except ModelUnavailable:
        return turn.salvaged() or FinalAnswer(turn.with_note(UNAVAILABLE))
    except ModelRefused:
        return FinalAnswer(turn.with_note(REFUSED))
    except ContextFull:
        return FinalAnswer(turn.with_note(CONTEXT_FULL))
    outcome = turn.outcome()
    return _repaired(outcome, question, turn, stream.last_moment, cancelled) if outcome.fault else outcome


def _repaired(
    outcome: FinalAnswer, question: Question, turn: IncomingAnswer, last_moment: float, cancelled: threading.Event
) -> FinalAnswer:
    """Send an answer at fault back once, and return what the turn ends with. Nothing is shown meanwhile."""
    second = turn.successor()
    again = None
    try:
        with model().ask(turn.question_again(question, outcome.fault), last_moment=last_moment) as stream:
            _follow(stream, second, cancelled)
        again = second.outcome()
    except (InvalidSetting, ModelUnavailable, ModelRefused, ContextFull):
        pass
    repairs.count(was_of_use=again is not None and again.plan is not None)
    if again is None or again.fault or not again.remembered:
        return turn.salvaged() or outcome
    return again.after(turn.text())


def _follow(stream: Stream, turn: IncomingAnswer, cancelled: threading.Event, outbox: "Outbox | None" = None) -> None:
    """Take in the whole answer, and show it as it grows."""
    while not turn.ended:
        piece = stream.next((outbox.due_in_seconds() if outbox else 0.0) or SEND_SECONDS)
        if cancelled.is_set():
            raise _Stopped
        if piece is not None:
            turn.add(piece)
        if outbox is not None and not turn.ended:
            outbox.send_news()


class Outbox:
    """Sends what is new, at most ten times a second. What it costs to find out is spent only when a send is due."""

    def __init__(self, turn: IncomingAnswer, emit: Emit) -> None:
        self._turn = turn
        self._emit = emit
        self._last_sent = -SEND_SECONDS
        self._shown_text = ""
        self._shown_count = 0
        self._shown_plan: dict[str, Any] | None = None
        self._parsed_length = 0

    def due_in_seconds(self) -> float:
        """Return how long to wait before the next send, 0 if it may be now."""
        return max(0.0, self._last_sent + SEND_SECONDS - time.monotonic())

    def send_news(self) -> None:
        """Send the text or the plan if it has grown and a send is due. The text goes first."""
        if self.due_in_seconds() > 0:
            return
        if self._turn.text_count > self._shown_count:
            self._shown_count = self._turn.text_count
            text = self._turn.text()
            if text != self._shown_text:
                self._shown_text = text
                self.send(text_message(text))
                return
        plan = self._grown_plan()
        if plan is not None and plan != self._shown_plan:
            self._shown_plan = plan
            self.send(plans.unfinished_message(plan))

    def last_messages(self, outcome: FinalAnswer) -> Iterator[dict[str, Any]]:
        """Return what is still to be sent when the answer is over: the text unless it was shown, and the plan."""
        if outcome.text != self._shown_text:
            yield text_message(outcome.text)
        if outcome.plan is not None:
            yield plans.message(outcome.plan, self._turn.version)

    def send(self, message: dict[str, Any]) -> None:
        """Send a message now."""
        self._emit(message)
        self._last_sent = time.monotonic()

    def _grown_plan(self) -> dict[str, Any] | None:
        call = self._turn.call() if self._turn.version != 1 else None  # the first apps take finished plans only
        if call is None or call.length <= self._parsed_length * PLAN_GROWTH:
            return None
        self._parsed_length = call.length
        return self._turn.unfinished_plan()


def text_message(text: str) -> dict[str, Any]:
    return {"type": "messageResponse", "message": text}


@cache
def instructions(version: int) -> str:
    """Return what the model is told of its task in the hub of that version."""
    return f"{_prompt('coach')}\n\n{_prompt(f'plan-v{version}')}"


@cache
def _prompt(name: str) -> str:
    return (PROMPTS / f"{name}.md").read_text(encoding="utf-8").strip()
