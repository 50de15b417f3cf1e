"""Table `user_events`: what a user's followers read, one row per user and event id, invisible from its expiry on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from shared.credentials import Credentials
from shared.data import authenticated, quotas
from shared.data.pool import Database
from shared.settings.quotas import quota_settings

ENTRY_EVENTS = 256
ENTRY_BYTES = 2 * 1024 * 1024  # of an answer's JSON, per user asked for
ANSWER_BYTES = 24 * 1024 * 1024  # shared evenly; a function may answer 32 MB
EVENT_OVERHEAD_BYTES = 250  # an event's JSON beside its ciphertext: names, ids, instants, IV


@dataclass(frozen=True, slots=True)
class Event:
    """One event as its author publishes it; the server cannot read it."""

    event_id: UUID
    ciphertext: bytes
    iv: bytes
    expiry: datetime  # UTC; the first instant at which the event is gone


@dataclass(frozen=True, slots=True)
class FeedRequest:
    """What a follower asks of one user."""

    user_id: UUID
    follow_secret: str  # as presented: any text
    since: datetime  # UTC, exclusive


@dataclass(frozen=True, slots=True)
class Feed:
    """What followers get."""

    events_json: str  # a JSON array, oldest first
    invalid_secrets: list[str]  # each once, in the order of the requests; none that is valid for another request


def put(db: Database, credentials: Credentials, event: Event) -> None:
    """Publish an event, or replace the one of that id, with a new timestamp. Safe to repeat.

    One user's timestamps grow in commit order: the UPDATE claims the next one while it holds the user's row.
    Raises UnknownUser, WrongPassword, QuotaExceeded.
    """
    quota = quota_settings()
    stored = authenticated.run(
        db,
        """
        WITH author AS (
            UPDATE users SET
                last_accessed = now(),
                verifier = coalesce(verifier, :upgrade),
                last_event_at = greatest(clock_timestamp(), last_event_at + interval '1 microsecond'),
                quota_day = current_date,
                quota_writes = CASE WHEN quota_day = current_date THEN quota_writes ELSE 0 END + 1,
                quota_bytes = CASE WHEN quota_day = current_date THEN quota_bytes ELSE 0 END + :bytes
            WHERE id = :user_id AND (verifier = :verifier OR verifier IS NULL AND hashed_password = :legacy_hash)
            RETURNING id, last_event_at, quota_writes, quota_bytes
        ), stored AS (
            INSERT INTO user_events (user_id, id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv)
            SELECT id, :event_id, last_event_at, last_event_at, least(:expiry, now() + interval '400 days'),
                   :ciphertext, :iv
            FROM author
            WHERE quota_bytes <= :bytes_per_day
                AND (quota_writes <= :free_writes AND quota_bytes <= :free_bytes OR (
                    SELECT count(*) < :most_events
                        AND coalesce(sum(octet_length(encrypted_event)), 0) + :bytes <= :most_bytes
                    FROM user_events WHERE user_id = :user_id AND id <> :event_id))
            ON CONFLICT (user_id, id) DO UPDATE SET
                timestamp = excluded.timestamp, last_accessed = excluded.last_accessed, expiry = excluded.expiry,
                encrypted_event = excluded.encrypted_event, encryption_iv = excluded.encryption_iv
            RETURNING true
        )
        SELECT author.id IS NOT NULL,
               coalesce(verifier = :verifier, hashed_password = :legacy_hash),
               CASE WHEN verifier IS NULL THEN salt END,
               EXISTS (SELECT FROM stored)
        FROM users LEFT JOIN author ON author.id = users.id
        WHERE users.id = :user_id
        """,
        credentials,
        repeatable=True,
        event_id=event.event_id,
        expiry=event.expiry,
        ciphertext=event.ciphertext,
        iv=event.iv,
        bytes=len(event.ciphertext),
        most_events=quota.events,
        most_bytes=quota.event_bytes,
        bytes_per_day=quota.bytes_per_day,
        free_writes=quotas.FREE_WRITES,
        free_bytes=quotas.FREE_BYTES,
    )
    quotas.refuse_unless_stored(stored, "events")


def list_feed(db: Database, requests: Sequence[FeedRequest]) -> Feed:
    """Return the visible events of all users asked for with a valid secret, by timestamp; one statement for all.

    Each request is judged alone; a user's events come once, from the earliest `since` of the valid requests on. A
    `since` that is no event's timestamp is a phone's clock, perhaps a wrong one: then events of the hour before it are
    repeated, from the newest back, as far as the budgets leave room (docs/adr/0006).

    Per user at most 256 events or 2 MiB of JSON, and 24 MiB in all, shared evenly; the oldest after `since` come first,
    at least one (and whatever has the same timestamp as the last), so that the next poll goes on where this one
    stopped. Where the first ones alone pass 24 MiB, a different choice of users gets theirs each time.
    """
    row = db.row(
        """
        WITH request AS (
            -- not EXISTS: PostgreSQL would rather hash all secrets there are than look up 200 (3.6 ms for 0.2)
            SELECT user_id, since, number, (
                SELECT true FROM user_follow_secrets AS known
                WHERE known.value = secret AND known.user_id = asked.user_id LIMIT 1) IS NOT NULL AS valid
            FROM json_to_recordset(:asked) AS asked (number int, user_id uuid, secret text, since timestamptz)
        ), author AS (
            SELECT user_id, min(since) AS since, random() AS lot,
                   least(CAST(:entry_bytes AS bigint), :answer_bytes / count(*) OVER ()) AS budget_bytes,
                   (SELECT true FROM user_events AS own
                    WHERE own.user_id = request.user_id AND timestamp = min(since) LIMIT 1) IS NULL AS is_foreign
            FROM request WHERE valid GROUP BY user_id
        ), found AS (
            SELECT author.user_id, next.id, next.timestamp, next.expiry, next.encrypted_event, next.encryption_iv,
                   author.lot, author.budget_bytes, next.bytes_so_far
            FROM author CROSS JOIN LATERAL (
                SELECT id, timestamp, expiry, encrypted_event, encryption_iv, is_repeated, bytes,
                       rank() OVER nearest AS place, sum(bytes) OVER nearest AS bytes_so_far,
                       min(timestamp) FILTER (WHERE NOT is_repeated) OVER () AS first
                FROM (SELECT *, octet_length(encrypted_event) * 4 / 3 + :overhead_bytes AS bytes,
                             greatest(timestamp - author.since, author.since - timestamp) AS distance
                      FROM ((SELECT false AS is_repeated, id, timestamp, expiry, encrypted_event, encryption_iv
                             FROM user_events
                             WHERE user_events.user_id = author.user_id AND timestamp > author.since
                                 AND (expiry > now()) IS TRUE  -- not by the index on it, which is for the cleanup
                             ORDER BY timestamp FETCH FIRST :entry_events ROWS WITH TIES)
                            UNION ALL
                            (SELECT true, id, timestamp, expiry, encrypted_event, encryption_iv FROM user_events
                             WHERE author.is_foreign AND user_events.user_id = author.user_id
                                 AND timestamp > author.since - interval '1 hour' AND timestamp <= author.since
                                 AND (expiry > now()) IS TRUE
                             ORDER BY timestamp DESC LIMIT :entry_events)) AS near) AS measured
                WINDOW nearest AS (ORDER BY is_repeated, distance RANGE UNBOUNDED PRECEDING)
            ) AS next
            WHERE next.bytes_so_far <= author.budget_bytes AND (next.place <= :entry_events OR NOT next.is_repeated)
                OR next.timestamp = next.first
        ), larger AS (
            -- users whose first event is larger than their share: as many as their shares together have room for
            SELECT user_id, sum(max(bytes_so_far)) OVER by_lot AS bytes_so_far, rank() OVER by_lot AS place,
                   sum(max(budget_bytes)) OVER () AS budget_bytes
            FROM found WHERE bytes_so_far > budget_bytes GROUP BY user_id, lot WINDOW by_lot AS (ORDER BY lot)
        )
        SELECT (SELECT coalesce(json_agg(json_build_object(
                    'userId', user_id, 'eventId', id,
                    'timestamp', to_char(timestamp, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                    'encryptedEventPayload', replace(encode(encrypted_event, 'base64'), E'\\n', ''),
                    'encryptedEventIV', replace(encode(encryption_iv, 'base64'), E'\\n', ''),
                    'expiry', to_char(expiry, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')) ORDER BY timestamp, id), '[]')::text
                FROM found WHERE bytes_so_far <= budget_bytes
                    OR user_id IN (SELECT user_id FROM larger WHERE bytes_so_far <= budget_bytes OR place = 1)),
               (SELECT array_agg(number) FROM request WHERE NOT valid)
        """,
        repeatable=True,
        asked=_as_json(requests),
        entry_events=ENTRY_EVENTS,
        entry_bytes=ENTRY_BYTES,
        answer_bytes=ANSWER_BYTES,
        overhead_bytes=EVENT_OVERHEAD_BYTES,
    )
    events_json, invalid_indexes = row or ("[]", None)
    invalid_indexes = set(invalid_indexes or ())
    valid = {request.follow_secret for index, request in enumerate(requests) if index not in invalid_indexes}
    invalid = dict.fromkeys(request.follow_secret for request in requests if request.follow_secret not in valid)
    return Feed(events_json, list(invalid))


def _as_json(requests: Sequence[FeedRequest]) -> str:
    """Return the requests as the JSON that the statement reads: 1.0 ms for 200 where pg8000's arrays take 5.4."""
    return json.dumps(
        [
            {
                "number": number,
                "user_id": str(request.user_id),
                # no text in the database has a NUL, so such a secret is like none
                "secret": None if "\0" in request.follow_secret else request.follow_secret,
                "since": request.since.isoformat(),
            }
            for number, request in enumerate(requests)
        ]
    )


def count_expired(db: Database, retention: timedelta) -> int:
    """Return how many events have expired and were stored at least `retention` ago."""
    return db.count(
        """
        SELECT count(*) FROM user_events WHERE expiry <= now() AND timestamp <= now() - CAST(:retention AS interval)
        """,
        retention=retention,
    )


def delete_expired(db: Database, retention: timedelta, limit: int) -> int:
    """Delete events that `count_expired` counts, the longest expired first, and return how many. Waits for nobody."""
    return len(
        db.rows(
            """
            DELETE FROM user_events WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM user_events
                WHERE expiry <= now() AND timestamp <= now() - CAST(:retention AS interval)
                ORDER BY expiry LIMIT :limit FOR UPDATE SKIP LOCKED))
                -- said again: in a table of partitions a ctid names a row of each
                AND (expiry <= now()) IS TRUE AND (timestamp <= now() - CAST(:retention AS interval)) IS TRUE
            RETURNING true
            """,
            retention=retention,
            limit=limit,
        )
    )
