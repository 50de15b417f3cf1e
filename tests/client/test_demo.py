"""`make demo` tells the whole story to a server that keeps its promises, and fails on each that does not."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests

from client.demo import STEPS
from local.processes import free_port
from tests.waiting import WAIT_SECONDS

Answered = tuple[int, bytes]
Responder = Callable[[str, str, bytes], Answered]  # method, path, body → status, content


def run_demo(base_url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "client.demo"],
        env=os.environ | {"BASE_URL": base_url},
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


@contextmanager
def serving(respond: Responder) -> Iterator[str]:
    """Run a server that answers what a function says, and give its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = respond(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            self.do_GET()

        def log_request(self, *_: Any, **__: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def relay(base_url: str, lie: Callable[[str, str, int, Any], tuple[int, Any]]) -> Responder:
    """Pass everything to an honest server, and let `lie` change what comes back."""

    def respond(method: str, path: str, body: bytes) -> Answered:
        answer = requests.request(method, base_url + path, data=body or None, timeout=WAIT_SECONDS)
        status, document = lie(method, path, answer.status_code, answer.json() if answer.content else {})
        return status, json.dumps(document).encode()

    return respond


def test_the_story_is_told_and_leaves_nothing_behind(servers, db):
    users = db.rows("SELECT id FROM users ORDER BY id")
    demo = run_demo(servers["gateway"].url + "/")
    assert (demo.returncode, demo.stderr) == (0, "")
    *told, last = demo.stdout.splitlines()
    assert [line.split(" ms  ")[1] for line in told] == [sentence for sentence, _ in STEPS]
    assert all(float(line.split(" ms  ")[0].split()[1]) >= 0 for line in told)
    assert last.startswith(f"All {len(STEPS)} steps went well on ")
    assert db.rows("SELECT id FROM users ORDER BY id") == users


def test_without_a_server_one_line_says_how_to_start_it():
    demo = run_demo(f"http://127.0.0.1:{free_port()}")
    assert (demo.returncode, demo.stdout) == (1, "")
    (line,) = demo.stderr.splitlines()
    assert "run `make serve` first" in line


@pytest.mark.parametrize(
    ("status", "content"),
    [(200, b"<html>hello</html>"), (200, b"{}"), (200, b"[]"), (200, b"null"), (200, b""), (404, b"{}"), (500, b"")],
)
def test_another_server_is_not_taken_for_this_one(status, content):
    with serving(lambda *_: (status, content)) as url:
        demo = run_demo(url)
    assert demo.returncode == 1
    assert "BROKEN" in demo.stdout
    assert "Traceback" not in demo.stderr
    assert "All" not in demo.stdout


def not_ready(_method, path, status, document):
    return (503, document) if path == "/health/ready" else (status, document)


def another_public_key(_method, path, status, document):
    return status, document | {"rsaPublicKey": "AAAA"} if path.startswith("/user/") and status == 200 else document


def changed_plan(_method, path, status, document):
    if path == "/users":
        for user in document["users"].values():
            user["encryptedCurrentPlan"] = user["encryptedName"]
    return status, document


def unsealed_messages(method, path, status, document):
    if (method, path) == ("POST", "/inbox"):
        for message in document["inboxMessages"]:
            message["encryptedMessage"].reverse()
    return status, document


def a_feed_in_wrong_order(_method, path, status, document):
    return status, document | {"events": document["events"][::-1]} if path == "/events" else document


def a_feed_with_changed_events(_method, path, status, document):
    if path == "/events":
        for event in document["events"]:
            event["encryptedEventIV"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    return status, document


def any_password(_method, _path, status, document):
    return (200, {}) if status == 401 else (status, document)


def no_invalid_secrets(_method, path, status, document):
    return status, document | {"invalidFollowSecrets": []} if path == "/events" else document


def accounts_that_stay(method, path, status, document):
    return (200, {}) if status == 404 and method == "GET" and path.startswith("/user/") else (status, document)


@pytest.mark.parametrize(
    ("lie", "broken"),
    [
        (not_ready, "The server answers"),
        (another_public_key, "Ben finds Ada"),
        (unsealed_messages, "Ada's phone collects the request"),
        (changed_plan, "Ben reads Ada's name and plan"),
        (a_feed_in_wrong_order, "Ben's feed shows both"),
        (a_feed_with_changed_events, "Ben's feed shows both"),
        (any_password, "Somebody tries Ada's account"),
        (no_invalid_secrets, "Ada revokes Ben"),
        (accounts_that_stay, "Both delete their accounts"),
    ],
)
def test_each_broken_promise_ends_the_story_where_it_is_broken(servers, db, lie, broken):
    users = db.rows("SELECT id FROM users ORDER BY id")
    with serving(relay(servers["gateway"].url, lie)) as url:
        demo = run_demo(url)
    assert demo.returncode == 1
    assert f"BROKEN  {broken}" in demo.stdout.splitlines()[-1]
    assert demo.stderr.startswith("make demo: ")
    assert "Traceback" not in demo.stderr
    assert db.rows("SELECT id FROM users ORDER BY id") == users


def test_an_inbox_that_repeats_its_messages_is_noticed(servers):
    seen: list[Any] = []

    def repeat(method, path, status, document):
        if (method, path) == ("POST", "/inbox") and status == 200:
            seen.extend(document["inboxMessages"])
            document = {"inboxMessages": seen}
        return status, document

    with serving(relay(servers["gateway"].url, repeat)) as url:
        demo = run_demo(url)
    assert demo.returncode == 1
    assert "Ada's inbox gave its message twice" in demo.stderr
