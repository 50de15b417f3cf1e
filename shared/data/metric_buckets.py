"""Table `metric_buckets`: what each instance counted, one row per minute and instance; older rows are sums of an hour.

Sums of all instances are right whoever is asked. Rows of an instance that was killed stay.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from shared.data.pool import Database
from shared.metrics import Bucket

CONNECTIONS = "liftlog_database_connections"  # of all clients of this database, as the database counts them
FOLDED = UUID(int=0)  # in place of an instance: a sum of all of them


@dataclass(frozen=True, slots=True)
class Step:
    """What all instances counted in a stretch of time."""

    start: datetime  # UTC
    counts: dict[str, float]
    gauges: dict[str, float]  # the greatest of any instance
    instances: int


def put(db: Database, instance: UUID, buckets: Sequence[Bucket]) -> None:
    """Write an instance's minutes; one that was written before is replaced. Safe to repeat."""
    db.rows(
        """
        INSERT INTO metric_buckets (start, instance, counts, gauges)
        SELECT to_timestamp(minute), :instance, counts, gauges || jsonb_build_object(
            CAST(:connections AS text),
            (SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND backend_type = 'client backend'))
        FROM json_to_recordset(:buckets) AS written (minute bigint, counts jsonb, gauges jsonb)
        ON CONFLICT (start, instance) DO UPDATE SET counts = excluded.counts, gauges = excluded.gauges
        """,
        repeatable=True, instance=instance, connections=CONNECTIONS,
        buckets=json.dumps([asdict(bucket) for bucket in buckets]),
    )  # fmt: skip


def totals(db: Database) -> dict[str, float]:
    """Return every count since the service began. They never fall: what is removed is kept in a sum."""
    rows = db.rows(
        """
        SELECT name, sum(CAST(value AS float8)) FROM metric_buckets, jsonb_each_text(counts) AS count (name, value)
        GROUP BY name ORDER BY name
        """,
        repeatable=True,
    )
    return {name: float(total) for name, total in rows}


def gauges(db: Database) -> dict[str, float]:
    """Return the gauges of all instances that counted something in the last two minutes, and how many those are.

    Percentages and states are the greatest of any instance, all else is summed.
    """
    rows = db.rows(
        """
        WITH latest AS (
            SELECT DISTINCT ON (instance) instance, gauges FROM metric_buckets
            WHERE start > now() - interval '2 minutes' AND instance <> :folded ORDER BY instance, start DESC
        )
        SELECT name, CASE WHEN name ~ '_(percent|state|connections)$' THEN max(CAST(value AS float8))
                          ELSE sum(CAST(value AS float8)) END
        FROM latest, jsonb_each_text(gauges) AS gauge (name, value) GROUP BY name
        UNION ALL SELECT 'liftlog_instances', count(*) FROM latest
        """,
        repeatable=True, folded=FOLDED,
    )  # fmt: skip
    return {name: float(value) for name, value in rows}


def list_steps(db: Database, window: timedelta, step: timedelta) -> list[Step]:
    """Return the stretches of `step` within the last `window` in which anything was counted, the oldest first."""
    rows = db.rows(
        """
        WITH bucket AS (
            SELECT date_bin(CAST(:step AS interval), start, 'epoch') AS step, instance, counts, gauges
            FROM metric_buckets WHERE start > now() - CAST(:window AS interval)
        ), counted AS (
            SELECT step, json_object_agg(name, total)::text AS totals
            FROM (SELECT step, name, sum(CAST(value AS float8)) AS total
                  FROM bucket, jsonb_each_text(counts) AS count (name, value) GROUP BY step, name) AS summed
            GROUP BY step
        ), gauged AS (
            SELECT step, json_object_agg(name, greatest)::text AS maxima
            FROM (SELECT step, name, max(CAST(value AS float8)) AS greatest
                  FROM bucket, jsonb_each_text(gauges) AS gauge (name, value) GROUP BY step, name) AS highest
            GROUP BY step
        )
        SELECT step, count(DISTINCT instance), min(totals)::json, min(maxima)::json
        FROM bucket LEFT JOIN counted USING (step) LEFT JOIN gauged USING (step)
        GROUP BY step ORDER BY step
        """,
        repeatable=True, step=step, window=window,
    )  # fmt: skip
    return [Step(start, counts or {}, gauges or {}, instances) for start, instances, counts, gauges in rows]


def fold(db: Database, *, older_than: timedelta, limit: int) -> int:
    """Add minutes up into hours, and return how many rows went into them. Gauges of single instances are dropped."""
    return _merge(db, "hour", older_than, limit)


def retire(db: Database, *, older_than: timedelta, limit: int) -> int:
    """Add hours up into one row without a beginning, so that totals never fall, and return how many went into it."""
    return _merge(db, None, older_than, limit)


def count_foldable(db: Database, older_than: timedelta) -> int:
    """Return how many rows `fold` would add up."""
    return db.count(
        """
        SELECT count(*) FROM metric_buckets
        WHERE start > '-infinity' AND start < now() - CAST(:older_than AS interval) AND instance <> :folded
        """,
        older_than=older_than,
        folded=FOLDED,
    )


def count_retirable(db: Database, older_than: timedelta) -> int:
    """Return how many rows `retire` would add up."""
    return db.count(
        """
        SELECT count(*) FROM metric_buckets
        WHERE start > '-infinity' AND start < now() - CAST(:older_than AS interval)
        """,
        older_than=older_than,
    )


def _merge(db: Database, unit: str | None, older_than: timedelta, limit: int) -> int:
    row = db.row(
        """
        WITH removed AS (
            DELETE FROM metric_buckets WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM metric_buckets
                WHERE start > '-infinity' AND start < now() - CAST(:older_than AS interval)
                  AND (CAST(:unit AS text) IS NULL OR instance <> :folded)
                ORDER BY start LIMIT :limit FOR UPDATE SKIP LOCKED))
            RETURNING coalesce(date_trunc(:unit, metric_buckets.start), '-infinity') AS into_start, counts
        ), summed AS (
            SELECT into_start, jsonb_object_agg(name, total) AS counts
            FROM (SELECT into_start, name, sum(CAST(value AS float8)) AS total
                  FROM removed, jsonb_each_text(counts) AS count (name, value) GROUP BY into_start, name) AS totals
            GROUP BY into_start
        ), merged AS (
            INSERT INTO metric_buckets AS kept (start, instance, counts, gauges)
            SELECT into_start, :folded, counts, '{}' FROM summed
            ON CONFLICT (start, instance) DO UPDATE SET counts = kept.counts || (
                SELECT jsonb_object_agg(name, CAST(value AS float8) + coalesce(CAST(kept.counts ->> name AS float8), 0))
                FROM jsonb_each_text(excluded.counts) AS added (name, value))
        )
        SELECT count(*) FROM removed
        """,
        older_than=older_than, limit=limit, unit=unit, folded=FOLDED,
    )  # fmt: skip
    return int(row[0]) if row else 0
