"""The WebSocket transport: a connection's conversation lives in the process that holds its socket.

The thread of the request reads; a turn is played in a second one, which exists only meanwhile.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from functools import cache

from shared.ending import at_end
from shared.metric_writer import writer
from shared.signalr import protocol
from shared.signalr.hubs import MAX_WAITING, TOO_MANY, ConversationState, Hub, InvalidCall, Turn, dispatch
from shared.signalr.protocol import Invocation, ProtocolError, Splitter
from shared.signalr.websocket import WebSocket

NO_HANDSHAKE = "Handshake was canceled."
SILENCE = "The client has been silent for too long."


@dataclass(frozen=True, slots=True)
class Playing:
    """The turn under way."""

    call: Invocation
    state: ConversationState
    cancelled: threading.Event = field(default_factory=threading.Event)
    forgotten: threading.Event = field(default_factory=threading.Event)  # a restart has ended it


class SocketConversation:
    """A conversation in memory, with a socket at its end."""

    def __init__(self, hub: Hub, subscriber: str, websocket: WebSocket) -> None:
        self._hub = hub
        self._subscriber = subscriber
        self._websocket = websocket
        self._lock = threading.Lock()
        self._state: ConversationState = []
        self._playing: Playing | None = None
        self._waiting: deque[Invocation] = deque()
        self._held: list[str] = []  # completions of turns that a restart has ended
        self._holding: threading.Timer | None = None
        self.has_ended = False

    def send(self, frame: str) -> None:
        try:
            self._websocket.send(frame)
        except ConnectionError:
            self.hang_up()

    def play(self, call: Invocation) -> None:
        with self._lock:
            if self.has_ended:
                return
            if self._playing is not None:
                if len(self._waiting) >= MAX_WAITING:
                    raise InvalidCall(TOO_MANY)
                self._waiting.append(call)
                return
            self._playing = Playing(call, self._state)
        threading.Thread(target=self._play, args=[self._playing], name="turn", daemon=True).start()

    def stop(self) -> None:
        with self._lock:
            self._end_turn()

    def cancel(self, invocation_id: str) -> None:
        with self._lock:
            if self._playing is not None and self._playing.call.invocation_id == invocation_id:
                self._end_turn()

    def restart(self) -> None:
        with self._lock:
            self._state = []
            self._end_turn()
            if self._playing is not None:
                self._playing.forgotten.set()

    def leave(self) -> None:
        with self._lock:
            self.has_ended = True
            self._waiting.clear()
            self._take_held()
            self._end_turn()

    def hang_up(self) -> None:
        """End the connection from a thread that does not read it."""
        self.leave()
        self._websocket.wake()

    def _end_turn(self) -> None:
        if self._playing is not None:
            self._playing.cancelled.set()

    def _play(self, playing: Playing | None) -> None:
        """Play a turn, and those that have come meanwhile."""
        while playing is not None:
            turn = Turn(self._subscriber, playing.state, self._send_to_receiver, playing.cancelled)
            try:
                outcome = self._hub.run(playing.call, turn)
            except ConnectionError:
                self.hang_up()
                return
            for frame in self._completions(playing, [] if outcome.completion is None else [outcome.completion]):
                self.send(frame)
            playing = self._next(playing, outcome.state)
            writer().write_if_due()  # an instance that holds nothing but sockets has no requests that would do it

    def _next(self, played: Playing, state: ConversationState) -> Playing | None:
        with self._lock:
            if self._state is played.state:  # no restart has come between
                self._state = state
            call = self._waiting.popleft() if self._waiting else None
            self._playing = None if call is None else Playing(call, self._state)
            return self._playing

    def _completions(self, played: Playing, frames: list[str]) -> list[str]:
        """Return what tells the client that a turn has ended, and those before it; nothing yet after a restart."""
        with self._lock:
            if not played.forgotten.is_set():
                return frames + self._take_held()
            self._held += frames
            if self._holding is None and not self.has_ended:
                self._holding = threading.Timer(self._hub.timing.held, self._release)
                self._holding.daemon = True
                self._holding.start()
            return []

    def _release(self) -> None:
        with self._lock:
            frames = self._take_held()
        for frame in frames:
            self.send(frame)

    def _take_held(self) -> list[str]:
        if self._holding is not None:
            self._holding.cancel()
            self._holding = None
        frames, self._held = self._held, []
        return frames

    def _send_to_receiver(self, argument: dict[str, object]) -> None:
        self._websocket.send(protocol.receive_message(argument))


class Sockets:
    """The sockets that this process holds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[SocketConversation] = set()
        self._have_ended = False

    def serve(self, hub: Hub, subscriber: str, websocket: WebSocket) -> None:
        """Hold a conversation until it ends. Raises nothing that the client can cause."""
        conversation = SocketConversation(hub, subscriber, websocket)
        with self._lock:
            self._open.add(conversation)
        try:
            if not self._have_ended:
                _Reader(hub, websocket, conversation).read()
        except ProtocolError as error:
            conversation.send(protocol.close(str(error)))
        except ConnectionError:
            pass  # the usual end
        finally:
            with self._lock:
                self._open.remove(conversation)
            if self._have_ended:
                conversation.send(protocol.close(allow_reconnect=True))
            conversation.leave()
            websocket.close()

    def end(self) -> None:
        """End all conversations, and invite their clients to connect again, which leads them to another process."""
        with self._lock:
            self._have_ended = True
            for conversation in self._open:
                conversation.hang_up()


@cache
def sockets() -> Sockets:
    """Return this process's sockets."""
    held = Sockets()
    at_end(held.end)
    return held


class _Reader:
    """Reads what the client sends, and watches the clocks."""

    def __init__(self, hub: Hub, websocket: WebSocket, conversation: SocketConversation) -> None:
        self._hub = hub
        self._websocket = websocket
        self._conversation = conversation
        self._splitter = Splitter()
        self._is_greeted = False

    def read(self) -> None:
        """Return when the conversation is over. Raises ProtocolError, ConnectionError."""
        timing = self._hub.timing
        silent_at = time.monotonic() + timing.handshake
        while not self._conversation.has_ended:
            now = time.monotonic()
            if now >= silent_at:
                self._conversation.send(self._farewell())
                return
            ping_at = self._websocket.sent_at + timing.ping if self._is_greeted else silent_at
            if now >= ping_at:
                self._websocket.send(protocol.PING)
            elif self._take_in(self._websocket.receive(min(silent_at, ping_at) - now)):
                silent_at = time.monotonic() + timing.client

    def _take_in(self, pieces: list[bytes]) -> bool:
        """Do what has come asks for, and tell whether it was a whole message."""
        messages = [message for piece in pieces for message in self._splitter.feed(piece)]
        for message in messages:
            if self._is_greeted:
                dispatch(self._hub, self._conversation, message)
            else:
                self._greet(message)
        return bool(messages)

    def _greet(self, message: bytes) -> None:
        try:
            protocol.parse_handshake(message)
        except ProtocolError as error:
            self._conversation.send(protocol.handshake_answer(str(error)))
            raise ConnectionError("no handshake") from error
        self._conversation.send(protocol.handshake_answer())
        self._is_greeted = True

    def _farewell(self) -> str:
        if not self._is_greeted:
            return protocol.handshake_answer(NO_HANDSHAKE)
        return protocol.close(SILENCE, allow_reconnect=True)
