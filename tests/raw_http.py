"""Requests that no client library would send, over a real socket."""

import json
import socket
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPResponse
from typing import Any

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class RawAnswer:
    """What came back; status 0 where the server hung up without a word."""

    status: int
    headers: Message
    content: bytes

    @property
    def problem(self) -> str:
        """The last word of the problem's type."""
        return str(json.loads(self.content)["type"]).rpartition(":")[2]


def ask(port: int, request: bytes) -> RawAnswer:
    """Send bytes, and return the first answer to them."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
        try:
            connection.sendall(request)
            response = HTTPResponse(connection, method=request.partition(b" ")[0].decode("latin-1"))
            response.begin()
            return RawAnswer(response.status, response.headers, response.read())
        except ConnectionError:  # http.client's RemoteDisconnected is one
            return RawAnswer(0, Message(), b"")


def request(method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
    """Return a request's bytes. The path is sent as it is, in Latin-1."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Host": "localhost", "Content-Length": str(len(content)), "Connection": "close"} | (headers or {})
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + content
