"""Metrics: what several instances on one database counted, added up, whatever becomes of them."""

import time
from base64 import b64encode
from datetime import timedelta
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from shared.data import metric_buckets
from shared.metrics import Bucket
from shared.service_levels import SERVICE_LEVELS
from tests.servers import Caller, Server, Servers, manifest
from tests.users import User
from tests.waiting import WAIT_SECONDS, wait_for

pytestmark = pytest.mark.slow
FLUSH_SECONDS = 0.2


def start(url, **environment):
    return Server(
        "gateway", DATABASE_URL=url, METRICS_FLUSH_SECONDS=str(FLUSH_SECONDS), ENVIRONMENT="local", **environment
    )


def ask(server, path="/health/nothing", method="GET", body=None, **headers):
    return requests.request(method, server.url + path, json=body, headers=headers, timeout=WAIT_SECONDS)


def requests_total(db, route="unknown"):
    counts = metric_buckets.totals(db)
    return sum(
        n for name, n in counts.items() if name.startswith("liftlog_http_requests_total") and f'"{route}"' in name
    )


def test_three_processes_add_up_and_sigterm_loses_nothing(own_url, own_db):
    servers = [start(own_url) for _ in range(3)]
    for server in servers:
        for _ in range(20):
            assert ask(server).status_code == 404
    for server in servers:
        server.stop()
    assert requests_total(own_db) == 60


def test_a_killed_process_loses_what_it_counted_since_its_last_writing(own_url, own_db):
    """Requests before a flush interval is over are written by the next one after it."""
    server = start(own_url)
    for _ in range(10):
        ask(server, f"/user/{uuid4()}")
    time.sleep(FLUSH_SECONDS)  # the interval itself is what is tested
    ask(server, f"/user/{uuid4()}")
    wait_for(lambda: requests_total(own_db, "/user/{id_or_lookup}") >= 10)
    for process in psutil.Process(server.process.pid).children():
        process.kill()
    server.process.kill()
    server.process.wait()
    assert requests_total(own_db, "/user/{id_or_lookup}") in {10, 11}


def test_requests_answered_after_sigterm_are_counted(own_url, own_db):
    """What was counted before is written when SIGTERM comes, since the process may be killed; the rest at its end."""
    server = Server("gateway", DATABASE_URL=own_url, METRICS_FLUSH_SECONDS="3600", ENVIRONMENT="local")
    assert ask(server).status_code == 404
    packet = b"{}"
    late = HTTPConnection("127.0.0.1", server.port, timeout=WAIT_SECONDS)
    late.putrequest("POST", "/user/create")
    late.putheader("Content-Length", str(len(packet)))
    late.endheaders(packet[:1])
    assert ask(server, "/health").status_code == 200  # so the other one has been taken in, too
    server.process.terminate()
    wait_for(lambda: requests_total(own_db) == 1)
    late.send(packet[1:])
    assert late.getresponse().status == 200
    late.close()
    assert server.process.wait(WAIT_SECONDS) == 0
    assert requests_total(own_db, "/user/create") == 1


def test_requests_do_not_each_cost_a_statement(own_url, own_db):
    server = Server("gateway", DATABASE_URL=own_url, METRICS_FLUSH_SECONDS="3600", ENVIRONMENT="local")
    for _ in range(50):
        ask(server)
    assert requests_total(own_db) == 0
    server.stop()
    assert requests_total(own_db) == 50


def test_prometheus_reads_what_was_counted(own_url):
    server = start(own_url)
    created = ask(server, "/user/create", "POST", {}).json()
    user = User(created["id"], created["lookup"], created["password"])
    assert ask(server, "/event", "PUT", user.event(password="wrong")).status_code == 401
    answer = ask(server, "/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    samples = [sample for family in families.values() for sample in family.samples]
    values = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
    event = (("function", "event"), ("method", "PUT"), ("route", "/event"))
    assert values["liftlog_http_requests_total", (*event, ("status", "401"))] == 1
    assert values["liftlog_errors_total", (("type", "AuthenticationError"),)] == 1
    assert values["liftlog_http_request_duration_seconds_count", event] == 1
    buckets = [s.value for s in samples if s.name.endswith("_bucket") and s.labels["route"] == "/event"]
    assert buckets[-1] == 1
    assert all(before <= after for before, after in pairwise(buckets))
    assert {"liftlog_instances", "liftlog_database_connections", "liftlog_database_pool_in_use"} <= set(families)
    assert families["liftlog_process_memory_percent"].samples[0].value > 0
    assert families["liftlog_http_requests_in_flight"].samples[0].value == 1  # this one
    assert user.id not in answer.text
    server.stop()


def test_the_same_as_json_by_route_pattern(own_url):
    server = start(own_url)
    for _ in range(3):
        ask(server, f"/user/{uuid4()}")
    found = ask(server, "/metrics", Accept="application/json").json()
    route = found["endpoints"]["GET /user/{id_or_lookup}"]
    assert (route["count"], route["errors"]) == (3, 3)
    assert 0 < route["p95_duration_ms"] <= route["p99_duration_ms"]
    assert found["status_codes"]["404"] == found["total_errors"] == 3
    server.stop()


@pytest.mark.parametrize("window", ["5m", "1h", "24h", "all"])
def test_the_summary_judges_the_service_levels(own_url, window):
    server = start(own_url)
    ask(server, "/user/create", "POST", {})
    found = ask(server, f"/metrics/summary?window={window}").json()
    assert found["total_requests"] >= 1
    assert found["error_rate_percent"] == 0
    assert found["slowest_endpoint"]["endpoint"] == "POST /user/create"
    assert found["instances"] == 1
    assert found["window_seconds"] > 0
    judged = {level["metric"]: level["state"] for level in found["slo"]}
    assert judged["error_rate_percent"] == "normal"
    assert set(judged) == {level.metric for level in SERVICE_LEVELS} - {"health_percent"}  # an uptime check's
    server.stop()


def test_a_window_that_is_none_is_refused(own_url):
    server = start(own_url)
    assert ask(server, "/metrics/summary?window=2h").status_code == 400
    server.stop()


def test_the_planner_is_not_in_the_latency(own_db, own_url):
    slow: dict[str, float] = {
        'liftlog_http_request_duration_seconds_bucket{function="ai",le="10",method="POST",route="/ai/workout"}': 99,
        'liftlog_http_request_duration_seconds_count{function="ai",method="POST",route="/ai/workout"}': 99,
        'liftlog_http_request_duration_seconds_sum{function="ai",method="POST",route="/ai/workout"}': 900,
    }
    metric_buckets.put(own_db, uuid4(), [Bucket(int(time.time()) // 60 * 60, slow, {})])
    server = start(own_url)
    ask(server, "/user/create", "POST", {})
    found = ask(server, "/metrics/summary").json()
    assert found["p99_ms"] < 5000
    assert found["slowest_endpoint"]["endpoint"] == "POST /ai/workout"
    server.stop()


def test_series_are_drawn_step_by_step(own_url):
    server = start(own_url)
    ask(server, "/user/create", "POST", {})
    ask(server, "/metrics/summary")
    found = ask(server, "/metrics/series?window=5m").json()
    assert found["step_seconds"] == 60
    assert {"start", "requests_per_second", "p95_ms", "instances", "database_connections", "memory_percent"} <= set(
        found["steps"][-1]
    )
    server.stop()


def minutes_ago(minutes):
    return (int(time.time()) // 60 - minutes) * 60


def test_writing_a_minute_twice_counts_it_once(own_db):
    instance = uuid4()
    for count in (1, 5, 5):
        metric_buckets.put(own_db, instance, [Bucket(minutes_ago(0), {"c": float(count)}, {})])
    assert metric_buckets.totals(own_db) == {"c": 5}


def test_folding_keeps_every_total(own_db):
    day, long = timedelta(days=1), timedelta(days=90)
    for instance in (uuid4(), uuid4()):
        old = [Bucket(minutes_ago(2 * 24 * 60 + n), {"a": 1, "b": 0.5}, {"g": 1}) for n in range(120)]
        ancient = [Bucket(minutes_ago(100 * 24 * 60 + n), {"a": 10}, {}) for n in range(5)]
        metric_buckets.put(own_db, instance, [*old, *ancient, Bucket(minutes_ago(1), {"a": 100}, {})])
    before = metric_buckets.totals(own_db)
    assert before == {"a": 540, "b": 120}
    assert metric_buckets.fold(own_db, older_than=day, limit=100) == 100  # bounded
    assert metric_buckets.totals(own_db) == before
    while metric_buckets.fold(own_db, older_than=day, limit=100):
        assert metric_buckets.totals(own_db) == before
    assert own_db.rows("SELECT count(*) FROM metric_buckets")[0][0] <= 2 + 3 + 2  # hours of both, and the live minutes
    assert metric_buckets.retire(own_db, older_than=long, limit=100) >= 1
    assert metric_buckets.totals(own_db) == before
    assert metric_buckets.retire(own_db, older_than=long, limit=100) == 0
    late = [Bucket(minutes_ago(2 * 24 * 60), {"a": 7, "new": 1}, {})]
    metric_buckets.put(own_db, uuid4(), late)
    assert metric_buckets.fold(own_db, older_than=day, limit=100) == 1
    assert metric_buckets.totals(own_db) == {"a": 547, "b": 120, "new": 1}


PRIVATE = [route for entry in manifest().values() if entry["access"] == "private" for route in entry["routes"]]


@pytest.fixture(scope="module")
def guarded(database_url):
    with Servers(database_url, OPERATOR_TOKEN="the operators' own", ENVIRONMENT="production") as servers:
        yield Caller(servers, alone=False)


@pytest.mark.parametrize("route", PRIVATE)
@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer wrong", "Basic eDp3cm9uZw==", "Basic !", "Bearer", "the operators' own", "Bearer a.b.c"],
)
def test_private_routes_are_for_operators(guarded, route, authorization):
    method, path = route.split(" ")
    headers = {"Authorization": authorization} if authorization else {}
    answer = guarded(method, path, None if method == "GET" else {}, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize("scheme", ["bearer", "basic"])
def test_the_operators_token_opens_them(guarded, scheme):
    shown = "the operators' own" if scheme == "bearer" else b64encode(b"anybody:the operators' own").decode()
    assert guarded("GET", "/metrics", headers={"Authorization": f"{scheme} {shown}"}).status_code == 200
    enveloped = {"route": "GET /metrics/summary", "headers": {"authorization": f"{scheme} {shown}"}}
    assert guarded("POST", "/", enveloped).status_code == 200


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_nothing_configured_means_closed(database_url, environment):
    with Servers(database_url, ENVIRONMENT=environment) as servers:
        assert Caller(servers, alone=False)("GET", "/metrics").status_code == 401


def test_behind_the_clouds_iam_the_caller_has_been_let_in(database_url):
    with Servers(database_url, ENVIRONMENT="production", OPERATOR_IAM="true") as servers:
        assert (
            Caller(servers, alone=True)("GET", "/metrics", headers={"Authorization": "Bearer a.b.c"}).status_code == 200
        )


def test_the_documentation_has_the_table_of_the_code():
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    for level in SERVICE_LEVELS:
        unit = f" {level.unit}" if level.unit else ""
        normal, alert = ("≥", "<") if level.higher_is_better else ("<", ">")
        cells = f"| {normal} {level.normal:g}{unit} | {alert} {level.alert:g}{unit} for {level.alert_seconds} s |"
        assert cells in text, level.metric
