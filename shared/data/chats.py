"""Tables `chats` and `chat_messages`: conversations over long polling, whose requests may each reach another instance.

A chat is open, then closing (what was sent is still fetched), then ended (its row stays for a while, so that its ticket
opens nothing again). One turn at a time is played in it, by whoever took the call; `player` is that turn's id. Calls
that come meanwhile wait in the row.

NOTIFY carries a chat's id and nothing else: on `chat_news` when there is something to fetch, on `chat_orders` when
there is something to obey for the player.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from shared.data.connections import Connection
from shared.data.pool import Database
from shared.errors import UnknownConnection

NEWS, ORDERS = "chat_news", "chat_orders"
PLAYER_SILENCE_SECONDS = 30  # of an instance that died in the middle of a turn
STALE_SECONDS = 3600

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Poll:
    """A poll that has begun."""

    number: int  # the chat's first is 1; each ends those before it
    has_lost_player: bool  # the instance that plays a turn gives no sign of life


@dataclass(frozen=True, slots=True)
class News:
    """What a poll finds."""

    frames: str  # in the order in which they were sent; they are its own now
    is_over: bool  # nothing will come any more


@dataclass(frozen=True, slots=True)
class Part:
    """A turn that may be played."""

    player: UUID  # for this turn, whoever plays it
    call: Json
    history: list[Json]
    restarts: int  # before it; the history counts only as long as that stays so


@dataclass(frozen=True, slots=True)
class Sight:
    """How a chat looks from outside."""

    chat_id: UUID
    poll: int
    has_news: bool
    player: UUID | None  # None also if the turn under way is to end
    seen_seconds_ago: float


def begin_poll(db: Database, chat_id: UUID, *, may_open: bool) -> Poll:
    """Begin a poll, which ends the one before it. The first one opens the chat, if it may. Raises UnknownConnection."""
    row = db.row(
        """
        WITH begun AS (
            UPDATE chats SET poll = poll + 1, seen_at = clock_timestamp() WHERE id = :chat_id AND state <> 'ended'
            RETURNING poll, player IS NOT NULL
                AND player_seen_at < clock_timestamp() - CAST(:silence AS int) * interval '1 second' AS has_lost_player
        ), opened AS (
            INSERT INTO chats (id, seen_at) SELECT :chat_id, clock_timestamp()
            WHERE :may_open AND NOT EXISTS (SELECT FROM chats WHERE id = :chat_id)
            ON CONFLICT (id) DO NOTHING
            RETURNING poll
        )
        SELECT poll, has_lost_player, pg_notify('chat_news', CAST(:chat_id AS text)) FROM begun
        UNION ALL SELECT poll, false, NULL FROM opened
        """,
        chat_id=chat_id,
        may_open=may_open,
        silence=PLAYER_SILENCE_SECONDS,
    )
    if row is None:
        raise UnknownConnection
    return Poll(row[0], row[1])


def take_news(db: Database, chat_id: UUID, poll: int) -> News:
    """Take what was sent since the last poll. It is the only copy. Never repeated when the connection breaks.

    The lock keeps a poll that has just been superseded from taking what it can bring nobody.
    """
    row = db.row(
        """
        WITH chat AS (
            SELECT id, state <> 'open' OR poll <> :poll AS is_over, poll = :poll AS is_newest FROM chats
            WHERE id = :chat_id FOR NO KEY UPDATE
        ), taken AS (
            DELETE FROM chat_messages USING chat WHERE chat_id = chat.id AND is_newest RETURNING seq, frame
        )
        SELECT (SELECT string_agg(frame, '' ORDER BY seq) FROM taken), is_over FROM chat
        """,
        chat_id=chat_id,
        poll=poll,
    )
    return News("", is_over=True) if row is None else News(row[0] or "", row[1])


def see_client(db: Database, chat_id: UUID) -> bool:
    """Note a sign of life, and tell whether the chat has had its handshake. Raises UnknownConnection."""
    row = db.row(
        "UPDATE chats SET seen_at = clock_timestamp() WHERE id = :chat_id AND state = 'open' RETURNING is_greeted",
        repeatable=True,
        chat_id=chat_id,
    )
    if row is None:
        raise UnknownConnection
    return bool(row[0])


def greet(db: Database, chat_id: UUID, frame: str) -> None:
    """Note that the chat has had its handshake, and leave the answer to it."""
    db.rows(
        """
        WITH chat AS (
            UPDATE chats SET is_greeted = true WHERE id = :chat_id AND state = 'open' RETURNING id
        ), stored AS (
            INSERT INTO chat_messages (chat_id, frame) SELECT id, :frame FROM chat
        )
        SELECT pg_notify('chat_news', CAST(id AS text)) FROM chat
        """,
        chat_id=chat_id,
        frame=frame,
    )


def send(db: Database, chat_id: UUID, frame: str, *, topic: str | None = None) -> bool:
    """Leave a frame for the next poll, and tell whether the chat is still open.

    It takes the place of an earlier one on the same topic that nobody has fetched yet: they grow, and say it all again.
    """
    row = db.row(
        """
        WITH chat AS (
            SELECT id FROM chats WHERE id = :chat_id AND state = 'open' FOR KEY SHARE
        ), outdated AS (
            DELETE FROM chat_messages USING chat WHERE chat_id = chat.id AND topic = :topic
        ), stored AS (
            INSERT INTO chat_messages (chat_id, topic, frame) SELECT id, :topic, :frame FROM chat
        )
        SELECT pg_notify('chat_news', CAST(id AS text)) FROM chat
        """,
        chat_id=chat_id,
        topic=topic,
        frame=frame,
    )
    return row is not None


def play(db: Database, chat_id: UUID, call: Json, max_waiting: int) -> Part | bool:
    """Become the player of a chat that has none, and return the turn to begin; else leave the call to the player.

    Then the answer tells whether the call waits now: too many may.
    """
    player = uuid4()
    row = db.row(
        """
        UPDATE chats SET
            waiting = CASE WHEN player IS NULL THEN waiting ELSE array_append(waiting, CAST(:call AS json)) END,
            playing = CASE WHEN player IS NULL THEN CAST(:call AS json) ELSE playing END,
            player_seen_at = CASE WHEN player IS NULL THEN clock_timestamp() ELSE player_seen_at END,
            player = coalesce(player, :player)
        WHERE id = :chat_id AND state = 'open' AND cardinality(waiting) < :max_waiting
        RETURNING player = :player, history, restarts
        """,
        chat_id=chat_id,
        player=player,
        call=json.dumps(call),
        max_waiting=max_waiting,
    )
    if row is None or not row[0]:
        return row is not None
    return Part(player, call, row[1], row[2])


def play_next(db: Database, chat_id: UUID, played: Part, history: list[Json], frame: str | None) -> Part | None:
    """End a turn, by which the chat has a new history, and return the next one if one waits.

    The frame that tells the client is left in the same instant. Nothing happens in a chat that was closed meanwhile.
    """
    next_player = uuid4()
    row = db.row(
        """
        WITH chat AS (
            UPDATE chats SET
                history = CASE WHEN restarts = :restarts THEN CAST(:history AS json) ELSE history END,
                playing = waiting[1],
                waiting = ARRAY(SELECT call FROM unnest(waiting) WITH ORDINALITY AS line(call, place) WHERE place > 1
                                ORDER BY place),
                is_cancelled = false,
                player_seen_at = clock_timestamp(),
                player = CASE WHEN cardinality(waiting) > 0 THEN CAST(:next_player AS uuid) END
            WHERE id = :chat_id AND player = :player AND state = 'open'
            RETURNING id, playing, history, restarts
        ), stored AS (
            INSERT INTO chat_messages (chat_id, frame)
            SELECT id, :frame FROM chat WHERE CAST(:frame AS text) IS NOT NULL
        )
        SELECT playing, history, restarts, pg_notify('chat_news', CAST(id AS text)) FROM chat
        """,
        chat_id=chat_id,
        player=played.player,
        next_player=next_player,
        restarts=played.restarts,
        history=json.dumps(history),
        frame=frame,
    )
    return None if row is None or row[0] is None else Part(next_player, row[0], row[1], row[2])


def stop(db: Database, chat_id: UUID, invocation_id: str | None = None) -> None:
    """Have the turn under way end; if an id is given, only the turn of that call."""
    db.rows(
        """
        WITH chat AS (
            UPDATE chats SET is_cancelled = true
            WHERE id = :chat_id AND player IS NOT NULL
                AND coalesce(playing ->> 'invocation_id' = :invocation_id, CAST(:invocation_id AS text) IS NULL)
            RETURNING id
        )
        SELECT pg_notify('chat_orders', CAST(id AS text)) FROM chat
        """,
        repeatable=True,
        chat_id=chat_id,
        invocation_id=invocation_id,
    )


def restart(db: Database, chat_id: UUID) -> None:
    """Forget what was said, and have the turn under way end."""
    db.rows(
        """
        WITH chat AS (
            UPDATE chats SET history = '[]', restarts = restarts + 1, is_cancelled = player IS NOT NULL
            WHERE id = :chat_id AND state = 'open'
            RETURNING id
        )
        SELECT pg_notify('chat_orders', CAST(id AS text)) FROM chat
        """,
        repeatable=True,
        chat_id=chat_id,
    )


def close(db: Database, chat_id: UUID, frame: str) -> None:
    """Forget everything of a chat but what its client has not fetched yet, and leave a last frame."""
    db.rows(
        """
        WITH chat AS (
            UPDATE chats SET state = 'closing', history = '[]', playing = NULL, waiting = '{}', player = NULL
            WHERE id = :chat_id AND state = 'open'
            RETURNING id
        ), stored AS (
            INSERT INTO chat_messages (chat_id, frame) SELECT id, :frame FROM chat
        )
        SELECT pg_notify('chat_news', CAST(id AS text)), pg_notify('chat_orders', CAST(id AS text)) FROM chat
        """,
        repeatable=True,
        chat_id=chat_id,
        frame=frame,
    )


def end(db: Database, chat_id: UUID) -> bool:
    """Forget everything of a chat, and tell whether there is one. Its row stays: its ticket opens nothing again."""
    row = db.row(
        """
        WITH chat AS (
            UPDATE chats SET state = 'ended', history = '[]', playing = NULL, waiting = '{}', player = NULL
            WHERE id = :chat_id
            RETURNING id
        ), forgotten AS (
            DELETE FROM chat_messages USING chat WHERE chat_id = chat.id
        )
        SELECT pg_notify('chat_news', CAST(id AS text)), pg_notify('chat_orders', CAST(id AS text)) FROM chat
        """,
        repeatable=True,
        chat_id=chat_id,
    )
    return row is not None


def count_stale(db: Database) -> int:
    """Return how many chats nobody has polled for an hour."""
    return db.count(
        "SELECT count(*) FROM chats WHERE seen_at < clock_timestamp() - CAST(:seconds AS int) * interval '1 second'",
        seconds=STALE_SECONDS,
    )


def delete_stale(db: Database, limit: int) -> int:
    """Delete chats that nobody has polled for an hour, at most so many, and return how many. Safe to repeat."""
    return len(
        db.rows(
            """
            WITH stale AS (
                SELECT id FROM chats WHERE seen_at < clock_timestamp() - CAST(:seconds AS int) * interval '1 second'
                ORDER BY seen_at LIMIT :limit FOR UPDATE SKIP LOCKED
            )
            DELETE FROM chats USING stale WHERE chats.id = stale.id RETURNING chats.id
            """,
            seconds=STALE_SECONDS,
            limit=limit,
        )
    )


def listen(connection: Connection) -> None:
    """Have a connection notified of every chat. Raises what pg8000 raises."""
    connection.run(f"LISTEN {NEWS}", {})
    connection.run(f"LISTEN {ORDERS}", {})


def look(connection: Connection, chat_ids: Collection[UUID]) -> list[Sight]:
    """Return how these chats look; those that do not exist are left out. Raises what pg8000 raises."""
    rows = connection.run(
        """
        SELECT id, poll, state <> 'open' OR EXISTS (SELECT FROM chat_messages WHERE chat_id = chats.id),
            CASE WHEN NOT is_cancelled THEN player END, CAST(EXTRACT(epoch FROM clock_timestamp() - seen_at) AS float)
        FROM chats WHERE id = ANY(:chat_ids)
        """,
        {"chat_ids": list(chat_ids)},
    )
    return [Sight(*row) for row in rows]


def keep_playing(connection: Connection, players: Collection[UUID]) -> None:
    """Note a sign of life of players. Raises what pg8000 raises."""
    connection.run(
        "UPDATE chats SET player_seen_at = clock_timestamp() WHERE player = ANY(:players)",
        {"players": list(players)},
    )
