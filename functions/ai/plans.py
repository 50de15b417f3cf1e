"""Plans and sessions, asked of the model in one piece. What it answers is checked before anybody sees it."""

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from functions.ai import forms
from functions.ai.forms import Form
from shared.ai import Question, lenient, model, repairs
from shared.ai.shapes import response_format
from shared.ai.streams import CallPart, End, Refusal, Stream, Words
from shared.errors import ContextFull, ModelRefused, ModelUnavailable

PROMPTS = Path(__file__).parent / "prompts"
EXERCISES_BELOW_VOLUME = ((25, 2), (50, 3), (75, 5), (90, 7))
MOST_EXERCISES = 10
WANTED = "Answer again with nothing but one JSON object in the given form."


def workout(form: str, wishes: dict[str, Any]) -> dict[str, Any]:
    """Return a plan for the week, in the form that was asked in. Raises ModelUnavailable, ModelRefused."""
    return _ask(forms.WORKOUT[form], wishes)


def session(form: str, wishes: dict[str, Any]) -> dict[str, Any]:
    """Return one session, in the form that was asked in. Raises ModelUnavailable, ModelRefused."""
    if form == "app":
        wishes = wishes | {"number_of_exercises": number_of_exercises(wishes["volume"])}
    return _ask(forms.SESSION[form], wishes)


def number_of_exercises(volume: int) -> int:
    """Return how many exercises a volume from 0 to 100 asks for."""
    return next((count for below, count in EXERCISES_BELOW_VOLUME if volume < below), MOST_EXERCISES)


def _ask(form: Form, wishes: dict[str, Any]) -> dict[str, Any]:
    """Return the model's answer as it is sent. Raises ModelUnavailable, ModelRefused."""
    instructions = "\n\n".join(map(_prompt, form.prompts))
    wanted = {name: value for name, value in wishes.items() if value is not None}
    messages = [
        {"role": "system", "content": instructions},
        {"role": "user", "content": json.dumps(wanted, ensure_ascii=False)},
    ]
    return _answer(Question(messages, response_format=response_format(form.shape)), form)


def _answer(question: Question, form: Form) -> dict[str, Any]:
    """Return the answer, repaired once if it is of no use. Raises ModelUnavailable, ModelRefused, ContextFull."""
    with model().ask(question) as stream:
        first = _read(stream)
    try:
        return lenient.read(first.text, form.accept)
    except lenient.Unreadable as unreadable:
        fault = repairs.CUT if first.is_cut else str(unreadable)
    try:
        if first.broke_off is not None:
            raise first.broke_off
        return _repaired(repairs.of_text(question, first.text, fault, WANTED), form, stream.last_moment)
    except (ModelUnavailable, ModelRefused):
        with suppress(lenient.Unreadable):
            return lenient.salvage(first.text, form.accept)
        raise


def _repaired(question: Question, form: Form, last_moment: float) -> dict[str, Any]:
    """Return the second answer. Raises ModelUnavailable, ModelRefused."""
    was_of_use = False
    try:
        with model().ask(question, last_moment=last_moment) as stream:
            second = _read(stream)
        answer = lenient.read(second.text, form.accept)
        was_of_use = True
    except (lenient.Unreadable, ContextFull) as fault:  # the wishes alone were not too long
        raise ModelUnavailable(f"its answer is of no use: {fault}") from None
    finally:
        repairs.count(was_of_use=was_of_use)
    return answer


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came of an answer. `is_cut`: it became too long. `broke_off`: why it has no end, if it has none."""

    text: str
    is_cut: bool = False
    broke_off: ModelUnavailable | None = None


def _read(stream: Stream) -> _Answer:
    """Return what comes of an answer. Raises ModelUnavailable if nothing did, ModelRefused, ContextFull."""
    texts = []
    is_cut = False
    try:
        for piece in stream.rest():
            match piece:
                case Words(text):
                    texts.append(text)
                case CallPart(_, _, _, arguments):  # a tool that nobody offered
                    texts.append(arguments)
                case Refusal() | End("content_filter"):
                    raise ModelRefused("in words")
                case End(reason):
                    is_cut = reason == "length"
    except ModelUnavailable as fault:
        if not texts:
            raise
        return _Answer("".join(texts), broke_off=fault)
    return _Answer("".join(texts), is_cut)


@cache
def _prompt(name: str) -> str:
    return (PROMPTS / f"{name}.md").read_text(encoding="utf-8").strip()
