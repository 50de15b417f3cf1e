"""The long-polling transport: a conversation lives in the database, and any process may serve its requests.

GET polls for what was sent, POST sends, DELETE leaves. The process that takes a call plays its turn, after it has
answered the POST: clients send one after another, and Stop must get through.
"""

import logging
import threading
import time
from dataclasses import asdict
from typing import Any

from shared.data import chat_turns, chats, database
from shared.errors import ChatsFull, DatabaseUnavailable, Overloaded, UnknownConnection
from shared.signalr import protocol
from shared.signalr.hubs import MAX_WAITING, TOO_MANY, Hub, InvalidCall, Turn, dispatch
from shared.signalr.protocol import Invocation, ProtocolError, Splitter
from shared.signalr.switchboard import Player, Waiter, switchboard
from shared.signalr.tickets import Ticket

log = logging.getLogger(__name__)

LOST = "The server that played the turn was lost."
INCOMPLETE = "A message is incomplete."


class StoredConversation:
    """A conversation in the database."""

    def __init__(self, hub: Hub, ticket: Ticket) -> None:
        self._hub = hub
        self._ticket = ticket
        self._id = ticket.connection_id

    def send(self, frame: str) -> None:
        chats.send(database(), self._id, frame)

    def play(self, call: Invocation) -> None:
        begun = chat_turns.play(database(), self._id, asdict(call), MAX_WAITING)
        if begun is False:
            raise InvalidCall(TOO_MANY)
        if isinstance(begun, chat_turns.Part):
            player = self._add_player(begun)
            threading.Thread(target=self._play, args=[begun, player], name="turn", daemon=True).start()

    def stop(self) -> None:
        chat_turns.stop(database(), self._id)

    def cancel(self, invocation_id: str) -> None:
        chat_turns.stop(database(), self._id, invocation_id)

    def restart(self) -> None:
        chat_turns.restart(database(), self._id)

    def leave(self) -> None:
        chats.end(database(), self._id)

    def _add_player(self, part: chat_turns.Part) -> Player:
        player = Player(self._id, part.player, self._hub.timing.client)
        switchboard().add(player)
        return player

    def _play(self, begun: chat_turns.Part, player: Player) -> None:
        """Play a turn, and those that have come meanwhile."""
        part: chat_turns.Part | None = begun
        while part is not None:
            try:
                part = self._play_one(part, player)
            except ConnectionError:
                return
            except DatabaseUnavailable:
                log.warning("turn lost")  # the client's next poll finds that nobody plays any more
                return
            finally:
                switchboard().remove(player)
            if part is not None:
                player = self._add_player(part)

    def _play_one(self, part: chat_turns.Part, player: Player) -> chat_turns.Part | None:
        def send(argument: dict[str, Any]) -> None:
            topic = f"{part.player} {argument.get('type')}"
            try:
                is_open = chats.send(database(), self._id, protocol.receive_message(argument), topic=topic)
            except DatabaseUnavailable as error:
                raise ConnectionError("lost") from error
            if not is_open:
                raise ConnectionError("closed")

        turn = Turn(self._ticket.subscriber, part.history, send, player.cancelled)
        outcome = self._hub.run(Invocation(**part.call), turn)
        held_seconds = self._hub.timing.held
        return chat_turns.play_next(database(), self._id, part, outcome.state, outcome.completion, held_seconds)


def poll(hub: Hub, ticket: Ticket, *, has_room: bool) -> str | None:
    """Return what was sent since the last poll, waiting for it a while; None when nothing will come any more.

    The first poll opens the connection, if there is room for it, and returns at once.
    Raises UnknownConnection, ChatsFull.
    """
    try:
        begun = chats.begin_poll(database(), ticket.connection_id, may_open=ticket.may_open and has_room)
    except UnknownConnection:
        if ticket.may_open and not has_room:
            raise ChatsFull from None
        raise
    if begun.number == 1:
        return ""
    if begun.has_lost_player:
        chats.close(database(), ticket.connection_id, protocol.close(LOST, allow_reconnect=True))
    waiter = Waiter(ticket.connection_id, begun.number)
    with switchboard().connect(waiter):
        return _wait_for_news(waiter, time.monotonic() + hub.timing.poll)


def receive(hub: Hub, ticket: Ticket, packet: bytes) -> None:
    """Do what a client has sent asks for; a turn is only begun. Raises UnknownConnection, Overloaded."""
    if switchboard().has_ended:
        raise Overloaded("the process ends")
    is_greeted = chats.see_client(database(), ticket.connection_id)
    try:
        for message in _messages(packet):
            if is_greeted:
                dispatch(hub, StoredConversation(hub, ticket), message)
            else:
                is_greeted = _greet(ticket, message)
    except ProtocolError as error:
        chats.close(database(), ticket.connection_id, protocol.close(str(error)))


def leave(ticket: Ticket) -> None:
    """End the connection, as the client wishes. Raises UnknownConnection if it never was one."""
    if not chats.end(database(), ticket.connection_id):
        raise UnknownConnection


def _wait_for_news(waiter: Waiter, deadline: float) -> str | None:
    in_time = True
    while True:
        waiter.woken.clear()
        news = chats.take_news(database(), waiter.chat_id, waiter.poll)
        if news.frames or not in_time or switchboard().has_ended:
            return news.frames
        if news.is_over:
            return None
        in_time = waiter.woken.wait(deadline - time.monotonic())


def _messages(packet: bytes) -> list[bytes]:
    splitter = Splitter()
    messages = splitter.feed(packet)
    if not splitter.is_between_messages:
        raise ProtocolError(INCOMPLETE)
    return messages


def _greet(ticket: Ticket, message: bytes) -> bool:
    try:
        protocol.parse_handshake(message)
    except ProtocolError as error:
        chats.close(database(), ticket.connection_id, protocol.handshake_answer(str(error)))
        return False
    chats.greet(database(), ticket.connection_id, protocol.handshake_answer())
    return True
