"""The chunks of an answer, as endpoints send them, become pieces. What is no chunk is skipped, whatever it looks like.

Azure's content filter sends choices without `delta`, Ollama calls without or with the same `index`, older vLLM another
`id` with each fragment of a call, Mistral texts in parts; some leave members out or null, some ignore `stream`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from shared.ai.dialects import MAX_OUTPUT_TOKENS
from shared.ai.streams import CallPart, End, Piece, Refusal, Words
from shared.errors import ModelUnavailable
from shared.metrics import registry

MAX_OUTPUT_CHARACTERS = 16 * MAX_OUTPUT_TOKENS  # for endpoints that do not keep to the number of tokens
_DONE = "[DONE]"

Json = dict[str, Any]


class ErrorEvent(Exception):
    """An error came in place of a chunk. `error` is what it says: an object, or a text."""

    def __init__(self, error: Any) -> None:
        super().__init__("an error in place of a chunk")
        self.error = error


def pieces(texts: Iterator[str]) -> Iterator[Piece]:
    """Yield the pieces that chunks hold, up to their end; "" is a sign of life. Raises ErrorEvent, ModelUnavailable.

    What the endpoint says of tokens is counted.
    """
    usage = _Usage()
    try:
        yield from _pieces(texts, usage)
    finally:
        usage.count()


@dataclass(slots=True)
class _Usage:
    """How many tokens an answer took: the endpoint says so in its last chunk, or in each anew."""

    said: Json = field(default_factory=dict)

    def take(self, event: Json) -> None:
        self.said = _dict(event.get("usage")) or self.said

    def count(self) -> None:
        for kind in ("prompt", "completion"):
            tokens = self.said.get(f"{kind}_tokens")
            if isinstance(tokens, int) and tokens > 0:
                registry.count("liftlog_ai_tokens_total", tokens, kind=kind)


def _pieces(texts: Iterator[str], usage: _Usage) -> Iterator[Piece]:
    delta_reader = _DeltaReader()
    length = 0
    ended = False
    for text in texts:
        if text.startswith(_DONE):
            if length and not ended:  # some endpoints name no reason
                ended = True
                yield End("stop")
            break
        event = _object(text)
        usage.take(event)
        choice = _first_choice(event)
        for piece in delta_reader.pieces(_dict(choice.get("delta") or choice.get("message"))):
            length += len(piece.arguments if isinstance(piece, CallPart) else piece.text)
            yield piece
        reason = choice.get("finish_reason") or ("stop" if choice.get("message") else None)
        if reason and not ended:
            ended = True
            yield End(str(reason))
        if length > MAX_OUTPUT_CHARACTERS:
            break
    if ended:
        return
    if length <= MAX_OUTPUT_CHARACTERS:
        raise ModelUnavailable("the answer stopped before its end")
    yield End("length")


def _object(text: str) -> Json:
    """Return the object that an event holds, {} if it holds none. Raises ErrorEvent.

    Newer servers wrap an error, as OpenAI does; older vLLM sends it as an `object` of its own.
    """
    try:
        value = _dict(json.loads(text)) if text else {}
    except (ValueError, RecursionError):
        return {}
    if value.get("error"):
        raise ErrorEvent(value["error"])
    if value.get("object") == "error":
        raise ErrorEvent(value)
    return value


def _first_choice(event: Json) -> Json:
    choices = _list(event.get("choices"))
    return _dict(choices[0]) if choices else {}


@dataclass(slots=True)
class _Call:
    """A tool call so far."""

    index: int  # ours
    call_id: str = ""
    name: str = ""
    has_arguments: bool = False


class _DeltaReader:
    """Reads what an answer grows by. It remembers which calls there are, and halves of characters."""

    def __init__(self) -> None:
        self._whole = _WholeCharacters()
        self._calls: dict[int, _Call] = {}  # the latest one of each `index`, as the endpoint counts
        self._count = 0

    def pieces(self, delta: Json) -> Iterator[Words | Refusal | CallPart]:
        yield Words(self._whole.of("words", _text(delta.get("content"))))
        refusal = _text(delta.get("refusal"))
        if refusal:
            yield Refusal(self._whole.of("refusal", refusal))
        for fragment in _list(delta.get("tool_calls")):
            yield self._call_part(_dict(fragment))

    def _call_part(self, fragment: Json) -> CallPart:
        function = _dict(fragment.get("function"))
        call_id, name = _text(fragment.get("id")), _text(function.get("name"))
        call = self._call(fragment.get("index"), call_id, name)
        call.call_id = call.call_id or call_id
        if call.has_arguments or name == call.name:
            name = ""  # said again
        call.name += name
        given = function.get("arguments")
        arguments = self._whole.of(call.index, json.dumps(given) if isinstance(given, dict) else _text(given))
        call.has_arguments = call.has_arguments or bool(arguments)
        return CallPart(call.index, call_id, name, arguments)

    def _call(self, index: Any, call_id: str, name: str) -> _Call:
        """Return the call to which a fragment belongs, a new one where its index, or id and name, say so."""
        key = index if isinstance(index, int) else 0
        call = self._calls.get(key)
        has_other_id = call is not None and call_id not in {"", call.call_id}
        is_unmarked = not call_id and not isinstance(index, int)
        if call is None or (name and call.has_arguments and (has_other_id or is_unmarked)):
            call = self._calls[key] = _Call(self._count)
            self._count += 1
        return call


def _dict(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    """Return a text that comes whole or in parts, "" for anything else."""
    if isinstance(value, list):
        return "".join(_text(_dict(part).get("text")) for part in value)
    return value if isinstance(value, str) else ""


class _WholeCharacters:
    """Puts characters together whose UTF-16 halves came in two pieces: `of` gives back only whole ones."""

    def __init__(self) -> None:
        self._halves: dict[str | int, str] = {}

    def of(self, channel: str | int, text: str) -> str:
        text = self._halves.pop(channel, "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            self._halves[channel] = text[-1]
            text = text[:-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
