"""What the model meant: JSON is found in an answer however it is wrapped.

Seen of models and servers without a grammar: thoughts before the answer (`<think>`; where the chat template opens them,
only their end comes), a Markdown fence or prose around it, JSON inside a text of JSON, a call written as text in the
forms of Hermes and Qwen (`<tool_call>{"name", "arguments"}`), Llama (`"parameters"`) and Mistral (`[TOOL_CALLS]`).
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import jiter

from shared.ai.shapes import Mismatch

Accepted = TypeVar("Accepted")
NO_JSON = "not JSON"
MOST_TRIES = 20  # places at which an object may begin: each costs the rest of the text
MOST_WRAPPINGS = 4
MOST_ARRAYS = 2  # of a cut plan: sessions, and exercises of one; an exercise without its last sets is another one
_TAGS = "think|thinking|thought|reasoning"
_THOUGHTS = re.compile(
    rf"<({_TAGS})>.*?(?:</\1>|\Z)|<\|channel\|>analysis<\|message\|>.*?(?:<\|end\|>|\Z)", re.DOTALL | re.IGNORECASE
)
_END_OF_THOUGHTS = re.compile(rf"\A.*</(?:{_TAGS})>", re.DOTALL | re.IGNORECASE)
_TEXTS_AND_BRACKETS = re.compile(r'"(?:\\.|[^"\\])*(?:"|\Z)|[{}\[\]]', re.DOTALL)
_NUMBER_CHARACTERS = "+-.0123456789Ee"
_WRAPPERS = ("arguments", "parameters", "args", "input", "function", "tool_calls")
_decoder = json.JSONDecoder()


class Unreadable(Exception):
    """Nothing in the answer is what was asked for. The message is NO_JSON or the path to the fault, without a value."""


def read(text: str, accept: Callable[[Any], Accepted]) -> Accepted:
    """Return what `accept` makes of the first object in an answer that it accepts. Raises Unreadable."""
    faults = []
    for value in objects_in(text):
        try:
            return accept(value)
        except Mismatch as fault:
            faults.append(str(fault))
    raise Unreadable(faults[0] if faults and _is_whole(text) else NO_JSON)


def salvage(text: str, accept: Callable[[Any], Accepted]) -> Accepted:
    """Return what `accept` makes of an answer that was cut, without what the cut went through. Raises Unreadable.

    The outermost array is tried first: a plan loses its last session before a session its last exercise.
    """
    text = without_open_number(without_thoughts(text))
    start = text.find("{")
    for _ in range(MOST_TRIES):
        if start < 0:
            break
        for value in _whole_parts(text[start:]):
            with suppress(Mismatch):
                return accept(value)
        start = text.find("{", start + 1)
    raise Unreadable(NO_JSON)


def _whole_parts(text: str) -> Iterator[dict[str, Any]]:
    """Yield the object that a text begins and does not end, each time cut before the last element of another array."""
    depth = _depth_at_end(text)
    try:
        value = jiter.from_json(text.encode("utf-8", "replace"), partial_mode=True, allow_inf_nan=False)
    except ValueError:
        return
    outer = []  # the arrays in which something has no end
    inner = value
    for _ in range(depth - 1):
        if isinstance(inner, list):
            outer.append(inner)
        inner = inner[-1] if isinstance(inner, list) else [*inner.values()][-1]
    for array in outer[:MOST_ARRAYS]:
        cut = array.pop()
        yield from _unwrapped(value, MOST_WRAPPINGS)
        array.append(cut)
    if depth and not outer:
        yield from _unwrapped(value, MOST_WRAPPINGS)


def _depth_at_end(text: str) -> int:
    """Return how many arrays and objects are open at the end of a text that begins with one, 0 if that has its end."""
    depth = 0
    for token in _TEXTS_AND_BRACKETS.finditer(text):
        depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(token[0], 0)
        if depth == 0:
            break
    return depth


def without_open_number(text: str) -> str:
    """Leave out a number at the end, to which digits may still be added."""
    shorter = text.rstrip(_NUMBER_CHARACTERS)
    return shorter if shorter.rstrip().endswith((":", ",", "[")) else text


def _is_whole(text: str) -> bool:
    """Tell whether the outermost object of an answer has its end; what is inside another is no answer."""
    text = without_thoughts(text)
    outermost = next(places_of_objects(text), None)
    return outermost is None or outermost[0] == text.find("{")


def without_thoughts(text: str) -> str:
    """Return an answer without what the model thought before it, which may still go on."""
    return _END_OF_THOUGHTS.sub("", _THOUGHTS.sub("", text))


def objects_in(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects that an answer is, or holds, with those that are wrapped in them, from the outside in."""
    text = without_thoughts(text)
    try:
        found = iter([_parsed(text)])
    except ValueError:
        found = (_parsed(text[start:end]) for start, end in places_of_objects(text))
    for value in found:
        yield from _unwrapped(value, MOST_WRAPPINGS)


def places_of_objects(text: str) -> Iterator[tuple[int, int]]:
    """Yield where whole JSON objects begin and end in a text."""
    start = text.find("{")
    for _ in range(MOST_TRIES):
        if start < 0:
            return
        end = start + 1
        try:
            _, end = _decoder.raw_decode(text, start)
            _parsed(text[start:end])  # which is stricter
        except (ValueError, RecursionError):
            pass
        else:
            yield start, end
        start = text.find("{", end)


def _unwrapped(value: Any, wrappings: int) -> Iterator[dict[str, Any]]:
    if wrappings == 0:
        return
    if isinstance(value, str):
        with suppress(ValueError):
            yield from _unwrapped(_parsed(value), wrappings - 1)
    if isinstance(value, list):
        for element in value[:1]:
            yield from _unwrapped(element, wrappings - 1)
    if isinstance(value, dict):
        yield value
        inner = [value[name] for name in _WRAPPERS if name in value]
        if not inner and len(value) == 1:
            inner = list(value.values())
        for each in inner:
            yield from _unwrapped(each, wrappings - 1)


def _parsed(text: str) -> Any:
    return jiter.from_json(text.encode("utf-8", "replace"), allow_inf_nan=False)
