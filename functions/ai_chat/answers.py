"""An answer of the model as it comes in, and what a turn ends with when it is over."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from functions.ai_chat import histories, plans
from functions.ai_chat.calm import calm, looks_like_call
from functions.ai_chat.histories import History
from shared.ai import repairs
from shared.ai.questions import Question
from shared.ai.streams import CallPart, End, Piece, Refusal, Words

REFUSED = "Sorry, I can't answer that. Please put it differently."
EMPTY = "Sorry, I have no answer to that. Please try again."
BROKEN_PLAN = "Sorry, something went wrong while I wrote the plan. Please ask for it again."
LONG_PLAN = "Sorry, that plan became too long to finish. Please ask for a shorter one, or for a part of it."
PART_OF_PLAN = "(The plan was cut off here. Ask me for the rest, or for a shorter one.)"
CUT = "(The answer was cut off here because it became too long.)"
WANTED = f"Call the tool `{plans.TOOL_NAME}` again, once, with the whole plan, and write nothing else."


@dataclass(slots=True)
class IncomingCall:
    """A tool call as it comes in."""

    call_id: str = ""
    name: str = ""
    parts: list[str] = field(default_factory=list)
    length: int = 0

    def arguments(self) -> str:
        return "".join(self.parts)

    @property
    def makes_plan(self) -> bool:
        """Tell whether it is of our tool; some models write a namespace before its name."""
        return self.name.strip().rpartition(".")[2] == plans.TOOL_NAME


@dataclass(frozen=True, slots=True)
class FinalAnswer:
    """What a turn ends with. `text` is all of the text, "" if there is none. `fault`: what made it of no use, if so."""

    text: str
    plan: dict[str, Any] | None = None
    remembered: History = field(default_factory=list)
    fault: str = ""

    def after(self, shown: str) -> "FinalAnswer":
        """Return it with what was said before it: alone beside a plan, else above its own text."""
        texts = [shown.strip(), "" if self.plan is not None and shown.strip() else self.text]
        text = "\n\n".join(filter(None, texts))
        if self.plan is None:
            return FinalAnswer(text, remembered=[histories.assistant(text)])
        call = self.remembered[0]["tool_calls"][0]
        return FinalAnswer(text, self.plan, histories.delivery(text, call["id"], self.plan))


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
        """Return the words so far that the user may see."""
        return calm(self._raw_text(), ended=self.ended)

    def with_note(self, note: str) -> str:
        """Return the text so far, and below it a word of ours."""
        text = self.text().strip()
        return f"{text}\n\n{note}" if text else note

    def call(self) -> IncomingCall | None:
        """Return the call that makes the plan. There should be one; of several the first counts, others are ignored."""
        calls = (call for call in self._calls.values() if call.makes_plan)
        return next(calls, None)

    def _other_call(self) -> IncomingCall | None:
        """Return the first call of a tool that does not exist, if it makes a plan nevertheless."""
        for call in self._calls.values():
            with suppress(plans.InvalidPlan):
                plans.finished(call.arguments(), self.version, self._given_by_user)
                return call
        return None

    def unfinished_plan(self) -> dict[str, Any] | None:
        """Return what can be shown of the plan that comes in."""
        call = self.call()
        return None if call is None else plans.unfinished(call.arguments(), self._given_by_user)

    def salvaged(self) -> FinalAnswer | None:
        """Return what an answer that broke off or was cut ends with, if its plan or some sessions of it were whole."""
        call = self.call()
        written, call_id = (self._raw_text(), "") if call is None else (call.arguments(), call.call_id)
        with suppress(plans.InvalidPlan):
            plan = plans.finished(written, self.version, self._given_by_user)
            return self._delivery(plan, self.text().strip(), call_id)
        with suppress(plans.InvalidPlan):
            plan = plans.beginning(written, self.version, self._given_by_user)
            return self._delivery(plan, self.with_note(PART_OF_PLAN), call_id)
        return None

    def outcome(self) -> FinalAnswer:
        """Return what the finished answer means."""
        call, raw_text = self.call() or self._other_call(), self._raw_text()
        if call is not None:
            return self._outcome_of_plan(call.arguments(), call.call_id)
        if self.reason == "content_filter":
            return FinalAnswer(self.with_note(REFUSED))
        if looks_like_call(raw_text):
            return self._outcome_of_plan(raw_text, "")
        text = self.text()
        if not text.strip():
            return FinalAnswer(EMPTY)
        shown = self.with_note(CUT) if self.reason == "length" else text
        return FinalAnswer(shown, remembered=[histories.assistant(text)])

    def successor(self) -> "IncomingAnswer":
        """Return the answer, which is to come, to `question_again`."""
        return IncomingAnswer(self.version, self._given_by_user)

    def question_again(self, question: Question, fault: str) -> Question:
        """Return the question that has this answer repaired."""
        call = self.call()
        if call is None:
            return repairs.of_text(question, self._raw_text(), fault, WANTED)
        return repairs.of_call(question, plans.TOOL_NAME, call.arguments(), fault, WANTED)

    def _outcome_of_plan(self, written: str, call_id: str) -> FinalAnswer:
        try:
            plan = plans.finished(written, self.version, self._given_by_user)
        except plans.InvalidPlan as fault:
            return self._without_plan(str(fault))
        return self._delivery(plan, self.text().strip(), call_id)

    @staticmethod
    def _delivery(plan: dict[str, Any], text: str, call_id: str) -> FinalAnswer:
        return FinalAnswer(text, plan, histories.delivery(text, call_id, plan))

    def _without_plan(self, fault: str) -> FinalAnswer:
        if self.reason == "length":
            return FinalAnswer(self.with_note(LONG_PLAN), fault=repairs.CUT)
        return FinalAnswer(self.with_note(BROKEN_PLAN), fault=fault)

    def _raw_text(self) -> str:
        return "".join(self._texts)
