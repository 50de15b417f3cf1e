"""Tables `chats` and `chat_messages`: conversations over long polling, whose requests may each reach another instance.

A chat is open, then closing (what was sent is still fetched), then ended (its row stays for a while, so that its ticket
opens nothing again). One turn at a time is played in it, by whoever took the call; `player` is that turn's id. Calls
that come meanwhile wait in the row (`shared.data.chat_turns`).

NOTIFY carries a chat's id and nothing else: on `chat_news` when there is something to fetch, on `chat_orders` when
there is something to obey for the player.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from shared.data.connections import Connection
from shared.data.pool import Database
from shared.errors import UnknownConnection

NEWS, ORDERS = "chat_news", "chat_orders"
PLAYER_SILENCE_SECONDS = 30  # of an instance that died in the middle of a turn
STALE_SECONDS = 3600


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
            DELETE FROM chat_messages WHERE chat_id = :chat_id AND EXISTS (SELECT FROM chat WHERE is_newest)
                AND coalesce(held_until <= clock_timestamp(), true)
            RETURNING seq, frame
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
            DELETE FROM chat_messages WHERE chat_id = :chat_id AND topic = :topic AND EXISTS (SELECT FROM chat)
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
            DELETE FROM chat_messages WHERE chat_id = :chat_id AND EXISTS (SELECT FROM chat)
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
            DELETE FROM chats WHERE id = ANY(ARRAY(
                SELECT id FROM chats WHERE seen_at < clock_timestamp() - CAST(:seconds AS int) * interval '1 second'
                ORDER BY seen_at LIMIT :limit FOR UPDATE SKIP LOCKED))
            RETURNING id
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
        SELECT id, poll, state <> 'open' OR EXISTS (
                SELECT FROM chat_messages
                WHERE chat_id = chats.id AND coalesce(held_until <= clock_timestamp(), true)
            ),
            CASE WHEN NOT is_cancelled THEN player END, CAST(EXTRACT(epoch FROM clock_timestamp() - seen_at) AS float)
        FROM chats WHERE id = ANY(:chat_ids)
        """,
        {"chat_ids": list(chat_ids)},
    )
    return [Sight(*row) for row in rows]
