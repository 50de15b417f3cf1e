"""What the scripted model answers with: steps, played one after another onto the wire.

Events have the shapes in which api.openai.com sends them.
"""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

TOOL = "create_workout_plan"
MODEL = "scripted"
CREATED = 1_767_225_600  # seconds since 1970
_POLL_SECONDS = 0.01

Json = dict[str, Any]


class ClientLeft(Exception):
    """The client closed its connection before the answer's end."""


class Hangup(Exception):
    """The script says to close the connection in the middle of the answer."""


class Wire(Protocol):
    """The connection of one request."""

    def write_response(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Send a whole response."""

    def write_stream_headers(self) -> None:
        """Begin a response that comes in chunks."""

    def write_chunk(self, content: bytes) -> None:
        """Send a chunk; an empty one is the last."""

    def client_has_left(self, timeout_seconds: float) -> bool:
        """Tell whether the client closes within so many seconds."""


class ScriptedAnswer:
    """One answer on its way: event by event, or whole where the client did not ask for a stream."""

    def __init__(self, wire: Wire, request: Json, closing: threading.Event) -> None:
        self.finish_reason = "stop"
        self.calls = 0  # of tools, so far
        self._wire = wire
        self._closing = closing
        self._streams = bool(request.get("stream"))
        self._wants_usage = bool((request.get("stream_options") or {}).get("include_usage"))
        self._began = self._is_whole = self._has_role = False
        self._message: Json = {"role": "assistant", "content": None, "refusal": None}

    def begin(self, **first: Any) -> None:
        """Send the headers and the first event, which names the role; once."""
        if not self._has_role:
            self._has_role = True
            self.delta({"role": "assistant", "content": "", "refusal": None} | first)

    def delta(self, delta: Json) -> None:
        """Send what the message grows by."""
        if not self._streams:
            _grow(self._message, delta)
            return
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        self._event(self._chunk([choice]))

    def raw(self, content: bytes) -> None:
        """Send bytes of the body."""
        if not self._streams:
            self.whole(200, content, {})
            return
        self._begin_stream()
        self._wire.write_chunk(content)

    def whole(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Send a whole response; whatever else the script says is left out."""
        self._is_whole = True
        self._wire.write_response(status, body, headers)

    def wait(self, seconds: float) -> None:
        """Let time pass. Raises ClientLeft as soon as the client closes, Hangup when the server ends."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if self._closing.is_set():
                raise Hangup
            if self._wire.client_has_left(max(0.0, min(left, _POLL_SECONDS))):
                raise ClientLeft
            if left <= 0:
                return

    def end(self) -> None:
        """Send what comes after the last step."""
        if self._is_whole:
            return
        if not self._streams:
            choice = {"index": 0, "message": self._message, "logprobs": None, "finish_reason": self.finish_reason}
            completion = self._chunk([choice]) | {"object": "chat.completion", "usage": _USAGE}
            self._wire.write_response(200, json.dumps(completion).encode(), {})
            return
        self._event(self._chunk([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": self.finish_reason}]))
        if self._wants_usage:
            self._event(self._chunk([]) | {"usage": _USAGE})
        self._wire.write_chunk(b"data: [DONE]\n\n")
        self._wire.write_chunk(b"")

    def _chunk(self, choices: list[Json]) -> Json:
        chunk: Json = {
            "id": "chatcmpl-scripted",
            "object": "chat.completion.chunk",
            "created": CREATED,
            "model": MODEL,
            "service_tier": "default",
            "system_fingerprint": "fp_scripted",
            "choices": choices,
        }
        return chunk | {"usage": None} if self._streams and self._wants_usage else chunk

    def _event(self, event: Json) -> None:
        self._begin_stream()
        self._wire.write_chunk(b"data: " + json.dumps(event).encode() + b"\n\n")

    def _begin_stream(self) -> None:
        if not self._began:
            self._began = True
            self._wire.write_stream_headers()


class ScriptStep(Protocol):
    """A part of an answer."""

    def play(self, answer: ScriptedAnswer) -> None:
        """Send it."""


@dataclass(frozen=True)
class Say:
    """Something that the model says, in pieces."""

    text: str
    piece_characters: int = 4
    pause_seconds: float = 0.0  # after each piece

    def play(self, answer: ScriptedAnswer) -> None:
        answer.begin()
        for piece in _cut(self.text, self.piece_characters):
            answer.delta({"content": piece})
            answer.wait(self.pause_seconds)


@dataclass(frozen=True)
class CallTool:
    """A call of the tool, its arguments in fragments that end anywhere. A text is sent as it is."""

    arguments: Any
    name: str = TOOL
    fragment_characters: int = 5
    pause_seconds: float = 0.0  # after each fragment

    def play(self, answer: ScriptedAnswer) -> None:
        arguments = self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)
        answer.finish_reason = "tool_calls"
        index, answer.calls = answer.calls, answer.calls + 1
        function = {"name": self.name, "arguments": ""}
        call = {"index": index, "id": f"call_{index}", "type": "function", "function": function}
        answer.begin(content=None)
        answer.delta({"tool_calls": [call]})
        for fragment in _cut(arguments, self.fragment_characters):
            answer.delta({"tool_calls": [{"index": index, "function": {"arguments": fragment}}]})
            answer.wait(self.pause_seconds)


_USAGE = {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}


def _cut(text: str, characters: int) -> Iterator[str]:
    for start in range(0, len(text), characters):
        yield text[start : start + characters]


def _grow(message: Json, delta: Json) -> None:
    """Add a delta to a message that is sent whole."""
    for name in ("content", "refusal"):
        if delta.get(name):
            message[name] = (message[name] or "") + delta[name]
    for call in delta.get("tool_calls", []):
        calls = message.setdefault("tool_calls", [])
        if call["index"] == len(calls):
            calls.append({"id": call["id"], "type": "function", "function": dict(call["function"])})
        else:
            calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
