"""`make bench`: measure every route of a running gateway beside two yardsticks, print a table, judge the goals.

Everything runs on a database of its own in a temporary folder. In each round each route is measured right after the
empty function, so that both had the same neighbours on the machine; what counts is the median of these pairs' ratios.
"""

import argparse
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from subprocess import CalledProcessError

from bench import results, world
from bench.databases import measured_database
from bench.load import WrongAnswer, measure
from bench.results import Measurement, Results
from bench.routes import CASES, Case, empty_requests, missing_routes
from bench.servers import (
    UPSERT_SCRIPT,
    UPSERT_TABLE,
    DidNotStart,
    MeasuredServer,
    cpu_seconds,
    peak_memory_bytes,
    pgbench,
    start_empty,
    start_gateway,
)
from local.postgres import PostgresFailed
from shared.data.pool import Database

CONCURRENCIES = (1, 16)
WARM_UP_SECONDS = 0.3
LEAST_SECONDS = 0.2
FASTEST = 2500  # requests per second that no route reaches: so many accounts are made where each serves once


@dataclass(frozen=True, slots=True)
class Bench:
    """The servers of a run."""

    url: str
    postgres_pid: int
    script: Path
    gateway: MeasuredServer
    empty: MeasuredServer
    world: world.World

    def sample(
        self, server: MeasuredServer, requests: Iterator[bytes], concurrency: int, seconds: float
    ) -> Measurement:
        """Measure once. Raises WrongAnswer."""
        before = cpu_seconds(server.pid), cpu_seconds(self.postgres_pid)
        load = measure(server.port, requests, concurrency, seconds)
        after = cpu_seconds(server.pid), cpu_seconds(self.postgres_pid)
        own, database = ((b - a) / len(load.latencies) for a, b in zip(before, after, strict=True))
        return Measurement(load.latencies, load.rate, own, database, os.getloadavg()[0])


def main() -> int:
    """Run, print, and return 1 if a goal was missed."""
    options = _options()
    cases = [case for case in CASES if options.route in str(case)]
    if not cases:
        print(f"bench: no case for {options.route}", file=sys.stderr)
        return 2
    for route in sorted(missing_routes()):
        print(f"bench: not measured, for bench/routes.py has no case: {route}", file=sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C does
    with ExitStack() as started:
        try:
            bench = _start(started, options.seconds)
            measured = _run(bench, cases, options.rounds, options.seconds)
        except (DidNotStart, PostgresFailed, WrongAnswer, CalledProcessError) as error:
            print(f"bench: {type(error).__name__}: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130
    return _report(measured)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="pairs of each route and its yardstick (default 5)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one measurement (default 2)")
    parser.add_argument("--route", default="", help='only what has this in its name, like "PUT /event"')
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < LEAST_SECONDS:
        parser.error(f"at least 1 round of {LEAST_SECONDS:g} s")
    return options


def _start(started: ExitStack, seconds: float) -> Bench:
    database = started.enter_context(measured_database())
    db = Database(database.url, 1, 5)
    started.callback(db.close)
    db.rows(UPSERT_TABLE)
    script = database.folder / "upsert.sql"
    script.write_text(UPSERT_SCRIPT)
    inhabited = world.create(db, round(FASTEST * seconds))
    gateway = start_gateway(database.url)
    started.callback(gateway.stop)
    empty = start_empty()
    started.callback(empty.stop)
    return Bench(database.url, database.pid, script, gateway, empty, inhabited)


def _run(bench: Bench, cases: list[Case], rounds: int, seconds: float) -> Results:
    found = Results()
    for case in cases:
        _progress(f"warming up: {case}")
        measure(bench.gateway.port, case.requests(bench.world), max(CONCURRENCIES), WARM_UP_SECONDS)
    measure(bench.empty.port, empty_requests(), max(CONCURRENCIES), WARM_UP_SECONDS)
    for number in range(1, rounds + 1):
        for concurrency in CONCURRENCIES:
            found.upserts.setdefault(concurrency, []).append(pgbench(bench.url, bench.script, concurrency, seconds))
            for case in cases:
                _progress(f"round {number} of {rounds}, {concurrency} at once: {case}")
                _pair(bench, found, case, concurrency, seconds)
        if not sys.stderr.isatty():
            print(f"round {number} of {rounds} is done", file=sys.stderr, flush=True)
    _progress("")
    found.memory_bytes = peak_memory_bytes(bench.gateway.pid)
    return found


def _pair(bench: Bench, found: Results, case: Case, concurrency: int, seconds: float) -> None:
    requests = case.requests(bench.world)
    empty = bench.sample(bench.empty, empty_requests(), concurrency, seconds)
    sample = bench.sample(bench.gateway, requests, concurrency, seconds)
    for series, one in ((found.of(None, concurrency), empty), (found.of(case, concurrency), sample)):
        series.samples.append(one)
        series.yardsticks.append(empty.rate)


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _report(measured: Results) -> int:
    print(results.table(measured), end="\n\n")
    judged = list(results.verdicts(measured))
    for verdict in judged:
        print(f"{'met   ' if verdict.met else 'MISSED'}  {verdict.text}")
    return 0 if all(verdict.met for verdict in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
