"""The memory of a process stays bounded, whatever is asked of it at once (bench/greedy.py asks for longer)."""

import json
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import psutil
import pytest

from bench.limits import memory_group
from functions.user.schemas import MAX_PICTURE_BYTES, MAX_PLAN_BYTES
from tests.processes import peak_bytes, worker_of
from tests.raw_http import ask, request
from tests.servers import Server
from tests.users import User, base64
from tests.waiting import wait_for

MIB = 1024 * 1024
AT_ONCE = 16
REQUESTS = 64
CROWD = [{"a": 1}] * 400_000  # 4 MB
PICTURES_IN_ANSWER = 8 * MIB // MAX_PICTURE_BYTES


@pytest.fixture
def server(database_url):
    """The function `user` as the cloud runs it: 16 threads, and killed at 512 MiB where we may have that done."""
    with memory_group(512 * MIB) as group:
        server = Server("user", DATABASE_URL=database_url, THREADS="16", DB_POOL_SIZE="2", TEST_MODE="true",
                        ENVIRONMENT="local")  # fmt: skip
        if group:
            group.take(server.process.pid)
            for worker in psutil.Process(server.process.pid).children():
                group.take(worker.pid)
        yield server
        server.stop()


def new_user(server):
    created = json.loads(ask(server.port, request("POST", "/user/create", {})).content)
    return User(created["id"], created["lookup"], created["password"])


@pytest.mark.slow
def test_the_largest_requests_and_answers_fit_into_an_instance(server):
    users = [new_user(server) for _ in range(PICTURES_IN_ANSWER)]
    large = {
        "encryptedProfilePicture": base64(MAX_PICTURE_BYTES), "encryptedCurrentPlan": base64(MAX_PLAN_BYTES),
    }  # fmt: skip
    for user in users:
        assert ask(server.port, request("PUT", "/user", user.profile(**large))).status == 200
    asked = [
        request("PUT", "/user", users[0].profile(password="wrong", **large)),
        request("POST", "/users", {"ids": [user.id for user in users]}, {"Accept-Encoding": "gzip"}),
        request("POST", "/", {"route": "PUT /user", "body": CROWD}),
        request("POST", "/users", {"ids": [user.id for user in users]}),
    ]
    worker = worker_of(server)
    with ThreadPoolExecutor(AT_ONCE) as executor:
        statuses = set(executor.map(lambda one: ask(server.port, one).status, islice(cycle(asked), REQUESTS)))
    assert worker.is_running(), "it was killed"
    assert {200, 400, 401} <= statuses <= {200, 400, 401, 503}
    assert peak_bytes(worker) < 400 * MIB
    wait_for(lambda: worker.memory_info().rss < 200 * MIB)
