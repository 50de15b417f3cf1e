"""Production as planned, running: every route reaches its function, and nothing that goes wrong answers 404.

Installed apps delete their account when they get a 404, so only a function that has asked the database may say so.
"""

import copy
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import psutil
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

import migrations
from local.processes import free_port
from rehearsal.balancer import Balancer
from rehearsal.terraform import Plan
from rehearsal.url_map import UnknownRule, UrlMap
from tests.client.test_demo import run_demo
from tests.hub_clients import Polling, Socket, frame, invocation
from tests.servers import manifest
from tests.terraform.planning import DOMAIN, ROOT
from tests.users import User
from tests.waiting import WAIT_SECONDS, wait_for

MIB = 1024 * 1024
FAMILIES = {name: entry for name, entry in manifest().items() if entry["access"] == "public"}
PRIVATE = {name: entry for name, entry in manifest().items() if entry["access"] == "private"}
ROUTES = [(name, *route.split(" ")) for name, entry in FAMILIES.items() for route in entry["routes"]]
PRIVATE_ROUTES = [route.split(" ") for entry in PRIVATE.values() for route in entry["routes"]]
PATHS_OF_NOBODY = [
    "/", "/nothing", "/v2", "/v2/", "/v2/v2/health", "/users/x", "/userx", "//user/x", "/ai-chat/", "/.well-known/x",
    "/docs", "/metrics/dashboard", "/v2/metrics", "/v2/Cleanup", "/user%2Fcreate", "/robots.txt",
]  # fmt: skip


def ask(topology, method, path, **options):
    return requests.request(method, topology.url + path, timeout=WAIT_SECONDS, **options)


def concrete(path):
    return path.replace("{id_or_lookup}", "nobody").replace("{item_id}", str(uuid4()))


# Routes


def test_the_demo_plays_behind_the_load_balancer(topology):
    ran = run_demo(topology.url)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "nothing is left behind" in ran.stdout


def test_the_smoke_test_passes_behind_the_load_balancer(topology):
    """As after a deployment: metrics are asked of the operators' gateway, all else of the load balancer."""
    operator = {"OPERATOR_URL": topology.functions["operator"].url, "OPERATOR_TOKEN": "anything"}
    ran = subprocess.run(
        ["scripts/smoke.sh", topology.url, "--environment=production"],
        cwd=ROOT,
        env=os.environ | operator,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.endswith(f"{topology.url} is well\n")


@pytest.mark.parametrize(("family", "method", "path"), ROUTES)
def test_every_public_route_is_answered_by_a_function(topology, family, method, path):
    for form in (concrete(path), f"/v2{concrete(path).upper()}"):
        answer = ask(topology, method, form, json={} if method in {"POST", "PUT"} else None)
        assert answer.headers["Via"] == "1.1 google"  # only what a function says has it
        assert answer.headers["Content-Type"].startswith(("application/", "text/plain")) or not answer.content
        assert topology.url_map.find(DOMAIN, form) == topology.functions[family].name


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/"), *(("GET", path) for path in PATHS_OF_NOBODY), *PRIVATE_ROUTES]
)
def test_what_belongs_to_nobody_or_to_operators_is_503(topology, method, path):
    body = {"route": "GET /metrics"} if method == "POST" else None
    for prefix in ("", "/v2") if path != "/" else ("",):
        answer = ask(topology, method, prefix + path, json=body)
        assert answer.status_code == 503
        assert "Via" not in answer.headers


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#")), st.sampled_from(["", "/v2"])
)
def test_whatever_else_a_path_says_is_503(production, path, prefix):
    url_map = UrlMap(production)
    known = {concrete(path) for _, _, path in ROUTES}
    prefixes = tuple(path.partition("{")[0] for _, _, path in ROUTES if "{" in path)
    path = f"/{path}"
    if path.lower() not in known and not path.lower().startswith(prefixes) and not path.lower().startswith("/v2"):
        assert url_map.find(DOMAIN, prefix + path) == 503


@pytest.mark.parametrize("host", ["example.com", f"x.{DOMAIN}", "", "run.app", "metadata.google.internal"])
def test_another_host_is_503(topology, host):
    assert ask(topology, "GET", "/health", headers={"Host": host}).status_code == 503


@pytest.mark.parametrize("host", [DOMAIN, DOMAIN.upper(), f"{DOMAIN}:443", f"candidate.{DOMAIN}"])
def test_the_domain_and_the_candidates_host_are_served(topology, host):
    assert ask(topology, "GET", "/health", headers={"Host": host}).json() == {"status": "ok"}


def test_what_the_database_says_comes_through(topology):
    assert ask(topology, "GET", "/user/nobody").status_code == 404
    assert ask(topology, "GET", f"/shareditem/{uuid4()}").status_code == 404


# Functions


def environment_of(topology, family):
    return psutil.Process(topology.functions[family].process.pid).environ()


@pytest.mark.parametrize(
    ("variable", "readers"), [("CHAT_TOKEN_KEY", {"ai_chat"}), ("WEB_AUTH_API_KEY", {"ai", "ai_chat"})]
)
def test_a_function_has_the_secrets_that_it_may_read_and_no_others(topology, variable, readers):
    holders = {family for family in topology.functions if variable in environment_of(topology, family)}
    assert holders == readers | {"operator"}


def test_functions_run_with_the_settings_of_the_plan(topology):
    for family, entry in manifest().items():
        environment = environment_of(topology, family)
        assert environment["ENVIRONMENT"] == "production"
        assert environment["DB_POOL_SIZE"] == str(entry["pool"])
        assert environment["THREADS"] == str(entry["concurrency"])
        assert environment.get("OPERATOR_IAM") == ("true" if entry["access"] == "private" else None)
        assert not {"GCP_PROJECT_ID", "INSTANCE_CONNECTION_NAME", "CLEANUP_JOB"} & set(environment)


def test_operators_reach_the_private_functions_at_their_own_addresses(topology):
    cleanup = requests.post(topology.functions["cleanup"].url, json={"dry_run": True}, timeout=WAIT_SECONDS)
    assert cleanup.json()["dry_run"] is True
    migrated = requests.post(topology.functions["migrate"].url, json={}, timeout=WAIT_SECONDS)
    assert migrated.json()["after"] == migrations.head()  # and no rights are given to users that only the cloud has
    assert "slo" in requests.get(topology.functions["metrics"].url + "/metrics/summary", timeout=WAIT_SECONDS).json()
    operator = topology.functions["operator"].url
    assert requests.post(operator, json={"route": "GET /user/nobody"}, timeout=WAIT_SECONDS).status_code == 404
    assert requests.post(operator, json={"route": "GET /metrics/summary"}, timeout=WAIT_SECONDS).status_code == 200


def test_a_stopped_function_is_503_and_the_others_go_on(topology):
    function = topology.functions["shared_item"]
    path = f"/shareditem/{uuid4()}"
    function.stop()
    try:
        answer = ask(topology, "GET", path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert ask(topology, "GET", "/user/nobody").status_code == 404
    finally:
        topology.revive()
        function.wait_until_listening()
    assert ask(topology, "GET", path).status_code == 404


def test_a_function_that_dies_in_the_middle_is_503(topology, db):
    """It is killed while it waits for a row that somebody else has locked."""
    created = ask(topology, "POST", "/user/create", json={}).json()
    user = User(created["id"], created["lookup"], created["password"])
    function, answers = topology.functions["user"], []
    sender = threading.Thread(target=lambda: answers.append(ask(topology, "PUT", "/user", json=user.profile())))
    holder = db.connection_apart()
    holder.run("BEGIN", {})
    holder.run("SELECT id FROM users WHERE id = :id FOR UPDATE", {"id": user.id})
    sender.start()
    wait_for(lambda: db.rows("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%users%'"))
    os.killpg(function.process.pid, signal.SIGKILL)
    sender.join(30)
    holder.close()
    function.process.wait()
    topology.revive()
    function.wait_until_listening()
    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in answers] == [(503, "2")]
    assert ask(topology, "GET", f"/user/{user.id}").status_code == 200


def test_the_chat_hubs_answer_over_websockets_and_long_polling(topology):
    for hub in ("/ai-chat", "/v2/AI-Chat-V2"):
        with Socket(topology.url, hub) as chat:
            chat.greet()
            chat.send(frame(invocation("SendMessage", "How often?", *([3] if "V2" in hub else []))))
            assert chat.receive_until(type=3, invocationId="1")
    polling = Polling(topology.url, "/ai-chat").open()
    polling.send(frame(invocation("SendMessage", "How often?")))
    assert polling.receive_until(type=3, invocationId="1")
    assert polling.delete().status_code == 202


# The load balancer, before functions that repeat what they are asked


class Backend(ThreadingHTTPServer):
    """A server that answers what a function says."""

    daemon_threads = True

    def __init__(self, respond: Callable[["Handler", bytes], None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.respond = respond


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Backend

    def do_GET(self) -> None:
        self.server.respond(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def answer_with(handler, content):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def repeat(handler, body):
    """Answer with what came."""
    came = {"path": handler.path, "headers": dict(handler.headers), "body_bytes": len(body)}
    answer_with(handler, json.dumps(came).encode())


def count(handler, _body):
    """Answer with the size of a chunked body."""
    total = 0
    while size := int(handler.rfile.readline(), 16):
        total += len(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    answer_with(handler, b"%d" % total)


@pytest.fixture
def before(production):
    """Return a function that starts the load balancer before one server, and returns the balancer's address."""
    started = []

    def start(respond):
        backend = Backend(respond)
        address = ("127.0.0.1", backend.server_port)
        balancer = Balancer(("127.0.0.1", 0), DOMAIN, UrlMap(production), lambda _: address)
        thread = threading.Thread(target=backend.serve_forever, args=(0.01,))
        thread.start()
        balancer.start()
        started.append((balancer, backend, thread))
        return balancer.server_address

    yield start
    for balancer, backend, thread in started:
        balancer.stop()
        backend.shutdown()
        thread.join()
        backend.server_close()


def url_of(address):
    return f"http://127.0.0.1:{address[1]}"


def test_functions_learn_who_asked_and_how(before):
    url = url_of(before(repeat))
    headers = requests.get(f"{url}/health?a=b%20c", timeout=WAIT_SECONDS).json()["headers"]
    assert headers["X-Forwarded-For"] == "127.0.0.1,127.0.0.1"
    assert headers["X-Forwarded-Proto"] == "http"
    assert headers["Via"] == "1.1 google"
    assert re.fullmatch(r"[0-9a-f]{32}/\d+", headers["X-Cloud-Trace-Context"])
    given = {"X-Forwarded-For": "203.0.113.7", "X-Cloud-Trace-Context": "abc/1", "Connection": "X-Mine", "TE": "gzip"}
    headers = requests.get(f"{url}/health", headers=given, timeout=WAIT_SECONDS).json()["headers"]
    assert headers["X-Forwarded-For"] == "203.0.113.7,127.0.0.1,127.0.0.1"
    assert headers["X-Cloud-Trace-Context"] == "abc/1"
    assert "TE" not in headers


def test_path_and_query_come_as_they_were_sent(before):
    url = url_of(before(repeat))
    assert requests.get(f"{url}/V2/User/a%2Fb?x=%20&y", timeout=WAIT_SECONDS).json()["path"] == "/V2/User/a%2Fb?x=%20&y"


def test_large_bodies_pass_both_ways(before):
    sent = bytes(8 * MIB)
    url = url_of(before(answer_with))
    assert requests.put(f"{url}/event", data=sent, timeout=WAIT_SECONDS).content == sent


def test_a_body_in_chunks_passes(before):
    parts = [bytes(3 * MIB), bytes(5 * MIB)]
    assert requests.put(url_of(before(count)) + "/event", data=iter(parts), timeout=WAIT_SECONDS).content == b"%d" % (
        8 * MIB
    )


def test_an_answer_streams_as_it_is_made(before):
    """The function goes on only when the client has seen the first part."""
    seen = threading.Event()

    def respond(handler, _body):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"5\r\nfirst\r\n")
        assert seen.wait(WAIT_SECONDS)
        handler.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")

    with requests.get(url_of(before(respond)) + "/health", stream=True, timeout=WAIT_SECONDS) as answer:
        parts = answer.iter_content(None)
        assert next(parts) == b"first"
        seen.set()
        assert b"".join(parts) == b"second"


def test_half_an_answer_is_not_taken_for_a_whole_one(before):
    def respond(handler, _body):
        handler.send_response(200)
        handler.send_header("Content-Length", "10")
        handler.end_headers()
        handler.wfile.write(b"half")
        handler.close_connection = True

    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        requests.get(url_of(before(respond)) + "/health", timeout=WAIT_SECONDS)


def read_until(client, end):
    received = b""
    while not received.endswith(end):
        received += client.recv(10_000)


def test_a_client_may_wait_before_it_sends_its_body_and_send_another_request(before):
    with socket.create_connection(before(repeat), 10) as client:
        client.sendall(
            f"PUT /event HTTP/1.1\r\nHost: {DOMAIN}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n".encode()
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"{}")
        read_until(client, b'"body_bytes": 2}')
        client.sendall(f"GET /health HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n".encode())
        read_until(client, b'"body_bytes": 0}')


@pytest.mark.parametrize(
    "request_text", ["NONSENSE\r\n\r\n", "PUT /event HTTP/1.1\r\nHost: {}\r\nContent-Length: x\r\n\r\n"]
)
def test_what_is_no_http_is_400(before, request_text):
    with socket.create_connection(before(repeat), 10) as client:
        client.sendall(request_text.format(DOMAIN).encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_a_refusal_is_read_though_its_body_was_not(before):
    for _ in range(5):
        assert (
            requests.post(url_of(before(repeat)) + "/migrate", data=bytes(4 * MIB), timeout=WAIT_SECONDS).status_code
            == 503
        )


# The plan


def changed(plan, change):
    """A copy of a plan with its URL map's live rules changed."""
    document = copy.deepcopy(plan.document)
    copied = Plan(document)
    live = next(m for m in copied.one("google_compute_url_map")["path_matcher"] if m["name"] == "live")
    change(live, copied)
    return copied


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("path_rule", lambda live, _: live.update(path_rule=[{"paths": ["/x"]}])),
        ("regex_match", lambda live, _: live["route_rules"][0]["match_rules"][0].update(regex_match="x")),
        ("url_redirect", lambda live, _: live["route_rules"][0].update(url_redirect=[{"https_redirect": True}])),
        (
            "liftlog-gone-production",
            lambda _, plan: next(iter(plan.all("google_compute_region_network_endpoint_group").values())).update(
                cloud_run=[{"service": "liftlog-gone-production"}]
            ),
        ),
    ],
)
def test_a_plan_that_is_not_understood_is_refused(production, what, change):
    with pytest.raises(UnknownRule, match=what):
        UrlMap(changed(production, change))


def test_without_an_abort_there_is_still_nobody_to_answer(production):
    plan = changed(production, lambda live, _: live.update(default_route_action=[]))
    assert UrlMap(plan).find(DOMAIN, "/nothing") == 503


# The command


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "rehearsal.topology", *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_command_serves_a_plan_until_it_is_told_to_end(production, database_url, tmp_path):
    plan, port = tmp_path / "plan.json", str(free_port())
    plan.write_text(json.dumps(production.document))
    settings = {"PORT": port, "DATABASE_URL": database_url, "DATA_DIR": str(tmp_path), "LOG_LEVEL": "ERROR"}
    with running(str(plan), **settings) as process:
        assert process.stdout is not None
        told: list[str] = []
        while not told or not told[-1].startswith("LiftLog answers"):
            told.append(process.stdout.readline())
            assert told[-1], "it ended"
        assert told[-1] == f"LiftLog answers on http://localhost:{port}, as its load balancer would (Ctrl-C ends it)\n"
        assert sum("for operators: http://127.0.0.1:" in line for line in told) == len(PRIVATE) + 1
        assert requests.get(f"http://localhost:{port}/health", timeout=WAIT_SECONDS).json() == {"status": "ok"}
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        assert process.wait(WAIT_SECONDS) == 0
        assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def test_without_terraform_it_says_so_loudly(tmp_path):
    with running(TERRAFORM="no-such-terraform", PORT=str(free_port()), DATA_DIR=str(tmp_path)) as process:
        _, told = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 1
    assert told.startswith("make topology: TERRAFORM IS MISSING: there is no no-such-terraform.")


def test_what_is_no_plan_is_named(tmp_path):
    with running(str(tmp_path / "no.json"), PORT=str(free_port()), DATA_DIR=str(tmp_path)) as process:
        _, told = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 1
    assert "no.json is no plan" in told
