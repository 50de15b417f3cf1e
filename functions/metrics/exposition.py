"""The metrics in Prometheus' text format, written by Prometheus' own library."""

from collections import defaultdict
from collections.abc import Iterator

from flask import Response, request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from functions.metrics import summaries
from shared.metrics import LATENCY_BOUNDS_MS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
HELP = {
    "liftlog_http_requests_total": "Requests answered, by route and status.",
    summaries.DURATION: "Time from a request's first line to its answer.",
    "liftlog_errors_total": "Requests that ended in an error, by its kind.",
    "liftlog_quota_refusals_total": "What was refused as there was no more room for an account, address or inbox.",
    "liftlog_connections_dropped_total": "Connections that stalled, or stood still longest when there was no room.",
    "liftlog_memory_refusals_total": "Requests that found no memory for their body or answer in time.",
    "liftlog_memory_reserved_bytes": "Memory that large requests and answers have now.",
    "liftlog_ai_calls_total": "Questions to the language model, by outcome; opened: how often its breaker opened.",
    "liftlog_ai_tokens_total": "Tokens as the language model's endpoint counts them: prompt, completion.",
    "liftlog_ai_repairs_total": "Answers that went back to the language model once, by outcome.",
    "liftlog_ai_breaker_state": "0 closed, 1 half-open, 2 open; the greatest of any instance.",
    "liftlog_chat_turns_total": "Turns played in chats, by hub and method.",
    "liftlog_chats_open": "Chats that are connected.",
    "liftlog_cleanup_runs_total": "Runs of the cleanup.",
    "liftlog_cleanup_deleted_total": "Rows that the cleanup removed, by what they were.",
    "liftlog_rate_limit_refusals_total": "Requests and chat turns that were one too many for a day.",
    "liftlog_subscription_checks_total": "Questions to app stores, by store and outcome.",
    "liftlog_http_requests_in_flight": "Requests being answered.",
    "liftlog_instances": "Instances that counted something in the last two minutes.",
    "liftlog_database_connections": "Connections of all clients of the database, as it counts them.",
    "liftlog_database_pool_size": "Most connections that the instances may open.",
    "liftlog_database_pool_in_use": "Connections that run a statement.",
    "liftlog_database_pool_waits_total": "Waits for a free connection.",
    "liftlog_database_pool_wait_seconds_total": "Time spent waiting for a free connection.",
    "liftlog_database_pool_timeouts_total": "Requests that got no connection in time: connection pool exhausted.",
    "liftlog_process_memory_percent": "Resident memory of the instance that uses most, of its limit.",
    "liftlog_process_cpu_percent": "CPU time of the busiest instance, of its limit.",
}
_BOUNDS = [*(f"{bound / 1000:g}" for bound in LATENCY_BOUNDS_MS), "+Inf"]


def wants_json() -> bool:
    """Tell whether the client would rather have JSON."""
    return request.accept_mimetypes.best_match(["text/plain", "application/json"]) == "application/json"


def text(counts: dict[str, float], gauges: dict[str, float]) -> Response:
    """Return all counters, histograms and gauges."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Metrics(counts, gauges))
    return Response(generate_latest(registry), content_type=CONTENT_TYPE)


class _Metrics(Collector):
    def __init__(self, counts: dict[str, float], gauges: dict[str, float]) -> None:
        self._samples = list(summaries.samples(counts))
        self._gauges = list(summaries.samples(gauges))

    def collect(self) -> Iterator[Metric]:
        yield from _families(CounterMetricFamily, [sample for sample in self._samples if not _is_duration(sample)])
        yield self._durations()
        yield from _families(GaugeMetricFamily, self._gauges)

    def _durations(self) -> Metric:
        labels = ["function", "method", "route"]
        found: dict[tuple[str, ...], summaries.Latencies] = defaultdict(summaries.Latencies)
        for sample in self._samples:
            if _is_duration(sample):
                found[tuple(sample.labels[label] for label in labels)].add(sample)
        metric = HistogramMetricFamily(summaries.DURATION, HELP[summaries.DURATION], labels=labels)
        for values, histogram in sorted(found.items()):
            below, buckets = 0.0, []
            for bound in _BOUNDS:
                below += histogram.buckets.get(bound, 0.0)
                buckets.append((bound, below))
            metric.add_metric(values, buckets, histogram.sum_seconds)
        return metric


def _is_duration(sample: summaries.Sample) -> bool:
    return sample.name.startswith(summaries.DURATION)


def _families(kind: type[CounterMetricFamily | GaugeMetricFamily], samples: list[summaries.Sample]) -> Iterator[Metric]:
    by_name: dict[str, list[summaries.Sample]] = defaultdict(list)
    for sample in samples:
        by_name[sample.name].append(sample)
    for name, taken in sorted(by_name.items()):
        labels = sorted(taken[0].labels)
        metric = kind(name, HELP.get(name, name), labels=labels)
        for sample in taken:
            metric.add_metric([sample.labels[label] for label in labels], sample.value)
        yield metric
