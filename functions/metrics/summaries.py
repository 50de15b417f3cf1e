"""Numbers made of counts: rates, percentiles of histograms, and what the service levels say of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.metrics import LATENCY_BOUNDS_MS, taken_apart
from shared.service_levels import NOT_IN_LATENCY, SERVICE_LEVELS

REQUESTS = "liftlog_http_requests_total"
DURATION = "liftlog_http_request_duration_seconds"
SERVER_ERROR, CLIENT_ERROR = 500, 400


@dataclass(frozen=True, slots=True)
class Sample:
    """A series taken apart."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass(slots=True)
class Latencies:
    """A histogram: how many answers took how long."""

    buckets: dict[str, float] = field(default_factory=lambda: defaultdict(float))  # by `le`, not cumulative
    sum_seconds: float = 0.0
    count: float = 0.0

    def add(self, sample: Sample) -> None:
        """Take in one of the histogram's series."""
        match sample.name.removeprefix(DURATION):
            case "_bucket":
                self.buckets[sample.labels["le"]] += sample.value
            case "_sum":
                self.sum_seconds += sample.value
            case "_count":
                self.count += sample.value

    @property
    def average_ms(self) -> float:
        return 1000 * self.sum_seconds / self.count if self.count else 0.0

    def percentile_ms(self, percent: float) -> float:
        """Return the latency that so many percent of the answers kept below, by linear interpolation in its bucket."""
        wanted, seen, lower = self.count * percent / 100, 0.0, 0.0
        for bound in LATENCY_BOUNDS_MS:
            inside = self.buckets.get(f"{bound / 1000:g}", 0.0)
            if inside and seen + inside >= wanted:
                return lower + (bound - lower) * (wanted - seen) / inside
            seen, lower = seen + inside, float(bound)
        return lower if self.count else 0.0


def samples(counts: Mapping[str, float]) -> Iterator[Sample]:
    """Take the names of series apart."""
    for series, value in counts.items():
        yield Sample(*taken_apart(series), value)


def latencies(taken: Iterable[Sample]) -> Latencies:
    """Add up the histograms of the routes that the service levels are about: not those that wait for a model."""
    total = Latencies()
    for sample in taken:
        if sample.name.startswith(DURATION) and sample.labels["function"] not in NOT_IN_LATENCY:
            total.add(sample)
    return total


def status_codes(taken: Iterable[Sample]) -> dict[str, int]:
    """Return how often each status was answered."""
    codes: dict[str, int] = defaultdict(int)
    for sample in taken:
        if sample.name == REQUESTS:
            codes[sample.labels["status"]] += int(sample.value)
    return dict(sorted(codes.items()))


def endpoints(taken: Iterable[Sample]) -> dict[str, dict[str, float]]:
    """Return the figures of each route, by "METHOD pattern"."""
    found: dict[str, Latencies] = defaultdict(Latencies)
    errors: dict[str, float] = defaultdict(float)
    for sample in taken:
        if sample.name == REQUESTS and int(sample.labels["status"]) >= CLIENT_ERROR:
            errors[f"{sample.labels['method']} {sample.labels['route']}"] += sample.value
        elif sample.name.startswith(DURATION):
            found[f"{sample.labels['method']} {sample.labels['route']}"].add(sample)
    return {
        endpoint: {
            "count": int(histogram.count),
            "errors": int(errors[endpoint]),
            "avg_duration_ms": round(histogram.average_ms, 3),
            "p95_duration_ms": round(histogram.percentile_ms(95), 3),
            "p99_duration_ms": round(histogram.percentile_ms(99), 3),
        }
        for endpoint, histogram in sorted(found.items())
    }


def error_rate_percent(codes: Mapping[str, int]) -> float:
    """Return the share of answers that are the service's fault."""
    total = sum(codes.values())
    return 100 * sum(n for code, n in codes.items() if int(code) >= SERVER_ERROR) / total if total else 0.0


def judged(values: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return what the service levels say of those values that there are."""
    return [
        {"metric": level.metric, "value": values[level.metric], "state": level.state(values[level.metric])}
        for level in SERVICE_LEVELS
        if level.metric in values
    ]
