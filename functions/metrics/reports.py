"""The JSON of the metrics: totals, the summary of a window, and the same figures step by step."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from flask import request

from functions.metrics import summaries
from functions.metrics.summaries import Sample
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
    return _sums(taken) | {"endpoints": summaries.endpoints(taken)}


def summary(db: Database, asked: Window) -> dict[str, Any]:
    """Return the figures of a window, and the state of each service level that can be told from them."""
    steps = metric_buckets.list_steps(db, asked.length, asked.step)
    counts = metric_buckets.totals(db) if asked is WINDOWS["all"] else _together(steps)
    taken = list(summaries.samples(counts))
    figures = _figures(taken, asked.length) | _gauges(steps[-1] if steps else None)
    slowest = max(summaries.endpoints(taken).items(), key=lambda item: item[1]["avg_duration_ms"], default=None)
    return {
        **_sums(taken),
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
            {
                "start": int(step.start.timestamp()),
                **_figures(list(summaries.samples(step.counts)), asked.step),
                **_gauges(step),
            }
            for step in steps
        ],
    }


def _together(steps: list[Step]) -> dict[str, float]:
    counts: dict[str, float] = defaultdict(float)
    for step in steps:
        for name, value in step.counts.items():
            counts[name] += value
    return counts


def _sums(taken: list[Sample]) -> dict[str, Any]:
    codes = summaries.status_codes(taken)
    errors = sum(n for code, n in codes.items() if int(code) >= summaries.CLIENT_ERROR)
    return {"total_requests": sum(codes.values()), "total_errors": errors, "status_codes": codes}


def _figures(taken: list[Sample], length: timedelta) -> dict[str, float]:
    codes = summaries.status_codes(taken)
    histogram = summaries.latencies(taken)
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
