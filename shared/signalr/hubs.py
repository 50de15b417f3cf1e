"""Hubs: the methods that clients may call, and what a call does to the conversation of its connection.

packet → messages (`protocol`) → `dispatch` → a turn of the conversation, or something that happens at once

A turn is a method that takes its time: turns of one conversation are played one after another, in the order in which
they came. Everything else happens at once, beside the turn under way. So a client has at most two calls running.
"""

import inspect
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from shared.metrics import registry
from shared.signalr import protocol
from shared.signalr.protocol import Cancel, Close, Invocation

log = logging.getLogger(__name__)

MAX_WAITING = 8  # turns of one conversation that wait for the one under way
NO_SUCH_METHOD = "Method does not exist."
NO_STREAM = "The method does not stream."
FAULT = "An error occurred on the server."
TOO_MANY = "Too many calls are waiting."

ConversationState = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Timing:
    """The clocks of a hub's connections, in seconds."""

    handshake: float = 60.0  # from the connection to its first message
    ping: float = 15.0  # from a message of ours to the next, which is a ping if there is nothing else to say
    client: float = 120.0  # from a sign of life of the client to its being taken for gone
    poll: float = 30.0  # longest wait of a poll
    send: float = 20.0  # for a client to take in what it is sent
    held: float = 4.0  # longest that the end of a call is held back after a restart; a poll finds it within a second


class InvalidCall(Exception):
    """A call that its method cannot take; the message, which the client gets, says why."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a method that takes its time has to do with."""

    subscriber: str
    state: ConversationState  # what the turns before have left
    send: Callable[[dict[str, Any]], None]  # ConnectionError if the client is gone
    cancelled: threading.Event  # the turn is to end, and what it has sent stays as it is


@dataclass(frozen=True, slots=True)
class TurnResult:
    """What a turn leaves."""

    state: ConversationState
    completion: str | None  # the frame that tells the client, if it waits for one


class Conversation(Protocol):
    """A connection's conversation, wherever it is kept."""

    def send(self, frame: str) -> None:
        """Send something that must arrive in its order. Does nothing when the client is gone."""

    def play(self, turn: Invocation) -> None:
        """Play a turn after those that came before. Raises InvalidCall if too many wait."""

    def stop(self) -> None:
        """End the turn under way."""

    def cancel(self, invocation_id: str) -> None:
        """End the turn of that call, if it is under way."""

    def restart(self) -> None:
        """Forget everything that was said, and end the turn under way, whose call completes behind the next turn's.

        At any call's end apps of every release stop listening, to the turn that follows too: they would show an empty
        bubble (LiftLog's ai-chat-service-v2.ts: `connection.off('ReceiveMessage')`).
        """

    def leave(self) -> None:
        """End the connection, as the client wishes."""


TurnMethod = Callable[..., ConversationState]
Act = Callable[[Conversation], None]


class Hub:
    """The methods of one path."""

    def __init__(self, path: str, timing: Timing | None = None) -> None:
        self.path = path
        self.timing = timing or Timing()
        self._turns: dict[str, TurnMethod] = {}
        self._acts: dict[str, Act] = {}

    def turn(self, target: str) -> Callable[[TurnMethod], TurnMethod]:
        """Register a method that takes its time. It is given a Turn and a client's arguments; it returns the new state.

        A parameter with a default need not be given, and may be null. Arguments past the last one are ignored.
        """

        def register(method: TurnMethod) -> TurnMethod:
            self._turns[target] = method
            return method

        return register

    def act(self, target: str) -> Callable[[Act], Act]:
        """Register a method that happens at once."""

        def register(method: Act) -> Act:
            self._acts[target] = method
            return method

        return register

    def accept(self, call: Invocation, conversation: Conversation) -> bool:
        """Begin a call, and tell whether it is over already. Raises InvalidCall."""
        act = self._acts.get(call.target)
        method = self._turns.get(call.target)
        if act is None and method is None:
            raise InvalidCall(NO_SUCH_METHOD)
        if call.is_stream:
            raise InvalidCall(NO_STREAM)
        if act is not None:
            act(conversation)
            return True
        if method is not None:
            bind(method, call.arguments)
        conversation.play(call)
        return False

    def run(self, call: Invocation, turn: Turn) -> TurnResult:
        """Play a turn to its end. Raises ConnectionError if the client is gone."""
        method = self._turns[call.target]
        error, began = None, time.monotonic()
        try:
            state = method(turn, *bind(method, call.arguments))
        except ConnectionError:
            raise
        except Exception:  # a bug of ours must not take the conversation with it
            log.exception("turn failed", extra={"hub": self.path, "method": call.target})
            state, error = turn.state, FAULT
        log.info("turn played", extra=self._event(call, turn, time.monotonic() - began))
        registry.count("liftlog_chat_turns_total", hub=self.path, method=call.target)
        completion = None if call.invocation_id is None else protocol.completion(call.invocation_id, error)
        return TurnResult(state, completion)

    def _event(self, call: Invocation, turn: Turn, seconds: float) -> dict[str, Any]:
        fields = {"hub": self.path, "method": call.target, "duration_ms": round(seconds * 1000)}
        return fields | {"was_stopped": turn.cancelled.is_set()}


def bind(method: TurnMethod, arguments: list[Any]) -> list[Any]:
    """Return a client's arguments as the method takes them. Raises InvalidCall."""
    bound = []
    _, *parameters = inspect.signature(method).parameters.values()
    for position, parameter in enumerate(parameters):
        value = arguments[position] if position < len(arguments) else None
        if value is None and parameter.default is not parameter.empty:
            value = parameter.default
        elif not isinstance(value, parameter.annotation) or isinstance(value, bool):
            raise InvalidCall(f"Argument {position + 1} is missing or has another type.")
        bound.append(value)
    return bound


def dispatch(hub: Hub, conversation: Conversation, message: bytes) -> None:
    """Do what a message asks for. Raises ProtocolError."""
    match protocol.parse(message):
        case Invocation() as call:
            _call(hub, conversation, call)
        case Cancel(invocation_id):
            conversation.cancel(invocation_id)
        case Close():
            conversation.leave()


def _call(hub: Hub, conversation: Conversation, call: Invocation) -> None:
    error = None
    try:
        if not hub.accept(call, conversation):
            return
    except InvalidCall as invalid:
        error = str(invalid)
    if call.invocation_id is not None:
        conversation.send(protocol.completion(call.invocation_id, error))
