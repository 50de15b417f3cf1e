"""Greedy clients: the largest request and the largest answer of every route, in turn, from 16 clients at once.

    python -m bench.greedy                                   # the gateway, five minutes
    python -m bench.greedy --function user --seconds 60      # a function alone, with the manifest's threads and memory
    python -m bench.greedy --cpu                             # what each costs, one after the other

The processes live in a control group with the memory that an instance has, where this account may make one, and are
killed if they use more. It prints what came back and the memory of the process that answers, and ends with status 1 if
that passes its goal or something was answered with a fault of ours other than "come back later".
"""

import argparse
import socket
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse

import psutil
import yaml

from bench.databases import measured_database
from bench.dearest import GATEWAY, Wishes
from bench.limits import memory_group
from bench.servers import ROOT, MeasuredServer, cpu_seconds
from shared.data.pool import Database
from shared.settings.planner import threads_with_chats

FAMILIES = ("user", "event", "inbox", "shared_item", "follow_secret")
CLIENTS = 16
ANSWER_SECONDS = 60.0
MIB = 1024 * 1024
GATEWAY_MIB = 512
REST_GOAL_BYTES = 200 * MIB
REST_SECONDS = 3.0
REPEATS = 11
_TAKEN_IN = frozenset({200, 400, 401, 404, 429, 503})


@dataclass
class GreedyRun:
    """What came of it."""

    statuses: Counter[int] = field(default_factory=Counter)  # 0 is no answer
    peak_bytes: int = 0  # resident, of the process that answers
    rest_bytes: int = 0  # the same a moment after the last answer
    was_killed: bool = False

    def is_good(self, limit_bytes: int) -> bool:
        return (
            set(self.statuses) <= _TAKEN_IN
            and self.statuses[200] > 0
            and not self.was_killed
            and self.peak_bytes <= limit_bytes
            and self.rest_bytes <= REST_GOAL_BYTES
        )


def greed(db: Database, server: MeasuredServer, function: str, seconds: float) -> GreedyRun:
    """Have 16 clients ask for so many seconds, and return what came of it."""
    outcome, wishes = GreedyRun(), Wishes(db, function)
    (process,) = psutil.Process(server.pid).children()
    deadline = time.monotonic() + seconds
    clients = [threading.Thread(target=_ask, args=[server.port, wishes, outcome, deadline]) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    while any(client.is_alive() for client in clients):
        outcome.peak_bytes = max(outcome.peak_bytes, _resident_bytes(process))
        time.sleep(0.02)
    time.sleep(REST_SECONDS)
    outcome.rest_bytes = _resident_bytes(process)
    outcome.was_killed = not outcome.rest_bytes
    return outcome


def _resident_bytes(process: psutil.Process) -> int:
    """Return what a process holds, 0 if it has ended."""
    with suppress(psutil.NoSuchProcess):
        return process.memory_info().rss
    return 0


def dearest(db: Database, server: MeasuredServer) -> dict[str, float]:
    """Return the CPU time in milliseconds that the dearest request of each route costs, its answer compressed."""
    costs = {}
    for name, kind in Wishes(db, GATEWAY).kinds.items():
        wished = [kind().replace(b": identity", b": gzip") for _ in range(REPEATS)]
        _status(server.port, wished[0])
        before = cpu_seconds(server.pid)
        for wish in wished[1:]:
            _status(server.port, wish)
        costs[name] = (cpu_seconds(server.pid) - before) / (REPEATS - 1) * 1000
    return costs


def _ask(port: int, wishes: Wishes, outcome: GreedyRun, deadline: float) -> None:
    while time.monotonic() < deadline:
        outcome.statuses[_status(port, wishes.next())] += 1


def _status(port: int, wish: bytes) -> int:
    """Send a request, read its whole answer, and return its status; 0 if there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), ANSWER_SECONDS) as connection:
            connection.sendall(wish)
            response = HTTPResponse(connection)
            response.begin()
            response.read()
            return response.status
    except (OSError, HTTPException):
        return 0


def main() -> int:
    """Run, print, and return 1 if a goal was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.greedy", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long (default 300)")
    parser.add_argument("--function", default=GATEWAY, choices=[GATEWAY, *FAMILIES], help="who is asked")
    parser.add_argument("--cpu", action="store_true", help="the CPU time of each, instead")
    options = parser.parse_args()
    memory_mib, threads = _instance(options.function)
    with ExitStack() as started:
        database = started.enter_context(measured_database())
        db = Database(database.url, 2, 30)
        started.callback(db.close)
        settings = {"DATABASE_URL": database.url, "ENVIRONMENT": "local", "TEST_MODE": "true", "THREADS": str(threads)}
        source = ROOT / "functions" / options.function / "main.py"
        group = started.enter_context(memory_group(memory_mib * MIB))
        server = MeasuredServer(options.function, source, settings, one_cpu=False, group=group)
        started.callback(server.stop)
        if options.cpu:
            for name, milliseconds in sorted(dearest(db, server).items(), key=lambda cost: -cost[1]):
                print(f"| `{name}` | {milliseconds:.0f} |")
            return 0
        outcome = greed(db, server, options.function, options.seconds)
    answers = ", ".join(f"{count:,} × {status or 'none'}" for status, count in sorted(outcome.statuses.items()))
    print(f"{options.function}: {sum(outcome.statuses.values()):,} requests: {answers}")
    limited = "limited to" if group else "not limited on this machine, goal"
    print(
        f"{'killed; ' if outcome.was_killed else ''}resident at most {outcome.peak_bytes // MIB} MiB"
        f" ({limited} {memory_mib}), afterwards {outcome.rest_bytes // MIB} (goal {REST_GOAL_BYTES // MIB})"
    )
    return 0 if outcome.is_good(memory_mib * MIB) else 1


def _instance(function: str) -> tuple[int, int]:
    """Return the memory in MiB and the threads of an instance: a gateway's as self-hosters have it."""
    if function == GATEWAY:
        return GATEWAY_MIB, threads_with_chats()
    entry = yaml.safe_load((ROOT / "functions" / "manifest.yaml").read_text())["functions"][function]
    return entry["memory"], entry["concurrency"]


if __name__ == "__main__":
    sys.exit(main())
