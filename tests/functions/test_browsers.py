"""What browsers are told with every answer, and what pages of other sites do not get."""

import json
import re

import pytest

from tests.raw_http import ask, request
from tests.servers import Caller, Servers, manifest

PRIVATE = [route for row in manifest().values() if row["access"] == "private" for route in row["routes"]]
TOKEN = "made by make serve"
HERE = "localhost:8080"
PAGES = ["/", "/docs", "/chat", "/metrics/dashboard"]


@pytest.fixture(scope="module")
def laptop(database_url):
    """Return the gateway as `make serve` starts it."""
    with Servers(database_url, ENVIRONMENT="local", LOCAL_OPERATOR_TOKEN=TOKEN) as servers:
        yield servers["gateway"]


@pytest.fixture(scope="module")
def migrate_is_empty(laptop):
    """See to it that POST /migrate has nothing to do."""
    assert ask(laptop.port, request("POST", "/migrate", {}, {"Host": HERE})).status == 200


@pytest.mark.parametrize("path", ["/health", "/user/nobody", "/nothing", "/users", *PAGES])
def test_every_answer_tells_browsers_to_take_it_for_what_it_is(laptop, path):
    headers = ask(laptop.port, request("GET", path, headers={"Host": HERE})).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_may_run_its_own_scripts_alone(laptop, path):
    answer = ask(laptop.port, request("GET", path, headers={"Host": HERE}))
    policy = answer.headers["Content-Security-Policy"]
    (scripts,) = re.findall(r"script-src ([^;]+)", policy)
    assert scripts.count("sha256-") == answer.content.count(b"\n<script>\n")
    assert "unsafe" not in scripts
    assert all(word in policy for word in ("default-src 'none'", "base-uri 'none'", "form-action 'none'"))


FOREIGN = {
    "a page elsewhere": {"Origin": "https://evil.example"},
    "a page on another port": {"Origin": "http://localhost:3000"},
    "a file": {"Origin": "null"},
    "an origin that is none": {"Origin": "http://["},
    "an image in a page": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"},
    "a fetch from another port": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "empty"},
    "a form in a page": {"Origin": "https://evil.example", "Content-Type": "text/plain", "Sec-Fetch-Dest": "document"},
}


@pytest.mark.parametrize("added", FOREIGN)
@pytest.mark.parametrize("route", PRIVATE)
def test_a_foreign_page_gets_nothing_of_the_private_routes(laptop, route, added):
    method, _, path = route.partition(" ")
    for shown in ({}, {"Authorization": f"Bearer {TOKEN}"}):
        for sent in (
            request(method, path, {}, {"Host": HERE} | FOREIGN[added] | shown),
            request("POST", "/", {"route": route}, {"Host": HERE} | FOREIGN[added] | shown),
        ):
            answer = ask(laptop.port, sent)
            assert (answer.status, answer.problem) == (403, "foreign-page")
            assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.fixture
def ask_for(laptop):
    """Return a function that asks for a private route; one that acts on an account gets one that is to go."""

    def answer_to(route, headers):
        method, _, path = route.partition(" ")
        body = {"dry_run": True, "user": "ann"}
        if path == "/admin/delete-account":
            created = ask(laptop.port, request("POST", "/user/create", {}, {"Host": HERE}))
            body |= dict.fromkeys(("account", "again"), json.loads(created.content)["id"])
        return ask(laptop.port, request(method, path, body, headers))

    return answer_to


@pytest.mark.parametrize("route", PRIVATE)
def test_this_machine_and_pages_of_this_service_get_them(ask_for, migrate_is_empty, route):
    for added in (
        {},
        {"Host": "127.0.0.1"},
        {"Host": "[::1]:8080"},
        {"Origin": f"http://{HERE}", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"},
        {"Origin": "http://localhost:9000", "Sec-Fetch-Site": "same-origin"},  # past a proxy that changes the host
    ):
        answer = ask_for(route, {"Host": HERE} | added)
        assert answer.status == 200, added
        assert "Access-Control-Allow-Origin" not in answer.headers


def test_a_link_from_elsewhere_opens_the_dashboard(laptop):
    link = {"Host": HERE, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
    assert ask(laptop.port, request("GET", "/metrics/dashboard", headers=link)).status == 200


ELSEWHERE = {
    "a name that leads here": {"Host": "evil.example"},
    "a name that only begins like ours": {"Host": "localhost.evil.example"},
    "another machine's way to this one": {"Host": "192.168.1.5:8080"},
    "a proxy": {"Host": HERE, "X-Forwarded-For": "192.0.2.1"},
    "a proxy of the standard's": {"Host": HERE, "Forwarded": "for=192.0.2.1"},
    "no host": {"Host": ""},
    "garbage": {"Host": "["},
}


@pytest.mark.parametrize("added", ELSEWHERE)
@pytest.mark.parametrize("route", PRIVATE)
def test_whoever_is_elsewhere_needs_the_token(ask_for, migrate_is_empty, route, added):
    answer = ask_for(route, ELSEWHERE[added])
    assert answer.status in {400, 401}  # 400: gunicorn takes no such Host
    shown = ELSEWHERE[added] | {"Authorization": f"Bearer {TOKEN}"}
    if answer.status == 401:
        assert ask_for(route, shown).status == 200


@pytest.mark.slow
def test_a_token_of_ones_own_is_wanted_on_this_machine_too(database_url):
    with Servers(database_url, ENVIRONMENT="local", OPERATOR_TOKEN="mine", LOCAL_OPERATOR_TOKEN=TOKEN) as servers:
        call = Caller(servers, alone=False)
        assert call("GET", "/metrics").status_code == 401
        assert call("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401
        assert call("GET", "/metrics", headers={"Authorization": "Bearer mine"}).status_code == 200


@pytest.mark.slow
def test_production_knows_no_token_of_a_laptops(database_url):
    with Servers(database_url, ENVIRONMENT="production", LOCAL_OPERATOR_TOKEN=TOKEN) as servers:
        call = Caller(servers, alone=False)
        assert call("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401
