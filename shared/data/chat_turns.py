"""Turns of the chats in table `chats` (`shared.data.chats`): who plays, what waits, what was said."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from shared.data.connections import Connection
from shared.data.pool import Database

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    """A turn that may be played."""

    player: UUID  # for this turn, whoever plays it
    call: Json
    history: list[Json]
    restarts: int  # before it; the history counts only as long as that stays so


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


def play_next(
    db: Database, chat_id: UUID, played: Part, history: list[Json], frame: str | None, held_seconds: float
) -> Part | None:
    """End a turn, by which the chat has a new history, and return the next one if one waits.

    The frame that tells the client is left in the same instant. After a restart it is held back, until the next turn
    ends and at most so many seconds, and comes behind that one's. Nothing happens in a chat that was closed meanwhile.
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
        ), released AS (
            DELETE FROM chat_messages
            WHERE chat_id = :chat_id AND held_until IS NOT NULL AND EXISTS (SELECT FROM chat WHERE restarts = :restarts)
            RETURNING seq, frame
        ), stored AS (
            INSERT INTO chat_messages (chat_id, frame, held_until)
            SELECT CAST(:chat_id AS uuid), frame, held_until FROM (
                SELECT 0 AS place, CAST(:frame AS text) AS frame, CASE WHEN restarts <> :restarts THEN
                    clock_timestamp() + CAST(:held_seconds AS float) * interval '1 second' END AS held_until
                FROM chat WHERE CAST(:frame AS text) IS NOT NULL
                UNION ALL SELECT seq, frame, NULL FROM released
            ) AS told
            ORDER BY place
        )
        SELECT playing, history, restarts, pg_notify('chat_news', CAST(id AS text)) FROM chat
        """,
        chat_id=chat_id,
        player=played.player,
        next_player=next_player,
        restarts=played.restarts,
        history=json.dumps(history),
        frame=frame,
        held_seconds=held_seconds,
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


def keep_playing(connection: Connection, players: Collection[UUID]) -> None:
    """Note a sign of life of players. Raises what pg8000 raises."""
    connection.run(
        "UPDATE chats SET player_seen_at = clock_timestamp() WHERE player = ANY(:players)",
        {"players": list(players)},
    )
