"""`make soak`: ten minutes at half of the greatest load, with a restart of the database in the middle.

Every answer is checked: what was acknowledged must be found again. Errors may only come during the outage, and must be
503 with Retry-After. Memory must stay flat. Prints a line a minute and a verdict on each, and ends with status 1 if one
is missed.
"""

import argparse
import http.client
import json
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psutil

from bench.databases import measured_database
from bench.servers import MeasuredServer, start_gateway

CLIENTS = 8
OUTAGE_SECONDS = 5.0
GRACE_SECONDS = 8.0  # after the outage, for connections that wait for their time-outs
MEASURED_SECONDS = 10.0
MEMORY_GROWTH = 1.10
MINUTE = 60.0
EVENT = {"encryptedEventPayload": "A" * 1368, "encryptedEventIV": "A" * 22 + "==", "expiry": "2999-01-01T00:00:00Z"}
MESSAGE = {"encryptedMessage": ["A" * 344] * 4}
OK, UNAVAILABLE = 200, 503


@dataclass
class Seen:
    """What all clients saw. Times are seconds since the soak's beginning."""

    start: float = field(default_factory=time.monotonic)
    latencies: dict[int, list[float]] = field(default_factory=dict)  # by minute
    statuses: Counter[int] = field(default_factory=Counter)
    errors_at: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, sent_at: float, status: int, wrong: str | None) -> None:
        """Note one answer."""
        now = time.monotonic()
        with self.lock:
            self.statuses[status] += 1
            self.latencies.setdefault(int((now - self.start) // MINUTE), []).append(now - sent_at)
            if status != OK:
                self.errors_at.append(now - self.start)
            if wrong:
                self.wrong.append(wrong)


class Client:
    """One phone: publishes, polls what it published, writes to itself and reads it, over one connection."""

    def __init__(self, port: int, seen: Seen) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._seen = seen
        created = self._call("POST", "/user/create", {})
        self._credentials = {"userId": created["id"], "password": created["password"]}
        self._lookup = created["lookup"]
        self._secret = str(uuid4())
        self._call("PUT", "/follow-secret", {**self._credentials, "followSecret": self._secret})
        self._newest = "2000-01-01T00:00:00Z"
        self._unread: set[str] = set()  # events that were acknowledged and not polled yet
        self._waiting = 0  # messages that were acknowledged and not read yet
        self._may_wait = 0  # those of which nothing is known

    def run(self, is_over: Callable[[], bool], interval: float) -> None:
        """Ask once in each interval until it is over; whoever is late asks at once."""
        due = time.monotonic()
        while not is_over():
            for act in (self._publish, self._poll, self._look, self._publish, self._poll, self._write, self._read):
                time.sleep(max(0.0, due - time.monotonic()))
                act()
                due += interval
        self._connection.close()

    def _publish(self) -> None:
        event_id = str(uuid4())
        if self._call("PUT", "/event", {**self._credentials, "eventId": event_id, **EVENT}) is not None:
            self._unread.add(event_id)

    def _poll(self) -> None:
        asked = {"userId": self._credentials["userId"], "followSecret": self._secret, "since": self._newest}
        answer = self._call("POST", "/events", {"users": [asked]})
        if answer is None:
            return
        found = {event["eventId"] for event in answer["events"]}
        if not self._unread <= found or answer["invalidFollowSecrets"]:
            self._seen.wrong.append("a poll without an event that was acknowledged")
        self._unread.clear()
        self._newest = max([self._newest, *(event["timestamp"] for event in answer["events"])])

    def _look(self) -> None:
        answer = self._call("GET", f"/user/{self._lookup}", None)
        if answer is not None and answer["id"] != self._credentials["userId"]:
            self._seen.wrong.append("another user's profile")

    def _write(self) -> None:
        if self._call("PUT", "/inbox", {"toUserId": self._credentials["userId"], **MESSAGE}) is None:
            self._may_wait += 1
        else:
            self._waiting += 1

    def _read(self) -> None:
        answer = self._call("POST", "/inbox", self._credentials)
        if answer is None:
            self._may_wait, self._waiting = self._may_wait + self._waiting, 0  # taken or not, nobody knows
            return
        if not self._waiting <= len(answer["inboxMessages"]) <= self._waiting + self._may_wait:
            self._seen.wrong.append("an inbox with too few or too many messages")
        self._waiting = self._may_wait = 0

    def _call(self, method: str, path: str, body: Any) -> Any:
        """Return what a 200 holds, None for the refusal of an outage; anything else is noted as wrong."""
        sent_at = time.monotonic()
        content = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._seen.note(sent_at, 0, f"{method} {path}: {type(error).__name__}")
            return None
        wrong = None
        if answer.status not in {OK, UNAVAILABLE} or (
            answer.status == UNAVAILABLE and not answer.headers["Retry-After"]
        ):
            wrong = f"{method} {path}: {answer.status} {text[:200]!r}"
        self._seen.note(sent_at, answer.status, wrong)
        return json.loads(text) if answer.status == OK else None


class Watcher:
    """Notes the gateway's memory once a second."""

    def __init__(self, pid: int) -> None:
        self.samples: list[int] = []
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        arbiter = psutil.Process(self._pid)
        while not self._done.wait(1):
            with suppress(psutil.NoSuchProcess):
                self.samples.append(sum(p.memory_info().rss for p in [arbiter, *arbiter.children(recursive=True)]))

    def stop(self) -> None:
        self._done.set()
        self._thread.join()


def main() -> int:
    """Soak, print, and return 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default 10)")
    minutes = parser.parse_args().minutes
    with ExitStack() as started:
        database = started.enter_context(measured_database())
        gateway = start_gateway(database.url)
        started.callback(gateway.stop)
        seen = Seen()
        _join(_begin(gateway, seen, MEASURED_SECONDS, rate=None))
        greatest = sum(seen.statuses.values()) / MEASURED_SECONDS
        print(f"greatest load {greatest:.0f} requests/s with {CLIENTS} clients; soaking at half of it", flush=True)
        seen, watcher = Seen(), Watcher(gateway.pid)
        clients = _begin(gateway, seen, minutes * MINUTE, rate=greatest / 2)
        _wait(seen, 0, minutes / 2)
        database.postgres.stop()
        time.sleep(OUTAGE_SECONDS)
        database.postgres.start()
        _wait(seen, minutes / 2, minutes)
        _join(clients)
        watcher.stop()
    return _report(seen, watcher.samples, minutes)


def _begin(gateway: MeasuredServer, seen: Seen, seconds: float, *, rate: float | None) -> list[threading.Thread]:
    """Have all clients ask for some time, at a rate of all together or as fast as they can."""
    clients = [Client(gateway.port, seen) for _ in range(CLIENTS)]
    end = time.monotonic() + seconds
    interval = CLIENTS / rate if rate else 0.0
    threads = [
        threading.Thread(target=client.run, args=(lambda: time.monotonic() >= end, interval)) for client in clients
    ]
    for thread in threads:
        thread.start()
    return threads


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


def _wait(seen: Seen, from_minute: float, to_minute: float) -> None:
    """Wait until so many minutes have passed since the beginning, and print each that is over."""
    for minute in range(int(from_minute) + 1, int(to_minute) + 1):
        time.sleep(max(0.0, seen.start + minute * MINUTE - time.monotonic()))
        print(_minute(seen, minute - 1), flush=True)
    time.sleep(max(0.0, seen.start + to_minute * MINUTE - time.monotonic()))


def _minute(seen: Seen, minute: int) -> str:
    with seen.lock:
        latencies = sorted(seen.latencies.get(minute, [0.0]))
        errors = sum(minute * MINUTE <= at < (minute + 1) * MINUTE for at in seen.errors_at)
    p50, p95, p99 = (1000 * latencies[int(len(latencies) * share)] for share in (0.5, 0.95, 0.99))
    figures = f"p50 {p50:.1f} p95 {p95:.1f} p99 {p99:.1f} ms"
    return f"minute {minute + 1:3}: {len(latencies):7,} answers, {errors:4} of them 503, {figures}"


def _report(seen: Seen, memory: list[int], minutes: float) -> int:
    begin = minutes * MINUTE / 2
    outside = [at for at in seen.errors_at if not begin <= at <= begin + OUTAGE_SECONDS + GRACE_SECONDS]
    quarter = max(1, len(memory) // 4)
    early, late = statistics.median(memory[quarter : 2 * quarter]), statistics.median(memory[-quarter:])
    answers, refusals = sum(seen.statuses.values()), seen.statuses[UNAVAILABLE]
    verdicts = [
        (not seen.wrong, f"wrong answers: {len(seen.wrong)} of {answers:,} {Counter(seen.wrong).most_common(3) or ''}"),
        (refusals > 0, f"the outage was seen: {refusals} times 503, each with Retry-After"),
        (not outside, f"errors outside of the outage: {len(outside)}"),
        (late <= early * MEMORY_GROWTH, f"memory: {early / 1e6:.0f} MB before it, {late / 1e6:.0f} MB at the end"),
    ]
    for holds, text in verdicts:
        print(f"{'met   ' if holds else 'MISSED'}  {text}")
    return 0 if all(holds for holds, _ in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
