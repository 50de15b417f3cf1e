"""A language model that does what it is told: OpenAI's chat completions over real HTTP, for tests and `make chat`.

    with ModelServer() as model:
        model.script(Text("Here it is."), ToolCall({"name": "Push"}, fragment_characters=3))
        model.script(HttpError(429, retry_after="2"))
        ...                                    # two requests to model.base_url
        model.requests[0].body["messages"]

Each script answers one request, in the order in which they come; a request without one is answered by a canned coach.
Events have the shapes in which api.openai.com sends them.
"""

import json
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Protocol

from local import canned_coach

TOOL = "create_workout_plan"
MODEL = "scripted"
CREATED = 1_767_225_600  # seconds since 1970
_POLL_SECONDS = 0.01

Json = dict[str, Any]


class ClientLeft(Exception):
    """The client closed its connection before the answer's end."""


class Hangup(Exception):
    """The script says to close the connection in the middle of the answer."""


@dataclass
class ModelRequest:
    """A request as it came, and what became of it."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: Json
    disconnected: threading.Event = field(default_factory=threading.Event)  # the client left before the end
    ended: threading.Event = field(default_factory=threading.Event)  # nothing is sent any more


class Step(Protocol):
    """A part of an answer."""

    def play(self, answer: "Answer") -> None:
        """Send it."""


@dataclass(frozen=True)
class Text:
    """Something that the model says, in pieces."""

    text: str
    piece_characters: int = 4
    pause_seconds: float = 0.0  # after each piece

    def play(self, answer: "Answer") -> None:
        answer.begin()
        for piece in _cut(self.text, self.piece_characters):
            answer.delta({"content": piece})
            answer.wait(self.pause_seconds)


@dataclass(frozen=True)
class ToolCall:
    """A call of the tool, its arguments in fragments that end anywhere. A text is sent as it is."""

    arguments: Any
    name: str = TOOL
    fragment_characters: int = 5
    pause_seconds: float = 0.0  # after each fragment

    def play(self, answer: "Answer") -> None:
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


@dataclass(frozen=True)
class Refusal:
    """The model's own refusal to fill in a JSON schema."""

    text: str

    def play(self, answer: "Answer") -> None:
        answer.begin(content=None)
        answer.delta({"refusal": self.text})


@dataclass(frozen=True)
class Finish:
    """The reason for the answer's end, like "length", instead of "stop" or "tool_calls"."""

    reason: str

    def play(self, answer: "Answer") -> None:
        answer.begin()
        answer.finish_reason = self.reason


@dataclass(frozen=True)
class HttpError:
    """An error instead of an answer; it must be the first step."""

    status: int
    code: str = "scripted_error"
    retry_after: str | None = None

    def play(self, answer: "Answer") -> None:
        headers = {"Retry-After": self.retry_after} if self.retry_after is not None else {}
        error = {"message": "This error is scripted.", "type": "scripted", "param": None, "code": self.code}
        answer.whole(self.status, json.dumps({"error": error}).encode(), headers)


@dataclass(frozen=True)
class Stall:
    """Silence until `released` is set, the client leaves, or the server ends. As first step: before any header."""

    released: threading.Event = field(default_factory=threading.Event)

    def play(self, answer: "Answer") -> None:
        while not self.released.is_set():
            answer.wait(_POLL_SECONDS)


@dataclass(frozen=True)
class Disconnect:
    """The connection breaks in the middle of the answer; as first step, before any header."""

    def play(self, answer: "Answer") -> None:  # noqa: ARG002 - a step like the others
        raise Hangup


@dataclass(frozen=True)
class Raw:
    """Bytes of the body as they are: events that are none, half events, comments."""

    content: bytes

    def play(self, answer: "Answer") -> None:
        answer.raw(self.content)


class ModelServer:
    """The server, on a port of its own, while its `with` block runs. Threads share it."""

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []
        self._scripts: deque[Sequence[Step]] = deque()
        self._closing = threading.Event()
        self._server = _Server(self._script_for, self._closing)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), name="model server")

    @property
    def base_url(self) -> str:
        """What OPENAI_BASE_URL must be."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def script(self, *steps: Step) -> None:
        """Say how the next request that has no script yet is answered."""
        self._scripts.append(steps)

    def wait_for_request(self, number: int = 1, timeout_seconds: float = 10.0) -> ModelRequest:
        """Return the request of that number, counted from 1, once it has come. Raises TimeoutError."""
        deadline = time.monotonic() + timeout_seconds
        while len(self.requests) < number:
            if time.monotonic() > deadline:
                raise TimeoutError(f"request {number} did not come")
            time.sleep(_POLL_SECONDS)
        return self.requests[number - 1]

    def _script_for(self, request: ModelRequest) -> Sequence[Step]:
        self.requests.append(request)
        return self._scripts.popleft() if self._scripts else _coached(request.body)

    def __enter__(self) -> "ModelServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.hang_up()
        self._server.server_close()


class Answer:
    """One answer on its way: event by event, or whole where the client did not ask for a stream."""

    def __init__(self, handler: "_Handler", request: ModelRequest, closing: threading.Event) -> None:
        self.finish_reason = "stop"
        self.calls = 0  # of tools, so far
        self._handler = handler
        self._closing = closing
        self._streams = bool(request.body.get("stream"))
        self._wants_usage = bool((request.body.get("stream_options") or {}).get("include_usage"))
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
        self._handler.write_chunk(content)

    def whole(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        """Send a whole response; whatever else the script says is left out."""
        self._is_whole = True
        self._handler.write_response(status, body, headers)

    def wait(self, seconds: float) -> None:
        """Let time pass. Raises ClientLeft as soon as the client closes, Hangup when the server ends."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if self._closing.is_set():
                raise Hangup
            if self._handler.client_has_left(max(0.0, min(left, _POLL_SECONDS))):
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
            self._handler.write_response(200, json.dumps(completion).encode(), {})
            return
        self._event(self._chunk([{"index": 0, "delta": {}, "logprobs": None, "finish_reason": self.finish_reason}]))
        if self._wants_usage:
            self._event(self._chunk([]) | {"usage": _USAGE})
        self._handler.write_chunk(b"data: [DONE]\n\n")
        self._handler.write_chunk(b"")

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
        self._handler.write_chunk(b"data: " + json.dumps(event).encode() + b"\n\n")

    def _begin_stream(self) -> None:
        if not self._began:
            self._began = True
            self._handler.write_stream_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # they are joined at the end, so that nothing of a test outlives it

    def __init__(self, script_for: Callable[[ModelRequest], Sequence[Step]], closing: threading.Event) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script_for = script_for
        self.closing = closing
        self._connections: set[socket.socket] = set()
        self._changing = threading.Lock()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changing:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._changing:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that left; it is in their request."""

    def hang_up(self) -> None:
        """End the connections that clients keep open."""
        with self._changing:
            for connection in self._connections:
                with suppress(OSError):  # the client has reset it
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = ModelRequest(self.path, headers, body)
        answer = Answer(self, request, self.server.closing)
        try:
            for step in self.server.script_for(request):
                step.play(answer)
            answer.end()
        except (ClientLeft, ConnectionError):
            request.disconnected.set()
            self.close_connection = True
        except Hangup:
            self.close_connection = True
        finally:
            request.ended.set()

    def write_response(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def write_stream_headers(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def write_chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

    def client_has_left(self, timeout_seconds: float) -> bool:
        """Tell whether the client closes within so many seconds."""
        readable, _, _ = select.select([self.connection], [], [], timeout_seconds)
        if not readable:
            return False
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except ConnectionError:
            return True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing: `requests` tells."""


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


def _coached(body: Json) -> Sequence[Step]:
    """Return what the canned coach says: in a chat, which has tools, at a speed at which one can watch it."""
    reply = canned_coach.reply(body)
    if not body.get("tools"):
        return [Text(reply.text, piece_characters=100)]
    steps: list[Step] = [Text(reply.text, pause_seconds=0.01)]
    if reply.arguments is not None:
        steps.append(ToolCall(reply.arguments, reply.tool, fragment_characters=24, pause_seconds=0.01))
    return steps
