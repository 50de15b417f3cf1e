"""Log lines: what the runbook's queries find, what ties a line to its request, and what no line ever holds."""

import json
import logging
import os
import pty
import subprocess
import sys
import threading
from pathlib import Path
from uuid import uuid4

import pytest
import requests

from shared import logs
from tests.databases import transaction
from tests.log_filters import entry, select
from tests.postgres_proxy import PostgresProxy
from tests.servers import Caller, Server, Servers
from tests.users import EPOCH, User
from tests.waiting import wait_for

pytestmark = pytest.mark.slow
CRASHES = Path(__file__).parent.parent / "crashes" / "main.py"
SERVICE = "liftlog-python-backend-staging"


class Logged:
    """A gateway whose lines are read back, from the last `forget` on."""

    def __init__(self, database_url, path, **environment):
        self._path = path
        self._forgotten = 0
        options = {"LOG_LEVEL": "INFO", "DB_POOL_TIMEOUT_SECONDS": "0.2", "DB_POOL_SIZE": "1"} | environment
        with path.open("wb") as stdout:
            self.servers = Servers(database_url, stdout=stdout, **options)
            self.call = Caller(self.servers, alone=False)
            self.call("GET", "/health")  # starts it

    def forget(self):
        self._forgotten = self._path.stat().st_size

    def written(self):
        return self._path.read_bytes()[self._forgotten :].decode()

    def lines(self):
        return [json.loads(line) for line in self.written().splitlines()]

    def select(self, query):
        return select(query, [entry(line, SERVICE) for line in self.written().splitlines()])

    def last(self):
        return self.lines()[-1]


@pytest.fixture(scope="module")
def gateway(database_url, tmp_path_factory):
    running = Logged(database_url, tmp_path_factory.mktemp("logs") / "stdout")
    with running.servers:
        yield running


@pytest.fixture
def logged(gateway):
    """Return the module's gateway, without what other tests had it write."""
    gateway.forget()
    return gateway


@pytest.fixture(scope="module")
def in_a_project(database_url, tmp_path_factory):
    running = Logged(database_url, tmp_path_factory.mktemp("logs") / "stdout", GCP_PROJECT_ID="a-project")
    with running.servers:
        yield running


@pytest.fixture
def user(logged):
    created = logged.call("POST", "/user/create", {}).json
    return User(created["id"], created["lookup"], created["password"])


def test_a_request_is_one_line_in_cloud_loggings_form(logged, user):
    before = len(logged.lines())
    logged.call("GET", f"/user/{user.lookup}")
    (line,) = logged.lines()[before:]
    assert line["severity"] == "INFO"
    assert line["message"] == "GET /user/{id_or_lookup} 200"
    assert line["function"] == "user"
    assert line["route"] == "/user/{id_or_lookup}"
    assert line["status"] == 200
    assert 0 < line["duration_ms"] < 10_000
    assert line["httpRequest"]["requestMethod"] == "GET"
    assert line["httpRequest"]["status"] == 200
    assert line["httpRequest"]["latency"].endswith("s")
    assert "error_type" not in line


def test_probes_are_not_logged(logged):
    before = logged.lines()
    assert logged.call("GET", "/health").status_code == 200
    assert logged.lines() == before


def test_failed_authentication_is_found(logged, user):
    assert logged.call("PUT", "/event", user.event(password=str(uuid4()))).status_code == 401
    found = logged.select('resource.type="cloud_run_revision"\njsonPayload.error_type="AuthenticationError"')
    assert [line["jsonPayload"]["route"] for line in found] == ["/event"]
    assert found[0]["severity"] == "WARNING"


def test_errors_are_found_with_their_cause(logged, user, db, database_url):
    """The one connection is waiting for a row's lock; the next request gets none."""
    waiting = threading.Thread(target=lambda: logged.call("PUT", "/user", user.profile()))
    longer = "query_start < clock_timestamp() - interval '1 second'"
    waits = f"SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database() AND {longer}"
    with transaction(database_url, f"SELECT FROM users WHERE id = '{user.id}' FOR UPDATE"):
        waiting.start()
        wait_for(lambda: db.rows(waits))
        assert Caller(logged.servers, alone=False)("GET", f"/user/{user.id}").status_code == 503
    waiting.join()
    errors = logged.select(
        f'resource.type="cloud_run_revision" resource.labels.service_name="{SERVICE}" severity>=ERROR '
        'timestamp>="2024-01-01T00:00:00Z"'
    )
    assert [line["jsonPayload"]["error_type"] for line in errors] == ["DatabaseUnavailable"]
    assert errors[0]["jsonPayload"]["cause"] == "connection pool exhausted"
    slow = logged.select(
        'resource.type="cloud_run_revision" jsonPayload.duration_ms>1000 timestamp>="2024-01-01T00:00:00Z"'
    )
    assert [line["jsonPayload"]["route"] for line in slow] == ["/user"]


def test_a_bug_is_logged_with_its_place_and_without_its_message(tmp_path):
    """What an exception says may be what a client sent."""
    secret = str(uuid4())
    try:
        dict[str, str]()[secret]
    except KeyError as error:
        record = logging.LogRecord("x", 40, __file__, 1, "POST /x 500", (), (type(error), error, error.__traceback__))
    line = logs.JsonFormatter().format(record)
    assert json.loads(line)["error_type"] == "KeyError"
    assert "test_logs.py" in json.loads(line)["stack"]
    assert secret not in line
    assert secret not in logs.TextFormatter().format(record)


def test_a_bug_is_a_500_that_says_nothing_of_it_and_one_line_that_does(database_url, tmp_path):
    with (tmp_path / "stdout").open("wb") as stdout:
        server = Server("crashing", source=CRASHES, stdout=stdout, DATABASE_URL=database_url, LOG_LEVEL="INFO")
    answer = requests.get(f"{server.url}/crash", headers={"X-Request-Id": "mine", "X-Secret": "hush"}, timeout=30)
    server.stop()
    assert (answer.status_code, answer.headers["X-Request-Id"]) == (500, "mine")
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:liftlog:problem:internal-error"
    (line,) = (tmp_path / "stdout").read_text().splitlines()
    event = json.loads(line)
    assert (event["severity"], event["error_type"], event["request_id"]) == ("ERROR", "KeyError", "mine")
    assert "crashes/main.py" in event["stack"]
    assert "hush" not in line + answer.text


@pytest.mark.parametrize("given", ["0af7651916cd43dd", "a/b:c.d-e_f", "x" * 128])
def test_a_request_id_is_taken_over(logged, given):
    answer = logged.call("GET", "/user/nobody", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == logged.last()["request_id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, '"}'])
def test_a_request_id_of_another_form_is_replaced(logged, given):
    answer = logged.call("GET", "/user/nobody", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == logged.last()["request_id"] != given


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("header", "value", "span", "sampled"),
    [
        ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01", "00f067aa0ba902b7", True),
        ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-00", "00f067aa0ba902b7", False),
        ("X-Cloud-Trace-Context", f"{TRACE}/255;o=1", "00000000000000ff", True),
        ("X-Cloud-Trace-Context", TRACE.upper(), "0000000000000000", False),
    ],
)
def test_a_line_belongs_to_its_trace(in_a_project, header, value, span, sampled):
    in_a_project.call("GET", "/user/nobody", headers={header: value})
    line = in_a_project.last()
    assert line["logging.googleapis.com/trace"] == f"projects/a-project/traces/{TRACE}"
    assert line["logging.googleapis.com/spanId"] == span
    assert line["logging.googleapis.com/trace_sampled"] is sampled


@pytest.mark.parametrize("value", ["00-xyz-1-01", "", "00-" + "0" * 31 + "-00f067aa0ba902b7-01"])
def test_a_trace_of_another_form_is_none(logged, value):
    assert logged.call("GET", "/user/nobody", headers={"traceparent": value}).status_code == 404
    assert "logging.googleapis.com/trace" not in logged.last()


def test_no_line_holds_what_is_private(logged, user):
    secret = str(uuid4())
    event = user.event()
    for method, path, body in [
        ("GET", f"/user/{user.lookup}", None),
        ("PUT", "/event", event),
        ("PUT", "/event", user.event(password=secret)),
        ("PUT", "/event", {**event, "expiry": secret}),
        ("PUT", "/follow-secret", user.secret(secret)),
        ("POST", "/events", {"users": [user.asked(secret, EPOCH)]}),
        ("POST", f"/{secret}", {"password": secret}),
        ("POST", "/", {"route": f"GET /user/{user.lookup}"}),
        ("PUT", "/event", f'{{"password": "{secret}"'),
        ("GET", f"/metrics?token={secret}", None),
    ]:
        logged.call(method, path, body, headers={"Authorization": f"Bearer Web {secret}"})
    written = logged.written()
    assert len(logged.lines()) >= 10
    for private in (user.password, user.lookup, user.id, secret, event["encryptedEventPayload"]):
        assert private not in written


def test_a_lost_database_is_logged_once_a_request_and_metrics_come_later(database_url, tmp_path):
    proxy = PostgresProxy(database_url)
    running = Logged(proxy.url, tmp_path / "stdout", METRICS_FLUSH_SECONDS="0.1")
    with running.servers:
        running.call("GET", f"/user/{uuid4()}")
        proxy.close()
        for _ in range(3):
            assert running.call("GET", f"/user/{uuid4()}").status_code == 503
        assert running.call("GET", "/health").status_code == 200
        errors = running.select("severity>=ERROR")
    assert [line["jsonPayload"]["cause"] for line in errors] == ["cannot connect"] * 3


@pytest.mark.parametrize("level", ["WARNING", "warning"])
def test_the_level_can_be_set(database_url, tmp_path, level):
    running = Logged(database_url, tmp_path / "stdout", LOG_LEVEL=level)
    with running.servers:
        running.call("POST", "/user/create", {})
        assert running.lines() == []


def test_a_terminal_gets_plain_lines():
    code = (
        "import logging; from shared import logs; logs.start(); "
        "logging.getLogger('x').info('GET /health 200', extra={'duration_ms': 1.5})"
    )
    parent, child = pty.openpty()
    subprocess.run([sys.executable, "-c", code], stdout=child, check=True)
    os.close(child)
    written = os.read(parent, 1000).decode()
    os.close(parent)
    assert "INFO    GET /health 200 duration_ms=1.5" in written
