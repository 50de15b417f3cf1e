"""Plans and sessions, asked of the model in one piece. What it answers is checked before anybody sees it."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import jiter

from functions.ai import forms
from functions.ai.forms import Form
from shared.ai import Question, model
from shared.ai.shapes import Mismatch, response_format
from shared.ai.streams import End, Refusal, Words
from shared.errors import ModelRefused, ModelUnavailable

PROMPTS = Path(__file__).parent / "prompts"
EXERCISES_BELOW_VOLUME = ((25, 2), (50, 3), (75, 5), (90, 7))
MOST_EXERCISES = 10


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
    text = _answer(Question(messages, response_format=response_format(form.shape)))
    try:
        return form.accept(jiter.from_json(text.encode(), allow_inf_nan=False))
    except ValueError:
        raise ModelUnavailable("its answer is not JSON") from None
    except Mismatch as fault:
        raise ModelUnavailable(f"its answer does not fit the schema at {fault}") from None


def _answer(question: Question) -> str:
    """Return the whole text of an answer. Raises ModelUnavailable, ModelRefused."""
    texts = []
    with model().ask(question) as stream:
        for piece in stream.rest():
            match piece:
                case Words(text):
                    texts.append(text)
                case Refusal() | End("content_filter"):
                    raise ModelRefused("in words")
                case End("length"):
                    raise ModelUnavailable("its answer became too long")
    return "".join(texts)


@cache
def _prompt(name: str) -> str:
    return (PROMPTS / f"{name}.md").read_text(encoding="utf-8").strip()
