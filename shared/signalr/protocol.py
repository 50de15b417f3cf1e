"""SignalR's JSON hub protocol, version 1: what its messages mean, and how they are written.

A message is a JSON object that ends with a record separator. What a client sends is a stream of them: one packet may
hold several, or a part of one (dotnet/aspnetcore, HubProtocol.md, "JSON Encoding").
"""

import json
from dataclasses import dataclass
from typing import Any

from shared.errors import InvalidRequest
from shared.http import strict_json

SEPARATOR = "\x1e"
MAX_MESSAGE_BYTES = 256 * 1024  # people paste whole programs
MAX_INVOCATION_ID_CHARACTERS = 128
RECEIVER = "ReceiveMessage"
_SEPARATOR_BYTE = SEPARATOR.encode()
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


class ProtocolError(Exception):
    """The client does not speak the protocol; the message, which it gets, says in what."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call of a method. Without an id nobody waits for its completion."""

    invocation_id: str | None
    target: str
    arguments: list[Any]
    is_stream: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """A call is to end early. It completes nevertheless."""

    invocation_id: str


@dataclass(frozen=True, slots=True)
class Close:
    """The client is about to leave."""


@dataclass(frozen=True, slots=True)
class Other:
    """A message that needs no answer: a ping, a piece of a stream that no method takes, a type of a later version."""


HubMessage = Invocation | Cancel | Close | Other


class Splitter:
    """Cuts a client's stream of bytes into messages."""

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max_message_bytes = max_message_bytes
        self._rest = b""

    def feed(self, packet: bytes) -> list[bytes]:
        """Return the messages that are complete now. Raises ProtocolError if one is too large."""
        *messages, self._rest = (self._rest + packet).split(_SEPARATOR_BYTE)
        if any(len(message) > self._max_message_bytes for message in (*messages, self._rest)):
            raise ProtocolError(f"The maximum message size of {self._max_message_bytes} bytes was exceeded.")
        return messages

    @property
    def is_between_messages(self) -> bool:
        """Tell whether the last packet ended with a whole message."""
        return not self._rest


def parse_handshake(message: bytes) -> None:
    """Return if a client's first message asks for this protocol. Raises ProtocolError."""
    request = _object(message)
    if request.get("protocol") != "json":
        raise ProtocolError("The requested protocol is not available; this server speaks json.")
    version = request.get("version")
    if version != 1 or isinstance(version, bool):
        raise ProtocolError("The server does not support the requested version of the protocol.")


def parse(message: bytes) -> HubMessage:
    """Return what a client says after the handshake. Raises ProtocolError."""
    members = _object(message)
    kind = members.get("type")
    if not isinstance(kind, int) or isinstance(kind, bool):
        raise ProtocolError("A message has no type.")
    match kind:
        case 1 | 4:
            return _invocation(members, is_stream=kind == 4)
        case 5:
            return Cancel(_text(members, "invocationId"))
        case 7:
            return Close()
        case _:
            return Other()


def handshake_answer(error: str | None = None) -> str:
    """Return the answer to a handshake."""
    return _frame({} if error is None else {"error": error})


def receive_message(argument: dict[str, Any]) -> str:
    """Return a call of the one method that clients have."""
    return _frame({"type": 1, "target": RECEIVER, "arguments": [argument]})


def completion(invocation_id: str, error: str | None = None) -> str:
    """Return the message by which a call has ended; no method of ours has a result."""
    members: dict[str, Any] = {"type": 3, "invocationId": invocation_id}
    return _frame(members if error is None else members | {"error": error})


def close(error: str | None = None, *, allow_reconnect: bool = False) -> str:
    """Return the server's last message."""
    members: dict[str, Any] = {"type": 7}
    if error is not None:
        members["error"] = error
    if allow_reconnect:
        members["allowReconnect"] = True
    return _frame(members)


def _frame(members: dict[str, Any]) -> str:
    text = _ENCODER.encode(members) + SEPARATOR
    return text.encode("utf-8", "replace").decode()  # a model may stop between the halves of a surrogate pair


PING = _frame({"type": 6})


def _invocation(members: dict[str, Any], *, is_stream: bool) -> Invocation:
    arguments = members.get("arguments")
    if not isinstance(arguments, list):
        raise ProtocolError("An invocation has no arguments.")
    has_id = is_stream or members.get("invocationId") is not None
    invocation_id = _text(members, "invocationId") if has_id else None
    return Invocation(invocation_id, _text(members, "target"), arguments, is_stream)


def _text(members: dict[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or len(value) > MAX_INVOCATION_ID_CHARACTERS:
        raise ProtocolError(f"A message's {name} must be a text of at most {MAX_INVOCATION_ID_CHARACTERS} characters.")
    return value


def _object(message: bytes) -> dict[str, Any]:
    try:
        value = strict_json.parse(message)
    except InvalidRequest:
        raise ProtocolError("A message is not JSON.") from None
    if not isinstance(value, dict):
        raise ProtocolError("A message is not an object.")
    return value
