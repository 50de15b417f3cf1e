"""Plans and sessions, asked of the model in one piece. What it answers is checked before anybody sees it."""

import json
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
        text, is_cut = _text(stream)
    try:
        return lenient.read(text, form.accept)
    except lenient.Unreadable as fault:
        again = repairs.of_text(question, text, repairs.CUT if is_cut else str(fault), WANTED)
    return _repaired(again, form, stream.last_moment)


def _repaired(question: Question, form: Form, last_moment: float) -> dict[str, Any]:
    """Return the second answer. Raises ModelUnavailable, ModelRefused."""
    was_of_use = False
    try:
        with model().ask(question, last_moment=last_moment) as stream:
            text, _ = _text(stream)
        answer = lenient.read(text, form.accept)
        was_of_use = True
    except (lenient.Unreadable, ContextFull) as fault:  # the wishes alone were not too long
        raise ModelUnavailable(f"its answer is of no use: {fault}") from None
    finally:
        repairs.count(was_of_use=was_of_use)
    return answer


def _text(stream: Stream) -> tuple[str, bool]:
    """Return the whole text of an answer, and whether it was cut. Raises ModelUnavailable, ModelRefused."""
    texts = []
    is_cut = False
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
    return "".join(texts), is_cut


@cache
def _prompt(name: str) -> str:
    return (PROMPTS / f"{name}.md").read_text(encoding="utf-8").strip()
