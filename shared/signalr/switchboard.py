"""Tells the polls and the turns of this process what other requests, here or elsewhere, did to their chats.

One thread listens on one connection, and only while a poll waits or a turn is played. Since notifications can get lost
with a connection, it also looks at its chats once a second.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from uuid import UUID

from pg8000.exceptions import DatabaseError, InterfaceError

from shared.data import chat_turns, chats, database
from shared.data.connections import Connection
from shared.data.pool import Database
from shared.ending import at_end
from shared.errors import DatabaseUnavailable
from shared.signalr import protocol

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
SIGN_OF_LIFE_SECONDS = 5.0
LINGER_SECONDS = 5.0  # a client's next poll comes soon after the last one
_BROKEN = (DatabaseError, DatabaseUnavailable, InterfaceError, OSError)


class Waiter:
    """A poll that waits for news."""

    def __init__(self, chat_id: UUID, poll: int) -> None:
        self.chat_id = chat_id
        self.poll = poll  # its number
        self.woken = threading.Event()

    def see(self, sight: chats.Sight | None) -> None:
        """Wake up if there is something to fetch, or another poll has come."""
        if sight is None or sight.has_news or sight.poll > self.poll:
            self.woken.set()


class Player:
    """A turn that is played in this process."""

    def __init__(self, chat_id: UUID, player_id: UUID, client_seconds: float) -> None:
        self.chat_id = chat_id
        self.player_id = player_id
        self.cancelled = threading.Event()
        self._client_seconds = client_seconds

    def see(self, sight: chats.Sight | None) -> None:
        """End the turn if it was ended elsewhere, or if its client has been silent for too long."""
        if sight is None or sight.player != self.player_id or sight.seen_seconds_ago > self._client_seconds:
            self.cancelled.set()


class Switchboard:
    """All polls and turns of this process. Safe to use from many threads."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._connected: set[Waiter | Player] = set()
        self._is_listening = False
        self.has_ended = False

    @contextmanager
    def connect(self, who: Waiter | Player) -> Iterator[None]:
        """Have somebody told of their chat."""
        self.add(who)
        try:
            yield
        finally:
            self.remove(who)

    def add(self, who: Waiter | Player) -> None:
        """Begin to tell somebody of their chat."""
        with self._lock:
            self._connected.add(who)
            if not self._is_listening:
                self._is_listening = True
                threading.Thread(target=self._listen, name="switchboard", daemon=True).start()

    def remove(self, who: Waiter | Player) -> None:
        """Tell them no more."""
        with self._lock:
            self._connected.discard(who)

    def end(self) -> None:
        """Wake all polls, which bring what there is and go on elsewhere, and end the turns that are played here."""
        with self._lock:
            self.has_ended = True
            players = [who for who in self._connected if isinstance(who, Player)]
            for who in self._connected:
                if isinstance(who, Waiter):
                    who.woken.set()
        for player in players:
            player.cancelled.set()
            with suppress(DatabaseUnavailable):  # then the client finds out by itself
                chats.close(self._db, player.chat_id, protocol.close(allow_reconnect=True))

    def _listen(self) -> None:
        """Listen until nobody has been there for a while."""
        while not self._may_leave(0):
            try:
                connection = self._db.connection_apart()
                try:
                    self._hold(connection)
                finally:
                    connection.close()
            except _BROKEN:
                log.warning("chats: no connection to listen on")
                threading.Event().wait(LOOK_SECONDS)
            else:
                return

    def _hold(self, connection: Connection) -> None:
        """Pass on what happens. Raises what pg8000 raises."""
        chats.listen(connection)
        look_at = sign_at = 0.0
        used_at = time.monotonic()
        while not self._may_leave(used_at + LINGER_SECONDS):
            now = time.monotonic()
            everybody = self._everybody()
            if everybody:
                used_at = now
            if now >= look_at:
                self._look(connection, everybody)
                look_at = now + LOOK_SECONDS
            if now >= sign_at:
                self._give_sign_of_life(connection, everybody)
                sign_at = now + SIGN_OF_LIFE_SECONDS
            self._pass_on(connection, connection.notifications(LOOK_SECONDS))

    def _may_leave(self, from_then_on: float) -> bool:
        """Tell whether nobody is connected any more. Then the next one to connect starts another thread."""
        with self._lock:
            if self._connected or time.monotonic() < from_then_on:
                return False
            self._is_listening = False
            return True

    def _everybody(self) -> list[Waiter | Player]:
        with self._lock:
            return list(self._connected)

    def _look(self, connection: Connection, whose: list[Waiter | Player]) -> None:
        """Look at chats; who connects meanwhile is left out, since the answer may be older."""
        if whose:
            sights = {sight.chat_id: sight for sight in chats.look(connection, {who.chat_id for who in whose})}
            for who in whose:
                who.see(sights.get(who.chat_id))

    def _give_sign_of_life(self, connection: Connection, whose: list[Waiter | Player]) -> None:
        players = [who.player_id for who in whose if isinstance(who, Player)]
        if players:
            chat_turns.keep_playing(connection, players)

    def _pass_on(self, connection: Connection, notifications: list[tuple[str, str]]) -> None:
        news = {payload for channel, payload in notifications if channel == chats.NEWS}
        orders = {payload for channel, payload in notifications if channel == chats.ORDERS}
        everybody = self._everybody()
        for who in everybody:
            if isinstance(who, Waiter) and str(who.chat_id) in news:
                who.woken.set()
        self._look(connection, [who for who in everybody if isinstance(who, Player) and str(who.chat_id) in orders])


@cache
def switchboard() -> Switchboard:
    """Return this process's switchboard; its thread and its connection exist only while they are needed."""
    board = Switchboard(database())
    at_end(board.end)
    return board
