"""One turn of a conversation: what the user says, what the model answers, and what the app sees of it meanwhile.

play → history and instructions → pieces of the answer → Outbox, at most ten sends a second → outcome → new history
"""

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from functions.ai_chat import histories, plans
from functions.ai_chat.histories import History
from shared.ai import Question, model
from shared.ai.streams import CallPart, End, Piece, Refusal, Stream, Words
from shared.errors import InvalidSetting, ModelRefused, ModelUnavailable

Emit = Callable[[dict[str, Any]], None]  # sends one argument of ReceiveMessage; ConnectionError if the client is gone

UPDATE_REQUIRED = {"type": "updateRequired", "requiredVersion": plans.PLAN_VERSION}
SEND_SECONDS = 0.1
PLAN_GROWTH = (
    1.02  # an unfinished plan is parsed again when it is longer by this: so all parses together cost O(length)
)
DEFAULT_LOCALE = "en-AU"
PROMPTS = Path(__file__).parent / "prompts"

UNAVAILABLE = "Sorry, the planner cannot be reached right now. Please try again in a minute."
NOT_SET_UP = "Sorry, the planner is not set up on this server."
REFUSED = "Sorry, I can't answer that. Please put it differently, or restart the chat if it has become very long."
EMPTY = "Sorry, I have no answer to that. Please try again."
BROKEN_PLAN = "Sorry, something went wrong while I wrote the plan. Please ask for it again."
LONG_PLAN = "Sorry, that plan became too long to finish. Please ask for a shorter one, or for a part of it."
CUT = "(The answer was cut off here because it became too long.)"

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
    if not isinstance(locale, str) or not _LOCALE.fullmatch(locale):
        locale = DEFAULT_LOCALE
    wanted = weight_unit.strip().lower() if isinstance(weight_unit, str) else ""
    units = "".join(f" I use {unit}." for unit, names in _UNITS.items() if wanted in names)
    return _prompt("introduction").format(locale=locale, units=units)


def play(history: History, user_text: str, *, version: int, emit: Emit, cancelled: threading.Event) -> History:
    """Play one turn, and return the conversation with it: at most 20 messages, as they are to be given next time.

    `version` is 1 for /ai-chat, 2 for /ai-chat-v2. A model that fails does not raise: the user is told, and the history
    has the user's message alone. Setting `cancelled` ends the model's request within a tenth of a second.
    Raises Cancelled, and what `emit` raises.
    """
    asked = histories.newest([*history, histories.user(user_text)])
    turn = IncomingAnswer(version, histories.given_by_user(asked))
    outbox = Outbox(turn, emit)
    question = Question(histories.prompt(_instructions(version), asked), [plans.tool(version)])
    try:
        outcome = _outcome(question, turn, outbox, cancelled)
    except _Stopped:
        raise Cancelled(asked) from None
    for message in outbox.last_messages(outcome):
        if cancelled.wait(outbox.due_in_seconds()):
            raise Cancelled(asked)
        outbox.send(message)
    return histories.newest([*asked, *outcome.remembered])


class _Stopped(Exception):
    """`cancelled` was set."""


def _outcome(question: Question, turn: "IncomingAnswer", outbox: "Outbox", cancelled: threading.Event) -> "FinalAnswer":
    """Ask the model, show its answer as it grows, and return what the turn ends with, whatever happens."""
    if cancelled.is_set():
        raise _Stopped
    try:
        with model().ask(question) as stream:
            _follow(stream, turn, outbox, cancelled)
    except InvalidSetting:
        return FinalAnswer(turn.with_note(NOT_SET_UP))
    except ModelUnavailable:
        return FinalAnswer(turn.with_note(UNAVAILABLE))
    except ModelRefused:
        return FinalAnswer(turn.with_note(REFUSED))
    return turn.outcome()


def _follow(stream: Stream, turn: "IncomingAnswer", outbox: "Outbox", cancelled: threading.Event) -> None:
    """Take in the whole answer, and show it as it grows."""
    while not turn.ended:
        piece = stream.next(outbox.due_in_seconds() or SEND_SECONDS)
        if cancelled.is_set():
            raise _Stopped
        if piece is not None:
            turn.add(piece)
        if not turn.ended:
            outbox.send_news()


@dataclass(slots=True)
class IncomingCall:
    """A tool call as it comes in."""

    call_id: str = ""
    name: str = ""
    parts: list[str] = field(default_factory=list)
    length: int = 0

    def arguments(self) -> str:
        return "".join(self.parts)


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What a turn ends with. `text` is all of the text, "" if there is none."""

    text: str
    plan: dict[str, Any] | None = None
    remembered: History = field(default_factory=list)


class IncomingAnswer:
    """The answer so far."""

    def __init__(self, version: int, given_by_user: str) -> None:
        self.version = version
        self.ended = False
        self.reason = ""
        self._given_by_user = given_by_user
        self._texts: list[str] = []
        self._calls: dict[int, IncomingCall] = {}

    def add(self, piece: Piece) -> None:
        """Take in the next piece."""
        match piece:
            case Words(text) | Refusal(text):
                if text:
                    self._texts.append(text)
            case CallPart(index, call_id, name, arguments):
                call = self._calls.setdefault(index, IncomingCall())
                call.call_id = call.call_id or call_id
                call.name += name
                call.parts.append(arguments)
                call.length += len(arguments)
            case End(reason):
                self.ended = True
                self.reason = reason

    @property
    def text_count(self) -> int:
        """In how many pieces the text came; cheaper to compare than the text."""
        return len(self._texts)

    def text(self) -> str:
        """Return the text so far."""
        return "".join(self._texts)

    def with_note(self, note: str) -> str:
        """Return the text so far, and below it a word of ours."""
        text = self.text().strip()
        return f"{text}\n\n{note}" if text else note

    def call(self) -> IncomingCall | None:
        """Return the call that makes the plan. There should be one; of several the first counts, others are ignored."""
        calls = (call for call in self._calls.values() if call.name == plans.TOOL_NAME)
        return next(calls, None)

    def unfinished_plan(self) -> dict[str, Any] | None:
        """Return what can be shown of the plan that comes in."""
        call = self.call()
        return None if call is None else plans.unfinished(call.arguments(), self._given_by_user)

    def outcome(self) -> FinalAnswer:
        """Return what the finished answer means."""
        call = self.call()
        if call is not None:
            return self._outcome_of(call)
        if self.reason == "content_filter":
            return FinalAnswer(self.with_note(REFUSED))
        text = self.text()
        if not text.strip():
            return FinalAnswer(EMPTY)
        shown = self.with_note(CUT) if self.reason == "length" else text
        return FinalAnswer(shown, remembered=[histories.assistant(text)])

    def _outcome_of(self, call: IncomingCall) -> FinalAnswer:
        if self.reason == "length":
            return FinalAnswer(self.with_note(LONG_PLAN))
        try:
            plan = plans.finished(call.arguments(), self.version, self._given_by_user)
        except plans.InvalidPlan:
            return FinalAnswer(self.with_note(BROKEN_PLAN))
        text = self.text()
        return FinalAnswer(text, plan, histories.delivery(text, call.call_id, plan))


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
            self._shown_text = self._turn.text()
            self.send(text_message(self._shown_text))
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
def _instructions(version: int) -> str:
    return f"{_prompt('coach')}\n\n{_prompt(f'plan-v{version}')}"


@cache
def _prompt(name: str) -> str:
    return (PROMPTS / f"{name}.md").read_text(encoding="utf-8").strip()
