"""What the measurements come to: medians of paired ratios, percentiles, and the goals they are held against."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median, quantiles

from bench.routes import CREATE_USER, POLL, PUT_EVENT, PUT_LARGE_EVENT, Case

GOALS = {PUT_EVENT: 0.6, CREATE_USER: 0.6, POLL: 0.6}  # of the empty function's requests/s, at concurrency 16
GOAL_CONCURRENCY = 16
LARGE_EVENT_GOAL = 2.0  # times as long as a small one
MEMORY_GOAL_BYTES = 200_000_000
HEADINGS = (
    "route", "at once", "req/s", "p50 ms", "p95 ms", "p99 ms",
    "CPU ms", "DB ms", "of empty (least–most)", "of pgbench", "load",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measurement."""

    latencies: list[float]  # seconds
    rate: float  # requests per second
    cpu_seconds: float  # of the function's processes, per request
    database_cpu_seconds: float  # of PostgreSQL's, per request
    load_average: float  # of the last minute


@dataclass(slots=True)
class Series:
    """All measurements of one case at one concurrency, each with the yardstick's beside it."""

    name: str
    concurrency: int
    samples: list[Measurement] = field(default_factory=list)
    yardsticks: list[float] = field(default_factory=list)  # requests per second of the empty function, just before

    def ratios(self) -> list[float]:
        """Return each measurement's rate as a share of its yardstick's."""
        return [sample.rate / yardstick for sample, yardstick in zip(self.samples, self.yardsticks, strict=True)]


@dataclass(slots=True)
class Results:
    """Everything that a run has measured."""

    series: dict[tuple[Case | None, int], Series] = field(default_factory=dict)  # None is the empty function
    upserts: dict[int, list[float]] = field(default_factory=dict)  # pgbench's, per second, by concurrency
    memory_bytes: int = 0  # of the gateway, at its peak

    def of(self, case: Case | None, concurrency: int) -> Series:
        """Return the series of a case, a new one if there is none."""
        name = str(case) if case else "an empty function"
        return self.series.setdefault((case, concurrency), Series(name, concurrency))


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal and what became of it."""

    text: str
    met: bool


def verdicts(results: Results) -> Iterator[Verdict]:
    """Judge the goals of which everything was measured."""
    for case, goal in GOALS.items():
        series = results.series.get((case, GOAL_CONCURRENCY))
        if series:
            ratio = median(series.ratios())
            yield Verdict(
                f"{case} at {GOAL_CONCURRENCY}: {ratio:.2f} of an empty function, goal ≥ {goal}", ratio >= goal
            )
    small = results.series.get((PUT_EVENT, GOAL_CONCURRENCY))
    large = results.series.get((PUT_LARGE_EVENT, GOAL_CONCURRENCY))
    if small and large:
        times = median(a / b for a, b in zip(small.ratios(), large.ratios(), strict=True))
        text = (
            f"a 15 KB event at {GOAL_CONCURRENCY}: {times:.2f} times as long as a 1 KB one, goal < {LARGE_EVENT_GOAL:g}"
        )
        yield Verdict(text, times < LARGE_EVENT_GOAL)
    megabytes = results.memory_bytes / 1e6
    text = f"gateway's memory at its peak: {megabytes:.0f} MB, goal < {MEMORY_GOAL_BYTES / 1e6:.0f} MB"
    yield Verdict(text, results.memory_bytes < MEMORY_GOAL_BYTES)


def table(results: Results) -> str:
    """Return the results as a Markdown table."""
    upserts = {concurrency: median(rates) for concurrency, rates in results.upserts.items()}
    rows = [list(HEADINGS), ["---", *["---:"] * (len(HEADINGS) - 1)]]
    rows += [_row(series, upserts[series.concurrency]) for series in results.series.values()]
    for concurrency, rate in upserts.items():
        rows.append(["pgbench's upsert", str(concurrency), f"{rate:.0f}", *["–"] * 6, "1.00", "–"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(series: Series, upserts: float) -> list[str]:
    samples = series.samples
    rate = median(sample.rate for sample in samples)
    cuts = quantiles((latency for sample in samples for latency in sample.latencies), n=100, method="inclusive")
    ratios = series.ratios()
    return [
        series.name,
        str(series.concurrency),
        f"{rate:.0f}",
        *[f"{cuts[percentile - 1] * 1000:.1f}" for percentile in (50, 95, 99)],
        f"{median(sample.cpu_seconds for sample in samples) * 1000:.2f}",
        f"{median(sample.database_cpu_seconds for sample in samples) * 1000:.2f}",
        f"{median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})",
        f"{rate / upserts:.2f}",
        f"{median(sample.load_average for sample in samples):.1f}",
    ]
