"""Clients of the chat hubs: the official one in Node, and bare ones that misbehave where it cannot."""

import json
import os
import shutil
import subprocess
import threading
import time
from base64 import urlsafe_b64decode
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
import requests
from simple_websocket import Client, ConnectionClosed

from shared.data.pool import Database
from tests.waiting import WAIT_SECONDS, wait_for

FOLDER = Path(__file__).parent / "signalr"
SUBSCRIBED = "Web key"
SEPARATOR = "\x1e"
HANDSHAKE = {"protocol": "json", "version": 1}

Json = dict[str, Any]


def require_node() -> None:
    """Skip where the official client cannot run, loudly; in CI it must."""
    if shutil.which("node") and (FOLDER / "node_modules").exists():
        return
    reason = "THE OFFICIAL SIGNALR CLIENT IS NOT TESTED: it needs Node 20 with npm; then run make test"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class Driver:
    """A process with the official client, in which many connections may live."""

    def __init__(self) -> None:
        require_node()
        self._process = subprocess.Popen(
            ["node", "driver.mjs"], cwd=FOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._changed = threading.Condition()
        self._events: dict[str, list[Json]] = {}
        self._names = count(1)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def connect(self, url: str, transport: str | None = None, **options: Any) -> "Connection":
        """Begin to connect; `wait_for("connected")` says whether it did."""
        name = str(next(self._names))
        self._events[name] = []
        connection = Connection(self, name)
        self.command(do="connect", name=name, url=url, **({"transport": transport, "token": SUBSCRIBED} | options))
        return connection

    def command(self, **command: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()

    def events(self, name: str) -> list[Json]:
        with self._changed:
            return list(self._events[name])

    def wait(self, name: str, wanted: dict[str, Any], seconds: float) -> Json:
        """Return the first event that has these members, once it has come."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while True:
                for event in self._events[name]:
                    if wanted.items() <= event.items():
                        return event
                left = deadline - time.monotonic()
                assert left > 0, f"{wanted} did not come, but {self._events[name]}"
                self._changed.wait(left)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            with self._changed:
                self._events.setdefault(event.get("name", "driver"), []).append(event)
                self._changed.notify_all()

    def kill(self) -> None:
        """End it as a phone that loses its battery: nobody is told."""
        self._process.kill()
        self.close()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(WAIT_SECONDS)
        self._reader.join()
        self._process.stdout.close()


class Connection:
    """A connection of the official client."""

    def __init__(self, driver: Driver, name: str) -> None:
        self._driver = driver
        self._name = name
        self._calls = count(1)

    @property
    def messages(self) -> list[Json]:
        """Everything that was received, in order."""
        return [event["message"] for event in self._driver.events(self._name) if event["event"] == "message"]

    @property
    def texts(self) -> list[str]:
        return [message["message"] for message in self.messages if message["type"] == "messageResponse"]

    @property
    def events(self) -> list[str]:
        return [event["event"] for event in self._driver.events(self._name)]

    def wait_for(self, event: str, seconds: float = WAIT_SECONDS, **members: Any) -> Json:
        return self._driver.wait(self._name, {"event": event} | members, seconds)

    def wait_for_messages(self, number: int) -> list[Json]:
        """Return the messages, once there are so many."""
        wait_for(lambda: len(self.messages) >= number)
        return self.messages

    def begin(self, method: str, *arguments: Any) -> int:
        """Call a method and return the call's number."""
        call = next(self._calls)
        self._driver.command(do="invoke", name=self._name, call=call, method=method, arguments=arguments)
        return call

    def end(self, call: int) -> str | None:
        """Wait for a call's end and return its error."""
        error: str | None = self.wait_for("completed", call=call)["error"]
        return error

    def invoke(self, method: str, *arguments: Any) -> str | None:
        return self.end(self.begin(method, *arguments))

    def show(self, method: str, *arguments: Any) -> int:
        """Call a method as the app does, and return the call's number."""
        call = next(self._calls)
        self._driver.command(do="show", name=self._name, call=call, method=method, arguments=arguments)
        return call

    def shown(self, call: int) -> Json | None:
        """Wait for a call's end, and return what the app shows of it."""
        message: Json | None = self.wait_for("shown", call=call)["message"]
        return message

    def send(self, method: str, *arguments: Any) -> None:
        """Call a method without waiting for its end."""
        call = next(self._calls)
        self._driver.command(do="send", name=self._name, call=call, method=method, arguments=arguments)
        self.wait_for("sent", call=call)

    def stop(self) -> None:
        self._driver.command(do="stop", name=self._name)
        self.wait_for("stopped")


def frame(*messages: Any) -> str:
    return "".join(json.dumps(message) + SEPARATOR for message in messages)


def invocation(target: str, *arguments: Any, call: str | None = "1") -> Json:
    message: Json = {"type": 1, "target": target, "arguments": list(arguments)}
    return message if call is None else message | {"invocationId": call}


def negotiate(base_url: str, hub: str, authorization: str | None = SUBSCRIBED, version: int = 1) -> requests.Response:
    headers = {} if authorization is None else {"Authorization": authorization}
    return requests.post(f"{base_url}{hub}/negotiate?negotiateVersion={version}", headers=headers, timeout=WAIT_SECONDS)


def token(base_url: str, hub: str) -> str:
    found: str = negotiate(base_url, hub).json()["connectionToken"]
    return found


class Socket:
    """A bare WebSocket."""

    def __init__(self, base_url: str, hub: str, *, reads: bool = True, **query: str) -> None:
        """Connect, with a token unless the query says otherwise."""
        query = query or {"id": token(base_url, hub)}
        names = "&".join(f"{name}={quote(value)}" for name, value in query.items())
        url = f"{base_url.replace('http', 'ws')}{hub}?{names}"
        self.client = Client(url, thread_class=threading.Thread if reads else NoThread)
        self._frames: list[str] = []

    def greet(self) -> "Socket":
        self.send(frame(HANDSHAKE))
        assert self.receive() == {}
        return self

    def send(self, text: str | bytes) -> None:
        self.client.send(text)

    def receive(self, seconds: float = WAIT_SECONDS) -> Json:
        """Return the next message. Raises ConnectionClosed."""
        while not self._frames:
            packet = self.client.receive(seconds)
            assert packet is not None, "nothing came"
            self._frames = packet.split(SEPARATOR)[:-1]
        message: Json = json.loads(self._frames.pop(0))
        return message

    def receive_until(self, **members: Any) -> Json:
        while True:
            message = self.receive()
            if members.items() <= message.items():
                return message

    def has_closed(self) -> bool:
        """Tell whether the server closes, after whatever it still sends."""
        try:
            while True:
                self.receive()
        except ConnectionClosed:
            return True

    def close(self) -> None:
        with suppress(ConnectionClosed, OSError):
            self.client.close()
        self.client.thread.join(WAIT_SECONDS)
        self.client.sock.close()

    def __enter__(self) -> "Socket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class NoThread:
    """In place of the thread that reads a socket: nothing is read."""

    def __init__(self, target: Any) -> None:  # noqa: ARG002 - the signature is threading's
        self.name = ""

    def start(self) -> None:
        pass

    def join(self, _seconds: float) -> None:
        pass


def refusal(base_url: str, hub: str, **query: str) -> requests.Response:
    """Ask for a WebSocket and return the answer that there is none."""
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    headers |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
    return requests.get(base_url + hub, params=query, headers=headers, timeout=WAIT_SECONDS)


class Polling:
    """Long polling by hand."""

    def __init__(self, base_url: str, hub: str, connection_token: str | None = None) -> None:
        self.base_url, self._hub = base_url, hub
        self.token = token(base_url, hub) if connection_token is None else connection_token

    @property
    def connection_id(self) -> UUID:
        """The connection that the token is of; any payload can be read, only not be signed."""
        payload = self.token.partition(".")[0]
        return UUID(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))[0])

    def number(self, db: Database) -> int:
        """Return how many polls the connection has had."""
        row = db.row("SELECT poll FROM chats WHERE id = :id", id=self.connection_id)
        assert row is not None
        number: int = row[0]
        return number

    @property
    def url(self) -> str:
        return f"{self.base_url}{self._hub}?id={quote(self.token)}"

    def open(self) -> "Polling":
        """Open the connection and shake hands."""
        first = self.poll()
        assert (first.status_code, first.content) == (200, b"")
        self.send(frame(HANDSHAKE))
        assert self.receive() == [{}]
        return self

    def poll(self) -> requests.Response:
        return requests.get(self.url, timeout=WAIT_SECONDS)

    def receive(self) -> list[Json]:
        """Return what a poll brings."""
        answer = self.poll()
        assert answer.status_code == 200
        return [json.loads(message) for message in answer.text.split(SEPARATOR)[:-1]]

    def receive_until(self, **members: Any) -> list[Json]:
        """Poll until such a message has come, and return everything that came."""
        received: list[Json] = []
        while not any(members.items() <= message.items() for message in received):
            received += self.receive()
        return received

    def send(self, packet: str | bytes) -> requests.Response:
        return requests.post(
            self.url, data=packet if isinstance(packet, bytes) else packet.encode(), timeout=WAIT_SECONDS
        )

    def delete(self) -> requests.Response:
        return requests.delete(self.url, timeout=WAIT_SECONDS)
