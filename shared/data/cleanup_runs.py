"""Table `cleanup_runs`: what each run of the cleanup did."""

import json
from dataclasses import dataclass
from datetime import datetime

from shared.data.pool import Database

KEPT = 1000  # runs, six weeks of hourly ones


@dataclass(frozen=True, slots=True)
class CleanupRun:
    """What a run removed, or would have removed if it was a dry one."""

    finished: datetime  # UTC, the database's clock
    seconds: float
    dry_run: bool
    deleted: dict[str, int]
    remaining: bool


def put(db: Database, *, dry_run: bool, deleted: dict[str, int], remaining: bool, seconds: float) -> None:
    """Record a run that has just ended, and forget the oldest ones. Safe to repeat, but for a doubled record."""
    db.rows(
        """
        WITH recorded AS (
            INSERT INTO cleanup_runs (started, finished, dry_run, deleted, remaining)
            VALUES (now() - make_interval(secs => :seconds), now(), :dry_run, :deleted, :remaining)
            RETURNING id
        )
        DELETE FROM cleanup_runs USING recorded WHERE cleanup_runs.id <= recorded.id - :kept
        """,
        repeatable=True, seconds=seconds, dry_run=dry_run, deleted=json.dumps(deleted), remaining=remaining, kept=KEPT,
    )  # fmt: skip


def list_newest(db: Database, limit: int) -> list[CleanupRun]:
    """Return the newest runs, the newest first."""
    rows = db.rows(
        """
        SELECT finished, extract(epoch FROM finished - started)::float8, dry_run, deleted, remaining FROM cleanup_runs
        ORDER BY id DESC LIMIT :limit
        """,
        repeatable=True,
        limit=limit,
    )
    return [CleanupRun(*row) for row in rows]
