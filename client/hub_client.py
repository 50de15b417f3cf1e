"""A client of the chat hubs: SignalR's JSON protocol over a WebSocket, as far as a terminal needs it."""

import json
import threading
from collections import deque
from contextlib import suppress
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from simple_websocket import Client
from simple_websocket import ConnectionClosed as SocketClosed
from simple_websocket import ConnectionError as SocketRefused

SEPARATOR = "\x1e"
PING_SECONDS = 15.0
SILENCE_SECONDS = 60.0  # the server says something every 15
TIMEOUT_SECONDS = 30.0
UNAUTHORIZED = 401
INVOCATION, COMPLETION, PING, CLOSE = 1, 3, 6, 7  # of HubProtocol.md, "JSON Encoding"

Json = dict[str, Any]


class HubFailed(Exception):
    """The hub cannot be reached, or has said no; the message says why."""


class HubClosed(Exception):
    """The connection has ended; the message says why."""


class HubClient:
    """A connection to a hub, while its `with` block runs. Calls are made one at a time."""

    def __init__(self, base_url: str, path: str, authorization: str) -> None:
        """Connect. Raises HubFailed."""
        token = _negotiate(base_url, path, authorization)
        url = _websocket_url(base_url, path, token)
        try:
            self._socket = Client(url, headers={"Authorization": authorization})
        except (SocketRefused, OSError) as error:
            raise HubFailed(f"{base_url} does not take WebSockets on {path}") from error
        self._sending = threading.Lock()
        self._ended = threading.Event()
        self._received: deque[Json] = deque()
        self._calls = 0
        self._send({"protocol": "json", "version": 1})
        answer = self._next()
        if "error" in answer:
            raise HubFailed(f"the hub refused the handshake: {answer['error']}")
        self._pinger = threading.Thread(target=self._ping, name="hub pings", daemon=True)
        self._pinger.start()

    def begin(self, target: str, *arguments: Any) -> str:
        """Call a method. Return the number under which its messages and its end are awaited."""
        self._calls += 1
        call = str(self._calls)
        self._send({"type": INVOCATION, "invocationId": call, "target": target, "arguments": list(arguments)})
        return call

    def receive(self, call: str) -> Json | None:
        """Return the next message that the hub sends, or None once the call is over. Raises HubFailed, HubClosed."""
        while True:
            message = self._next()
            match message.get("type"):
                case 1 if message.get("target") == "ReceiveMessage":
                    argument: Json = message["arguments"][0]
                    return argument
                case 3 if message.get("invocationId") == call:
                    if "error" in message:
                        raise HubFailed(str(message["error"]))
                    return None
                case 7:
                    raise HubClosed(str(message.get("error") or "the server ends; start again in a moment"))

    def finish(self, call: str) -> None:
        """Wait until a call is over, whatever comes meanwhile."""
        while self.receive(call) is not None:
            pass

    def __enter__(self) -> "HubClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        with suppress(SocketClosed, OSError):
            self._socket.close()
        self._pinger.join()

    def _next(self) -> Json:
        while not self._received:
            try:
                text = self._socket.receive(timeout=SILENCE_SECONDS)
            except SocketClosed as error:
                raise HubClosed("the connection broke") from error
            if text is None:
                raise HubClosed("the server has gone silent")
            self._received.extend(json.loads(frame) for frame in str(text).split(SEPARATOR) if frame)
        return self._received.popleft()

    def _send(self, message: Json) -> None:
        try:
            with self._sending:
                self._socket.send(json.dumps(message) + SEPARATOR)
        except (SocketClosed, OSError) as error:
            raise HubClosed("the connection broke") from error

    def _ping(self) -> None:
        """Show that somebody is there, however long a person thinks about what to say."""
        with suppress(HubClosed):
            while not self._ended.wait(PING_SECONDS):
                self._send({"type": PING})


def _negotiate(base_url: str, path: str, authorization: str) -> str:
    """Return the connection token. Raises HubFailed."""
    try:
        answer = requests.post(
            f"{base_url}{path}/negotiate?negotiateVersion=1",
            headers={"Authorization": authorization},
            timeout=TIMEOUT_SECONDS,
        )
    except requests.RequestException as error:
        raise HubFailed(f"no server answers on {base_url}; run `make serve` first") from error
    if answer.status_code == UNAUTHORIZED:
        raise HubFailed("the server does not accept the token; is its WEB_AUTH_API_KEY the same?")
    try:
        content = answer.json()
        if answer.ok:
            return str(content["connectionToken"])
        reason = str(content["detail"])
    except (ValueError, KeyError, TypeError) as error:
        raise HubFailed(f"{path} of {base_url} answers {answer.status_code}, and is no hub") from error
    raise HubFailed(reason)


def _websocket_url(base_url: str, path: str, token: str) -> str:
    parts = urlsplit(f"{base_url}{path}")
    host = parts.netloc.replace("localhost", "127.0.0.1", 1)  # the client takes the first address, which may be ::1
    scheme = "wss" if parts.scheme == "https" else "ws"
    return f"{scheme}://{host}{parts.path}?id={quote(token, safe='')}"
