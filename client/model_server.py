"""A language model that does what it is told: OpenAI's chat completions over real HTTP, for tests and `make chat`.

    with ModelServer() as model:
        model.script(Say("Here it is."), CallTool({"name": "Push"}, fragment_characters=3))
        model.script(HttpError(429, retry_after="2"))
        ...                                    # two requests to model.base_url
        model.requests[0].body["messages"]

Each script answers one request, in the order in which they come; a request without one is answered by a canned coach.
The steps of scripts: `scripted_answers`.
"""

import json
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from client import canned_coach
from client.scripted_answers import CallTool, ClientLeft, Hangup, Json, Say, ScriptedAnswer, ScriptStep

_POLL_SECONDS = 0.01


@dataclass
class ModelRequest:
    """A request as it came, and what became of it."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: Json
    disconnected: threading.Event = field(default_factory=threading.Event)  # the client left before the end
    ended: threading.Event = field(default_factory=threading.Event)  # nothing is sent any more


class ModelServer:
    """The server, on a port of its own, while its `with` block runs. Threads share it."""

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []
        self._scripts: deque[Sequence[ScriptStep]] = deque()
        self._closing = threading.Event()
        self._server = _Server(self._script_for, self._closing)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_SECONDS,), name="model server")

    @property
    def base_url(self) -> str:
        """What OPENAI_BASE_URL must be."""
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def script(self, *steps: ScriptStep) -> None:
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

    def _script_for(self, request: ModelRequest) -> Sequence[ScriptStep]:
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


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # they are joined at the end, so that nothing of a test outlives it

    def __init__(self, script_for: Callable[[ModelRequest], Sequence[ScriptStep]], closing: threading.Event) -> None:
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
        answer = ScriptedAnswer(self, request.body, self.server.closing)
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


def _coached(body: Json) -> Sequence[ScriptStep]:
    """Return what the canned coach says: in a chat, which has tools, at a speed at which one can watch it."""
    reply = canned_coach.reply(body)
    if not body.get("tools"):
        return [Say(reply.text, piece_characters=100)]
    steps: list[ScriptStep] = [Say(reply.text, pause_seconds=0.01)]
    if reply.arguments is not None:
        steps.append(CallTool(reply.arguments, reply.tool, fragment_characters=24, pause_seconds=0.01))
    return steps
