"""`make hostile`: about ten minutes of everything that strangers send, against a gateway with a database of its own.

Attacks come one after the other, each from a process of its own, while honest clients publish, poll, write and read and
check every answer. Prints a table, and ends with status 1 if anything was a 5xx that no document promises, or hung.
"""

import argparse
import multiprocessing
import signal
import socket
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from secrets import token_hex

from bench.databases import measured_database
from bench.hostile import broken, crowds, described, slow
from bench.hostile.requests import WEB_KEY
from bench.hostile.tallies import MOST_EXAMPLES, Tally
from bench.servers import (
    DidNotStart,
    MeasuredServer,
    family,
    forget_peak_memory,
    peak_memory_bytes,
    start_gateway,
)
from bench.soak import UNAVAILABLE, Client, Seen
from client.model_server import ModelServer
from local.postgres import PostgresFailed

HONEST_CLIENTS = 4
HONEST_INTERVAL_SECONDS = 0.1  # between the requests of one
LEAST_SECONDS = 5.0
QUICKER = 10  # what --quick divides by
HEADINGS = (
    "attack", "requests", "5xx", "hangs", "503 as promised", "peak MB", "honest p50 ms", "p99 ms", "honest refused",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Attack:
    """What is sent, and how much of it in a whole run: as many requests, or for as long."""

    name: str
    send: Callable[[int, float, int], Tally]
    seconds: float
    count: int


ATTACKS = [
    Attack("nobody", crowds.nobody, 15, 0),
    Attack("schemathesis", described.attack, 120, 0),
    Attack("broken HTTP", broken.attack, 300, 100_000),
    Attack("300 silent connections", slow.silent, 60, slow.CONNECTIONS),
    Attack("900 that halt", slow.halting, 60, slow.CONNECTIONS),
    Attack("the largest of every route", crowds.greedy, 60, 100_000),
    Attack("hoarding", crowds.hoarding, 30, 100_000),
    Attack("tokens that nobody was sold", crowds.levers, 30, 100_000),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attack saw, and what honest clients saw meanwhile."""

    attack: Attack
    tally: Tally
    honest: Seen
    peak_bytes: int


def main() -> int:
    """Attack, print, and return 1 if something fell."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends what was started, as Ctrl-C does
    attacks = [attack for attack in ATTACKS if options.attack in attack.name]
    with ExitStack() as started:
        try:
            gateway = _start(started)
            outcomes = [_undergo(attack, gateway, QUICKER if options.quick else 1) for attack in attacks]
        except (DidNotStart, PostgresFailed) as error:
            print(f"hostile: {type(error).__name__}: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            return 130
    return _report(outcomes)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--attack", default="", help="only what has this in its name")
    return parser.parse_args()


def _start(started: ExitStack) -> MeasuredServer:
    """Start a gateway whose stores are silent and whose model is a canned coach. Raises DidNotStart."""
    database = started.enter_context(measured_database())
    model = started.enter_context(ModelServer())
    silent = started.enter_context(socket.create_server(("127.0.0.1", 0)))
    store = f"http://127.0.0.1:{silent.getsockname()[1]}"
    gateway = start_gateway(
        database.url, OPENAI_BASE_URL=model.base_url, WEB_AUTH_API_KEY=WEB_KEY, CHAT_TOKEN_KEY=token_hex(32),
        OPERATOR_TOKEN=token_hex(32), TRUSTED_PROXIES="127.0.0.0/8", LOG_LEVEL="ERROR", REVENUECAT_API_KEY="key",
        REVENUECAT_PROJECT_ID="project", REVENUECAT_ENTITLEMENT_ID="entitlement", REVENUECAT_BASE_URL=store,
        APPLE_SHARED_SECRET=token_hex(16), APPLE_VERIFY_RECEIPT_URL=store,
    )  # fmt: skip
    started.callback(gateway.stop)
    return gateway


def _undergo(attack: Attack, gateway: MeasuredServer, quicker: int) -> Outcome:
    """Let an attack run its course, and honest clients beside it."""
    print(f"{attack.name} …", file=sys.stderr, flush=True)
    honest, is_over = Seen(), threading.Event()
    clients = [Client(gateway.port, honest) for _ in range(HONEST_CLIENTS)]
    phones = [threading.Thread(target=client.run, args=(is_over.is_set, HONEST_INTERVAL_SECONDS)) for client in clients]
    forget_peak_memory(gateway.pid)
    before = {process.pid for process in family(gateway.pid)}
    for phone in phones:
        phone.start()
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:  # not on the honest clients' lock
            budget = (max(LEAST_SECONDS, attack.seconds / quicker), attack.count // quicker)
            tally = apart.submit(attack.send, gateway.port, *budget).result()
    finally:
        is_over.set()
        for phone in phones:
            phone.join()
    if {process.pid for process in family(gateway.pid)} != before:
        tally.fault_count += 1
        tally.faults.append("a worker of the gateway has died")
    return Outcome(attack, tally, honest, peak_memory_bytes(gateway.pid))


def _report(outcomes: list[Outcome]) -> int:
    rows = [list(HEADINGS), ["---", *["---:"] * (len(HEADINGS) - 1)], *map(_row, outcomes)]
    print("\n".join(f"| {' | '.join(row)} |" for row in rows), end="\n\n")
    print(f"{sum(outcome.tally.requests for outcome in outcomes):,} hostile requests")
    held = True
    for outcome in outcomes:
        wrong = [f"an honest client: {text}" for text, _ in Counter(outcome.honest.wrong).most_common(MOST_EXAMPLES)]
        for text in (*outcome.tally.faults, *(f"hung: {text}" for text in outcome.tally.hangs), *wrong):
            held = False
            print(f"MISSED  {outcome.attack.name}: {text}")
        statuses = ", ".join(f"{count:,} × {status}" for status, count in outcome.tally.statuses.most_common())
        for remark in (*outcome.tally.remarks, *([statuses] if statuses else [])):
            print(f"        {outcome.attack.name}: {remark}")
    if held:
        print("met     no 5xx but those that are promised, nothing hung, every honest answer was right")
    return 0 if held else 1


def _row(outcome: Outcome) -> list[str]:
    tally, honest = outcome.tally, outcome.honest
    latencies = sorted(latency for minute in honest.latencies.values() for latency in minute)
    p50, p99 = (latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
    promised = ", ".join(f"{count:,} {problem}" for problem, count in tally.promised.most_common())
    return [
        outcome.attack.name, f"{tally.requests:,}", str(tally.fault_count), str(tally.hang_count), promised or "–",
        f"{outcome.peak_bytes / 1e6:.0f}", f"{1000 * p50:.0f}", f"{1000 * p99:.0f}",
        f"{honest.statuses[UNAVAILABLE]} of {sum(honest.statuses.values()):,}",
    ]  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
