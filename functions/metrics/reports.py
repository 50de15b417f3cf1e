"""The JSON of the metrics: totals, the summary of a window, and the same figures step by step."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import request

from functions.metrics import summaries
from shared.data import metric_buckets
from shared.data.metric_buckets import CONNECTIONS, Step
from shared.data.pool import Database
from shared.errors import InvalidRequest

MEMORY, CPU = "liftlog_process_memory_percent", "liftlog_process_cpu_percent"
GAUGES = {"database_connections": CONNECTIONS, "memory_percent": MEMORY, "cpu_percent": CPU}


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time up to now, and the steps in which it is drawn."""

    name: str
    length: timedelta
    step: timedelta


WINDOWS = {
    window.name: window
    for window in (
        Window("5m", timedelta(minutes=5), timedelta(minutes=1)),
        Window("1h", timedelta(hours=1), timedelta(minutes=1)),
        Window("24h", timedelta(hours=24), timedelta(minutes=10)),
        Window("all", timedelta(days=90), timedelta(hours=6)),
    )
}


def window(*, default: str) -> Window:
    """Return the window that the query asks for. Raises InvalidRequest."""
    name = request.args.get("window", default)
    if name not in WINDOWS:
        raise InvalidRequest("The query cannot be read.", {"window": f"must be one of {', '.join(WINDOWS)}"})
    return WINDOWS[name]


def totals(counts: dict[str, float]) -> dict[str, Any]:
    """Return what was counted since the service began."""
    taken = list(summaries.samples(counts))
    codes = summaries.status_codes(taken)
    return {
        "total_requests": sum(codes.values()),
        "total_errors": sum(n for code, n in codes.items() if int(code) >= summaries.CLIENT_ERROR),
        "status_codes": codes,
        "endpoints": summaries.endpoints(taken),
    }


def summary(db: Database, asked: Window) -> dict[str, Any]:
    """Return the figures of a window, and the state of each service level that can be told from them."""
    steps = metric_buckets.list_steps(db, asked.length, asked.step)
    counts: dict[str, float] = {}
    for step in steps:
        for name, value in step.counts.items():
            counts[name] = counts.get(name, 0) + value
    if asked.name == "all":
        counts = metric_buckets.totals(db)
    taken = list(summaries.samples(counts))
    codes = summaries.status_codes(taken)
    figures = _figures(counts, asked.length) | _gauges(steps[-1] if steps else None)
    slowest = max(summaries.endpoints(taken).items(), key=lambda item: item[1]["avg_duration_ms"], default=None)
    return {
        "total_requests": sum(codes.values()),
        "total_errors": sum(n for code, n in codes.items() if int(code) >= summaries.CLIENT_ERROR),
        "status_codes": codes,
        "slowest_endpoint": slowest and {"endpoint": slowest[0], "avg_duration_ms": slowest[1]["avg_duration_ms"]},
        **figures,
        "window_seconds": int(asked.length.total_seconds()),
        "since": (datetime.now(UTC) - asked.length).isoformat(timespec="seconds").replace("+00:00", "Z"),
        "slo": summaries.judged(figures),
    }


def series(db: Database, asked: Window) -> dict[str, Any]:
    """Return the figures of each step of a window; a step in which nothing was counted is left out."""
    steps = metric_buckets.list_steps(db, asked.length, asked.step)
    return {
        "window_seconds": int(asked.length.total_seconds()),
        "step_seconds": int(asked.step.total_seconds()),
        "steps": [
            {"start": int(step.start.timestamp()), **_figures(step.counts, asked.step), **_gauges(step)}
            for step in steps
        ],
    }


def _figures(counts: dict[str, float], length: timedelta) -> dict[str, float]:
    taken = list(summaries.samples(counts))
    codes = summaries.status_codes(taken)
    histogram = summaries.latencies(taken, for_service_levels=True)
    return {
        "requests_per_second": round(sum(codes.values()) / length.total_seconds(), 3),
        "error_rate_percent": round(summaries.error_rate_percent(codes), 3),
        "p50_ms": round(histogram.percentile_ms(50), 1),
        "p95_ms": round(histogram.percentile_ms(95), 1),
        "p99_ms": round(histogram.percentile_ms(99), 1),
    }


def _gauges(step: Step | None) -> dict[str, float]:
    gauges = step.gauges if step else {}
    return {"instances": step.instances if step else 0} | {
        name: round(gauges[series_name], 1) for name, series_name in GAUGES.items() if series_name in gauges
    }
