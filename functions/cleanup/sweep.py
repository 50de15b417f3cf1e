"""One run of the cleanup: small batches, with pauses twice as long as they took, so that nobody else waits for it.

Two runs at once share the work (each skips what the other has locked), and one that dies has done what it did.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from functions.cleanup import phone_backups
from shared.data import (
    chats,
    database,
    events,
    metric_buckets,
    quotas,
    rate_limit_database,
    rate_limits,
    shared_items,
    users,
)
from shared.settings.backups import backup_settings
from shared.settings.operation import CleanupSettings

BATCH_ROWS = 500
PAUSE_SHARE = 2.0  # of the time that the batch before took
METRICS_TO_HOURS, METRICS_KEPT = timedelta(days=1), timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Task:
    """Something that is removed when its time has come."""

    name: str
    count: Callable[[], int]  # what a run would remove now
    delete: Callable[[int], int]  # takes the most rows; returns how many those were


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a run did, or would do."""

    deleted: dict[str, int]
    remaining: bool


def tasks(settings: CleanupSettings) -> list[Task]:
    """Return everything that expires."""
    db, limits = database(), rate_limit_database()
    retention = timedelta(days=settings.event_retention_days)
    return [
        Task(
            "user_events",
            lambda: events.count_expired(db, retention),
            lambda limit: events.delete_expired(db, retention, limit),
        ),
        Task(
            "shared_items",
            lambda: shared_items.count_expired(db),
            lambda limit: shared_items.delete_expired(db, limit),
        ),
        Task(
            "rate_limits",
            lambda: rate_limits.count_stale(limits),
            lambda limit: rate_limits.delete_stale(limits, limit),
        ),
        Task("unused_accounts", lambda: users.count_unused(db), lambda limit: users.delete_unused(db, limit)),
        Task("sources", lambda: quotas.count_old_sources(db), lambda limit: quotas.delete_old_sources(db, limit)),
        Task("chats", lambda: chats.count_stale(db), lambda limit: chats.delete_stale(db, limit)),
        Task(
            "metric_minutes",
            lambda: metric_buckets.count_foldable(db, METRICS_TO_HOURS),
            lambda limit: metric_buckets.fold(db, older_than=METRICS_TO_HOURS, limit=limit),
        ),
        Task(
            "metric_hours",
            lambda: metric_buckets.count_retirable(db, METRICS_KEPT),
            lambda limit: metric_buckets.retire(db, older_than=METRICS_KEPT, limit=limit),
        ),
        *(_of_backups() if backup_settings().store else ()),
    ]


def _of_backups() -> list[Task]:
    return [
        Task("backups", phone_backups.count_retired, phone_backups.delete_retired),
        Task("backup_files", phone_backups.count_orphans, phone_backups.delete_orphans),
    ]


def count(work: list[Task]) -> SweepResult:
    """Return what a run would remove, and remove nothing."""
    found = {task.name: task.count() for task in work}
    return SweepResult(found, remaining=any(found.values()))


def run(work: list[Task], *, limit: int, seconds: float) -> SweepResult:
    """Remove at most `limit` rows within about so many seconds. `remaining` tells whether there was more."""
    deadline = time.monotonic() + seconds
    deleted: dict[str, int] = {}
    left = limit
    for task in work:
        deleted[task.name] = 0
        for batch in _batches(task, left, deadline):
            deleted[task.name] += batch
            left -= batch
            if left == 0 or time.monotonic() >= deadline:
                return SweepResult(deleted, remaining=count(work).remaining)
    return SweepResult(deleted, remaining=False)


def _batches(task: Task, limit: int, deadline: float) -> Iterator[int]:
    """Remove batch by batch; yield how many rows each had, until one is not full."""
    asked = removed = min(BATCH_ROWS, limit)
    while removed == asked:
        start = time.monotonic()
        removed = task.delete(asked)
        yield removed
        limit -= removed
        asked = min(BATCH_ROWS, limit)
        if removed == asked:
            took = time.monotonic() - start
            time.sleep(max(0.0, min(PAUSE_SHARE * took, deadline - time.monotonic())))


def as_json(outcome: SweepResult, *, dry_run: bool, seconds: float) -> dict[str, Any]:
    """Return the answer's form."""
    return {
        "deleted": outcome.deleted, "remaining": outcome.remaining, "duration_ms": round(seconds * 1000, 1),
        "dry_run": dry_run,
    }  # fmt: skip
