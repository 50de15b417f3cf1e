"""`python -m bench.cleanup`: what the cleanup of a million expired events among ten million does to those who publish.

Publishes for a while, then while the cleanup runs to its end, then again for a while; compares the latencies' p95.
"""

import argparse
import json
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain

from bench import world
from bench.databases import measured_database
from bench.load import measure
from bench.routes import CASES
from bench.servers import MeasuredServer, start_gateway
from shared.data.pool import Database

CONCURRENCY = 4
MEASURED_SECONDS = 20.0
SLICE_SECONDS = 2.0
SLOWER = 1.25
BATCH_ROWS = 200_000
_FILL = """
    INSERT INTO user_events (user_id, id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv)
    SELECT id, gen_random_uuid(), now() - interval '91 days', now(), now() + CAST(:expiry AS interval),
           CAST(:ciphertext AS bytea), CAST(:iv AS bytea)
    FROM (SELECT id, row_number() OVER () AS number FROM users) AS author, generate_series(1, :each)
    WHERE author.number <= :authors
"""


def main() -> int:
    """Measure, print, and return 1 if publishing became too slow."""
    parser = argparse.ArgumentParser(prog="python -m bench.cleanup", description=__doc__)
    parser.add_argument("--live", type=int, default=10_000_000, help="events that stay")
    parser.add_argument("--expired", type=int, default=1_000_000, help="events that go")
    options = parser.parse_args()
    with ExitStack() as started:
        database = started.enter_context(measured_database())
        db = Database(database.url, 1, 5)
        started.callback(db.close)
        inhabited = world.create(db, 0)
        _fill(db, options.live, "90 days")
        _fill(db, options.expired, "-1 second")
        gateway = start_gateway(database.url, CLEANUP_SECONDS="1500")
        started.callback(gateway.stop)
        requests = next(case for case in CASES if str(case) == "PUT /event 1 KB").requests(inhabited)
        return _compare(gateway, requests)


def _fill(db: Database, count: int, expiry: str) -> None:
    """Store events of a thousand authors, in statements that end before the pool's time-out."""
    authors = 1000
    for _ in range(0, count, BATCH_ROWS):
        each = min(BATCH_ROWS, count) // authors
        db.rows(_FILL, expiry=expiry, ciphertext=bytes(64), iv=bytes(16), each=each, authors=authors)
        print(".", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)


def _compare(gateway: MeasuredServer, requests: Iterator[bytes]) -> int:
    before = _p95(gateway, requests, MEASURED_SECONDS)
    reports: list[dict[str, object]] = []
    cleaner = threading.Thread(target=lambda: reports.append(_clean(gateway)))
    start = time.monotonic()
    cleaner.start()
    slices = []
    while cleaner.is_alive():
        slices.append(measure(gateway.port, requests, CONCURRENCY, SLICE_SECONDS).latencies)
    seconds = time.monotonic() - start
    during = _percentile(list(chain.from_iterable(slices)))
    after = _p95(gateway, requests, MEASURED_SECONDS)
    usual = (before + after) / 2
    print(
        f"the cleanup removed {reports[0]['deleted']} in {seconds:.0f} s; something is left: {reports[0]['remaining']}"
    )
    print(f"PUT /event p95 before {before:.2f} ms, during {during:.2f} ms, after {after:.2f} ms")
    holds = during <= SLOWER * usual
    print(f"{'met   ' if holds else 'MISSED'}  {during / usual:.2f} of the usual p95, goal ≤ {SLOWER}")
    return 0 if holds else 1


def _p95(gateway: MeasuredServer, requests: Iterator[bytes], seconds: float) -> float:
    return _percentile(measure(gateway.port, requests, CONCURRENCY, seconds).latencies)


def _percentile(latencies: list[float]) -> float:
    return 1000 * sorted(latencies)[int(len(latencies) * 0.95)]


def _clean(gateway: MeasuredServer) -> dict[str, object]:
    url = f"http://127.0.0.1:{gateway.port}/cleanup"
    request = urllib.request.Request(url, b"{}", {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=1600) as answer:  # noqa: S310 # nosec B310
        report: dict[str, object] = json.load(answer)
    return report


if __name__ == "__main__":
    sys.exit(main())
