"""Greedy clients: the largest request and the largest answer of every route, in turn, from 16 clients at once.

    python -m bench.greedy                                   # the gateway, five minutes
    python -m bench.greedy --function user --seconds 60      # a function alone, with the manifest's 16 threads
    python -m bench.greedy --cpu                             # what each costs, one after the other

It prints what came back and the memory of the process that answers, and ends with status 1 if that passes its goal or
something was answered with a fault of ours other than "come back later".
"""

import argparse
import random
import socket
import sys
import threading
import time
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any
from uuid import UUID, uuid4

import psutil

from bench import world
from bench.databases import measured_database
from bench.routes import request
from bench.servers import ROOT, MeasuredServer, cpu_seconds
from bench.world import PASSWORD
from shared.data.pool import Database
from shared.settings.planner import threads_with_chats

CLIENTS = 16
ANSWER_SECONDS = 60.0
PEAK_GOAL_BYTES = 512 * 1024 * 1024
REST_GOAL_BYTES = 200 * 1024 * 1024
REST_SECONDS = 3.0
REPEATS = 11
PICTURE_BYTES = 2_048_000
PART_BYTES = 262_144  # of plans, events and shared items
CHUNK_BYTES = 1_024
CHUNKS = 20
PUBLISHERS = 12
FRIENDS = 1_000
ENVELOPE_OBJECTS = 400_000  # 4 MB
_SIZED = """
    UPDATE users SET encrypted_profile_picture = :picture, encrypted_current_plan = :plan
    WHERE id = ANY(CAST(:ids AS uuid[]))
"""
_EVENTS = """
    INSERT INTO user_events (user_id, id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv)
    SELECT id, gen_random_uuid(), now() - number * interval '1 minute', now(), now() + interval '90 days', :event, :iv
    FROM unnest(CAST(:ids AS uuid[])) AS id, generate_series(1, 10) AS number
"""
_MESSAGES = """
    INSERT INTO user_inbox_items (id, user_id, encrypted_message)
    SELECT gen_random_uuid(), CAST(:user_id AS uuid), array_fill(CAST(:chunk AS bytea), ARRAY[20])
    FROM generate_series(1, 1000)
"""
_TAKEN_IN = frozenset({200, 400, 401, 404, 429, 503})


@dataclass
class GreedyRun:
    """What came of it."""

    statuses: Counter[int] = field(default_factory=Counter)  # 0 is no answer
    peak_bytes: int = 0  # resident, of the process that answers
    rest_bytes: int = 0  # the same a moment after the last answer

    @property
    def is_good(self) -> bool:
        return (
            set(self.statuses) <= _TAKEN_IN
            and self.statuses[200] > 0
            and self.peak_bytes <= PEAK_GOAL_BYTES
            and self.rest_bytes <= REST_GOAL_BYTES
        )


class Wishes:
    """The dearest requests there are, ready to be sent. Their accounts are put into the database."""

    def __init__(self, db: Database, function: str) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._inhabited = world.create(db, 0)
        self._rich = [str(user_id) for user_id in self._inhabited.residents[:PUBLISHERS]]
        ids = self._inhabited.residents[:PUBLISHERS]
        db.rows(_SIZED, picture=_random(PICTURE_BYTES), plan=_random(PART_BYTES), ids=ids)
        db.rows(_EVENTS, event=_random(PART_BYTES), iv=_random(16), ids=ids)
        of_user = {
            "PUT /user": self._put_user, "PUT /user, a wrong password": self._wrong_password,
            "GET /user/{id_or_lookup}": self._get_user, "POST /users": self._list_users,
            "POST /, 4 MB of small objects": self._envelope,
        }  # fmt: skip
        others = {
            "PUT /event": self._put_event, "POST /events": self._poll, "PUT /inbox": self._put_message,
            "POST /shareditem": self._share, "GET /shareditem/{item_id}": self._get_shared,
        }  # fmt: skip
        self.kinds: dict[str, Callable[[], bytes]] = of_user if function == "user" else of_user | others
        self._ready = [kind() for kind in self.kinds.values() for _ in range(2)]
        self._takes = 0 if function == "user" else 2

    def next(self) -> bytes:
        """Return a request."""
        if random.randrange(len(self._ready) + self._takes) < self._takes:  # noqa: S311 # nosec B311
            return self.take_messages()
        return random.choice(self._ready)  # noqa: S311 # nosec B311

    def _put_user(self, password: str = PASSWORD) -> bytes:
        return _request("PUT", "/user", {
            "id": random.choice(self._rich), "password": password,  # noqa: S311 # nosec B311
            "encryptedProfilePicture": _base64(PICTURE_BYTES), "encryptedCurrentPlan": _base64(PART_BYTES),
            "encryptionIV": _base64(16), "rsaPublicKey": _base64(1024),
        })  # fmt: skip

    def _wrong_password(self) -> bytes:
        return self._put_user("wrong")

    def _list_users(self) -> bytes:
        return _request("POST", "/users", {"ids": self._rich[:4] + [str(uuid4()) for _ in range(FRIENDS - 4)]})

    def _get_user(self) -> bytes:
        return _request("GET", f"/user/{self._rich[0]}")

    def _envelope(self) -> bytes:
        return _request("POST", "/", {"route": "PUT /user", "body": [{"a": 1}] * ENVELOPE_OBJECTS})

    def _put_event(self) -> bytes:
        return _request("PUT", "/event", {
            "userId": self._rich[0], "password": PASSWORD, "eventId": str(uuid4()), "expiry": _EXPIRY,
            "encryptedEventPayload": _base64(PART_BYTES), "encryptedEventIV": _base64(16),
        })  # fmt: skip

    def _poll(self) -> bytes:
        asked = [{"userId": one, "followSecret": one, "since": world.SINCE_ALL} for one in self._rich]
        return _request("POST", "/events", {"users": asked})

    def _put_message(self) -> bytes:
        chunks = [_base64(CHUNK_BYTES)] * CHUNKS
        return _request("PUT", "/inbox", {"toUserId": str(self._resident()), "encryptedMessage": chunks})

    def take_messages(self) -> bytes:
        """Fill an inbox, and return the request that takes it."""
        user_id = self._resident()
        with self._lock:
            self._db.rows(_MESSAGES, user_id=user_id, chunk=_random(CHUNK_BYTES))
        return _request("POST", "/inbox", {"userId": str(user_id), "password": PASSWORD})

    def _share(self) -> bytes:
        return _request("POST", "/shareditem", {
            "userId": self._rich[0], "password": PASSWORD, "encryptedPayload": {
                "encryptedPayload": _base64(PART_BYTES), "iv": {"value": _base64(16)}}, "expiry": _EXPIRY,
        })  # fmt: skip

    def _get_shared(self) -> bytes:
        return _request("GET", f"/shareditem/{self._inhabited.item_ids[0]}")

    def _resident(self) -> UUID:
        return random.choice(self._inhabited.residents[PUBLISHERS:])  # noqa: S311 # nosec B311


_EXPIRY = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 90 * 24 * 3600))


def _random(byte_count: int) -> bytes:
    return random.randbytes(byte_count)  # noqa: S311 # nosec B311


def _base64(byte_count: int) -> str:
    return b64encode(_random(byte_count)).decode()


def _request(method: str, path: str, body: Any = None) -> bytes:
    encoding = random.choice(["gzip", "identity"])  # noqa: S311 # nosec B311
    return request(method, path, body, Accept_Encoding=encoding, Connection="close")


def greed(db: Database, server: MeasuredServer, function: str, seconds: float) -> GreedyRun:
    """Have 16 clients ask for so many seconds, and return what came of it."""
    outcome, wishes = GreedyRun(), Wishes(db, function)
    (process,) = psutil.Process(server.pid).children()
    deadline = time.monotonic() + seconds
    clients = [threading.Thread(target=_ask, args=[server.port, wishes, outcome, deadline]) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    while any(client.is_alive() for client in clients):
        outcome.peak_bytes = max(outcome.peak_bytes, process.memory_info().rss)
        time.sleep(0.02)
    time.sleep(REST_SECONDS)
    outcome.rest_bytes = process.memory_info().rss
    return outcome


def dearest(db: Database, server: MeasuredServer) -> dict[str, float]:
    """Return the CPU time in milliseconds that the dearest request of each route costs, its answer compressed."""
    wishes = Wishes(db, "gateway")
    costs = {}
    for name, kind in (wishes.kinds | {"POST /inbox": wishes.take_messages}).items():
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
    parser.add_argument("--function", default="gateway", choices=["gateway", "user"], help="who is asked")
    parser.add_argument("--cpu", action="store_true", help="the CPU time of each, instead")
    options = parser.parse_args()
    with ExitStack() as started:
        database = started.enter_context(measured_database())
        db = Database(database.url, 2, 30)
        started.callback(db.close)
        settings = {"DATABASE_URL": database.url, "ENVIRONMENT": "local", "TEST_MODE": "true"}
        settings["THREADS"] = "16" if options.function == "user" else str(threads_with_chats())
        source = ROOT / "functions" / options.function / "main.py"
        server = MeasuredServer(options.function, source, settings, one_cpu=False)
        started.callback(server.stop)
        if options.cpu:
            for name, milliseconds in sorted(dearest(db, server).items(), key=lambda cost: -cost[1]):
                print(f"| `{name}` | {milliseconds:.0f} |")
            return 0
        outcome = greed(db, server, options.function, options.seconds)
    answers = ", ".join(f"{count:,} × {status or 'none'}" for status, count in sorted(outcome.statuses.items()))
    print(f"{options.function}: {sum(outcome.statuses.values()):,} requests: {answers}")
    print(
        f"resident at most {outcome.peak_bytes >> 20} MiB (goal 512), afterwards {outcome.rest_bytes >> 20} (goal 200)"
    )
    return 0 if outcome.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
