"""404 and 401 only where the database has said so, whatever a network makes of a request: installed apps delete their
account on them. And no HTML but of the pages.
"""

import json
import re
from urllib.parse import quote
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.http.routes import APP_PATH_AT_END
from tests.raw_http import ask, request
from tests.servers import manifest
from tests.users import User

FAMILIES = ["gateway", *manifest()]
PUBLIC = {
    route: name for name, row in manifest().items() if row["access"] == "public" for route in row["routes"]
}  # each with its family
NOT_THE_APPS = {"health"}
SAID_BY_THE_DATABASE = {"unknown-user", "unknown-shared-item", "unknown-connection", "wrong-password"}
# what proxies and strangers add to a request
ADDED = {
    "an upgrade to a WebSocket": {"Connection": "upgrade", "Upgrade": "websocket"},
    "a whole WebSocket handshake": {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    },
    "an upgrade to HTTP/2": {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": "AAMAAABk"},
    "a prefix of CGI": {"SCRIPT_NAME": "/user", "Script-Name": "/user", "X-Script-Name": "/user"},
    "a path of CGI": {"PATH_INFO": "/nothing", "Path-Info": "/nothing", "X-Original-URL": "/nothing"},
    "a rewritten path": {"X-Rewrite-URL": "/nothing", "X-Forwarded-Prefix": "/nothing", "X-Forwarded-Path": "/no"},
    "another method": {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "GET"},
    "another host": {"Host": "a..b", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example;proto=x"},
    "a trace of endless digits": {"X-Cloud-Trace-Context": f"{'a' * 32}/{'9' * 5000};o=1"},
    "a trace past 64 bits": {"X-Cloud-Trace-Context": f"{'a' * 32}/99999999999999999999;o=1"},
    "a trace in other digits": {"X-Cloud-Trace-Context": f"{'a' * 32}/\xb2\xb3;o=1"},
    "an expectation": {"Expect": "100-continue"},
    "a content type": {"Content-Type": "multipart/form-data; boundary=x"},
    "an id of anything": {"X-Request-Id": "\xe4" * 300, "traceparent": "00-" + "f" * 5000},
}  # fmt: skip


def good_requests(user):
    """Return requests that a healthy service answers with 200, by route."""
    return {
        "PUT /user": user.profile(encryptedName=""),
        "PUT /event": user.event(),
        "POST /events": {"users": [user.asked("a secret")]},
        "POST /users": {"ids": [user.id]},
        "PUT /follow-secret": user.secret("a secret"),
        "POST /follow-secret/delete": user.secret("a secret"),
        "PUT /inbox": user.message(),
        "POST /inbox": user.credentials(),
        "POST /shareditem": user.shared_item(),
        f"GET /user/{user.id}": None,
        "GET /health": None,
    }


@pytest.fixture(scope="module")
def user(servers):
    answer = ask(servers["gateway"].port, request("POST", "/user/create", {}))
    created = json.loads(answer.content)
    return User(created["id"], created["lookup"], created["password"])


@pytest.mark.parametrize("served_by", ["gateway", "alone"])
@pytest.mark.parametrize("added", ADDED)
def test_what_a_network_adds_takes_no_request_off_its_way(served_by, added, servers, user):
    for route, body in good_requests(user).items():
        method, _, path = route.partition(" ")
        family = (
            "user"
            if path.startswith("/user/")
            else next(name for row, name in PUBLIC.items() if row.split(" ")[1] == path)
        )
        port = servers["gateway" if served_by == "gateway" else family].port
        answer = ask(port, request(method, path, body, ADDED[added]))
        assert answer.status == 200, (route, answer)
        assert answer.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_request_of_the_app_that_comes_to_the_wrong_place_is_503(family, servers):
    for route, owner in PUBLIC.items():
        method, _, path = route.partition(" ")
        path = path.replace("{id_or_lookup}", str(uuid4())).replace("{item_id}", "abc")
        if owner in NOT_THE_APPS:
            continue
        for prefix in ("/api", "/liftlog/v2", "/v2/v2"):
            answer = ask(servers[family].port, request(method, prefix + path, {}))
            assert (answer.status, answer.problem) == (503, "misrouted"), prefix + path
            assert answer.headers["Retry-After"]
        if family not in {"gateway", owner}:
            is_below = family == "user" and path.startswith("/user/")  # of its GET /user/{id_or_lookup}
            assert ask(servers[family].port, request(method, path, {})).status == (405 if is_below else 503), path


def test_the_apps_paths_are_those_of_the_manifest():
    paths = {route.split(" ")[1] for route, name in PUBLIC.items() if name not in NOT_THE_APPS}
    forgotten = [path for path in paths if not APP_PATH_AT_END.fullmatch(re.sub(r"\{\w+\}", "x", path))]
    assert forgotten == [], "shared/http/routes.py: APP_PATHS"
    assert not [path for path in ("/health", "/metrics", "/", "/nothing", "/x/userx") if APP_PATH_AT_END.search(path)]


PATHS = st.one_of(
    st.sampled_from(
        ["/", "//", "/robots.txt", "/favicon.ico", "/%0A", "/user/%0d%0a", "/user%0A", "/%00", "*", "/?", "/docs/x"]
    ),
    st.sampled_from([route.split(" ")[1] for route in PUBLIC]).map(lambda path: quote(path, safe="/")),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), min_size=1, max_size=40).map(
        lambda text: f"/{text}"
    ),
    st.text(min_size=1, max_size=20).map(lambda text: f"/user/{quote(text, safe='')}"),
)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Upgrade", "Connection", "Host", "Origin", "Accept-Encoding", "X-Cloud-Trace-Context", "X-Forwarded-For",
         "Authorization", "Content-Encoding", "Sec-WebSocket-Key", "Access-Control-Request-Headers", "Cookie"]
    ),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=60),
    max_size=4,
)  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_no_request_is_answered_by_anybody_else(family, servers):
    """Whatever is asked: JSON, no fault of ours, and no 404 or 401 on a path of the app's without the database."""

    @settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        method=st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "FOO"]),
        path=PATHS,
        headers=HEADERS,
        body=st.none() | st.binary(max_size=100) | st.just({}) | st.just({"route": "GET /user/x"}),
    )
    def check(method, path, headers, body):
        answer = ask(servers[family].port, request(method, path, body, headers))
        is_a_page = family in {"gateway", "metrics"} and answer.status in {200, 401}
        assert answer.status not in {500, 501, 502}, answer
        assert is_a_page or "html" not in (answer.headers["Content-Type"] or ""), answer
        if answer.status in {401, 404} and method != "HEAD" and APP_PATH_AT_END.search(path.partition("?")[0]):
            assert answer.problem in {*SAID_BY_THE_DATABASE, "not-subscribed"}, answer

    check()


def test_a_robots_txt_is_no_page_of_the_frameworks(servers):
    answer = ask(servers["user"].port, request("GET", "/robots.txt"))
    assert (answer.status, answer.problem) == (404, "unknown-path")


@pytest.mark.parametrize("path", ["/user/", "//user", "/v2//user", "/v2/user/", "/USER//"])
def test_empty_segments_are_none(path, servers, user):
    assert ask(servers["gateway"].port, request("PUT", path, user.profile())).status == 200
