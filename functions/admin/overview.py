"""What is shown of the whole service. Each figure is cheap, however many accounts there are (docs/adr/0019)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from shared.data import backups, cleanup_runs, metric_buckets, overviews, readiness
from shared.data.metric_buckets import Step
from shared.data.pool import Database
from shared.metrics import taken_apart
from shared.settings.environment import environment_settings, running_revision
from shared.settings.planner import model_settings

MOST_PAGES = 2000  # of each table, of 8 KiB: 16 MiB
MOST_NAMES = 100  # whose backups are shown
RUNS, LARGEST, DAYS = 10, 10, 30
CIRCUIT = {0: "closed", 1: "half open", 2: "open"}

Json = dict[str, Any]


def of(db: Database) -> Json:
    """Return everything but who stores most, which costs more."""
    days = metric_buckets.list_steps(db, timedelta(days=DAYS), timedelta(days=1))
    schema, postgresql = readiness.versions(db)
    return {
        "environment": environment_settings().name,
        "revision": running_revision(),
        "schema": schema,
        "postgresql": postgresql,
        "accounts": asdict(overviews.get_accounts(db, most_pages=MOST_PAGES)),
        "created_per_day": _created_per_day(days),
        "tables": [asdict(table) for table in overviews.list_tables(db)],
        "backups": [
            {"name": kept.name, "count": kept.count, "bytes": kept.byte_count, "newest_at": _instant(kept.newest_at)}
            for kept in backups.list_names(db, MOST_NAMES)
        ],
        "planner": _planner(metric_buckets.gauges(db), days),
        "cleanup_runs": [
            asdict(run) | {"finished": _instant(run.finished)} for run in cleanup_runs.list_newest(db, RUNS)
        ],
        "quotas": _by_label(days, "liftlog_quota_refusals_total", "quota"),
        "planner_refusals": _by_label(days, "liftlog_rate_limit_refusals_total", "").get("", {"today": 0, "days": 0}),
    }


def largest(db: Database) -> Json:
    """Return who stores most."""
    found = overviews.list_largest(db, most_pages=MOST_PAGES, limit=LARGEST)
    return {"accounts": [asdict(account) | {"user_id": str(account.user_id)} for account in found]}


def _planner(gauges: Mapping[str, float], days: list[Step]) -> Json:
    """Return how the planner is set, whether its model is being asked, and what it did."""
    settings = model_settings()
    state = gauges.get("liftlog_ai_breaker_state")
    return {
        "model": settings.model,
        "endpoint": urlsplit(settings.base_url).hostname,
        "circuit": "unknown, for nobody asked lately" if state is None else CIRCUIT[int(state)],
        "turns": _by_label(days, "liftlog_chat_turns_total", "method"),
        "calls": _by_label(days, "liftlog_ai_calls_total", "outcome"),
        "tokens": _by_label(days, "liftlog_ai_tokens_total", "kind"),
    }


def _created_per_day(days: list[Step]) -> dict[str, int]:
    """Return how many accounts were created, by day (UTC), today's last."""
    today = datetime.now(UTC).date()
    created = {today - timedelta(days=ago): 0 for ago in reversed(range(DAYS))}
    for step in days:
        for series, value in step.counts.items():
            name, labels = taken_apart(series)
            if name == "liftlog_http_requests_total" and (labels["route"], labels["status"]) == ("/user/create", "200"):
                created[step.start.date()] = created.get(step.start.date(), 0) + int(value)
    return {day.isoformat(): count for day, count in sorted(created.items())}


def _by_label(days: list[Step], name: str, label: str) -> dict[str, dict[str, int]]:
    """Return for each value of a label what was counted today (UTC) and in all the days."""
    today, together = Counter[str](), Counter[str]()
    for step in days:
        for series, value in step.counts.items():
            found, labels = taken_apart(series)
            if found == name:
                together[labels.get(label, "")] += int(value)
                if step.start.date() == datetime.now(UTC).date():
                    today[labels.get(label, "")] += int(value)
    return {key: {"today": today[key], "days": together[key]} for key in sorted(together)}


def _instant(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment is not None else None
