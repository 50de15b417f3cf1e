"""What the scripted model does when it does not answer: refusals, errors, silence, and what is no event."""

import json
import threading
from dataclasses import dataclass, field

from client.scripted_answers import Hangup, ScriptedAnswer

POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Refuse:
    """The model's own refusal to fill in a JSON schema."""

    text: str

    def play(self, answer: ScriptedAnswer) -> None:
        answer.begin(content=None)
        answer.delta({"refusal": self.text})


@dataclass(frozen=True)
class Finish:
    """The reason for the answer's end, like "length", instead of "stop" or "tool_calls"."""

    reason: str

    def play(self, answer: ScriptedAnswer) -> None:
        answer.begin()
        answer.finish_reason = self.reason


@dataclass(frozen=True)
class HttpError:
    """An error instead of an answer; it must be the first step."""

    status: int
    code: str = "scripted_error"
    retry_after: str | None = None

    def play(self, answer: ScriptedAnswer) -> None:
        headers = {"Retry-After": self.retry_after} if self.retry_after is not None else {}
        error = {"message": "This error is scripted.", "type": "scripted", "param": None, "code": self.code}
        answer.whole(self.status, json.dumps({"error": error}).encode(), headers)


@dataclass(frozen=True)
class Redirect:
    """The way to another place instead of an answer; it must be the first step."""

    status: int
    location: str

    def play(self, answer: ScriptedAnswer) -> None:
        answer.whole(self.status, b"", {"Location": self.location})


@dataclass(frozen=True)
class Stall:
    """Silence until `released` is set, the client leaves, or the server ends. As first step: before any header."""

    released: threading.Event = field(default_factory=threading.Event)

    def play(self, answer: ScriptedAnswer) -> None:
        while not self.released.is_set():
            answer.wait(POLL_SECONDS)


@dataclass(frozen=True)
class Pause:
    """Silence for a while. As first step: before any header."""

    seconds: float

    def play(self, answer: ScriptedAnswer) -> None:
        answer.wait(self.seconds)


@dataclass(frozen=True)
class Disconnect:
    """The connection breaks in the middle of the answer; as first step, before any header."""

    def play(self, answer: ScriptedAnswer) -> None:  # noqa: ARG002 - a step like the others
        raise Hangup


@dataclass(frozen=True)
class Raw:
    """Bytes of the body as they are: events that are none, half events, comments."""

    content: bytes

    def play(self, answer: ScriptedAnswer) -> None:
        answer.raw(self.content)


@dataclass(frozen=True)
class Whole:
    """An answer in one piece, from an endpoint that does not stream, or an error with a body of its own."""

    content: bytes
    status: int = 200

    def play(self, answer: ScriptedAnswer) -> None:
        answer.whole(self.status, self.content, {})
