"""What holds for every route: paths, methods, the envelope, CORS, compression, health."""

import pytest

from tests.users import base64

ANY = {
    "Origin": "https://app.example",
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "x-a, b",
}


def test_everything_also_answers_below_v2_and_whatever_the_case(call, new_user):
    user = new_user()
    assert call("GET", f"/v2/user/{user.id}").json["id"] == user.id
    assert call("GET", f"/V2/User/{user.lookup}").json["id"] == user.id
    assert call("PUT", "/v2/Event", user.event()).status_code == 200
    assert call("POST", "/INBOX", user.credentials()).status_code == 200


@pytest.mark.direct
@pytest.mark.parametrize("path", ["/nothing", "/user", "/v2/v2/health", "/user/a/b", "/users/x", "/user/a%2Fb"])
def test_another_path_is_404_or_405(call, path):
    answer = call("GET", path)
    assert answer.status_code == (405 if path == "/user" else 404)
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/user", "PUT, OPTIONS"),
        ("DELETE", "/user/create", "POST, GET, HEAD, OPTIONS"),
        ("POST", "/user/some-lookup", "GET, HEAD, OPTIONS"),
        ("PUT", "/health", "GET, HEAD, OPTIONS"),
        ("PATCH", "/events", "POST, OPTIONS"),
    ],
)
def test_another_method_is_405_with_allow(call, method, path, allowed):
    answer = call(method, path)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) <= set(allowed.split(", "))
    assert method not in answer.headers["Allow"]


def test_head_works_where_get_does(call, new_user):
    for path in ("/health", f"/user/{new_user().id}"):
        head = call("HEAD", path)
        assert head.status_code == 200
        assert head.content == b""
        assert head.headers["Content-Length"] == call("GET", path).headers["Content-Length"]
    assert call("HEAD", "/user/nobody").status_code == 404


def test_health(call):
    assert call("GET", "/health").json == {"status": "ok"}
    assert call("GET", "/health/ready").json == {"status": "ready"}


def test_the_envelope_does_the_same_as_the_request_it_holds(call, new_user):
    user = new_user()
    if call.alone:
        pytest.skip("the root path belongs to no family; test_each_family_alone_opens_envelopes sends it")
    assert call("POST", "/", {"route": f"GET /user/{user.id}"}).json["lookup"] == user.lookup
    assert call("POST", "/", {"route": f"GET /user/%{ord(user.lookup[0]):x}{user.lookup[1:]}"}).json["id"] == user.id
    assert call("POST", "/", {"route": "PUT /v2/event", "body": user.event(), "headers": {}}).status_code == 200
    assert call("POST", "/", {"route": "put /event", "body": user.event(userId="x")}).status_code == 400
    assert call("POST", "/", {"route": "PUT /event"}).status_code == 400
    assert call("POST", "/", {"route": "GET /nothing"}).status_code == 404
    assert call("POST", "/", {"route": "DELETE /users"}).status_code == 405
    assert call("POST", "/", {"route": "nonsense"}).status_code == 400
    assert call("POST", "/", {"route": "POST /user/create"}).status_code == 200


@pytest.mark.direct
@pytest.mark.parametrize("body", [{}, [], {"route": 5}, {"Route": "GET /health"}, {"body": {}}])
def test_another_post_to_the_root_is_404(call, body):
    assert call("POST", "/", body).status_code == 404


def test_each_family_alone_opens_envelopes(servers, call, new_user):
    user = new_user()
    if not call.alone:
        pytest.skip("for families alone")
    cases = {
        "user": (f"GET /user/{user.id}", None),
        "event": ("PUT /event", user.event()),
        "follow_secret": ("PUT /follow-secret", user.secret("s")),
        "inbox": ("POST /inbox", user.credentials()),
        "shared_item": ("POST /shareditem", user.shared_item()),
        "health": ("GET /health/ready", None),
    }
    for name, (route, body) in cases.items():
        answer = call.at(servers[name].url, "POST", "/", {"route": route, "body": body})
        assert answer.status_code == 200, name
        assert call.at(servers[name].url, "GET", "/").status_code in {404, 405}


def test_the_gateways_root_is_a_page_for_a_person(servers, call):
    page = call.at(servers["gateway"].url, "GET", "/")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert b"<strong>ready</strong>" in page.content


def test_any_origin_may_ask_for_anything(call):
    answer = call("OPTIONS", "/user", headers=ANY)
    assert answer.status_code in {200, 204}
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Access-Control-Allow-Methods"] == "PUT"
    assert answer.headers["Access-Control-Allow-Headers"] == "x-a, b"
    assert int(answer.headers["Access-Control-Max-Age"]) == 7200  # as long as browsers remember at most


@pytest.mark.direct
@pytest.mark.parametrize("path", ["/health", "/user/nobody", "/nothing"])
def test_every_answer_may_be_read_by_any_origin(call, path):
    assert call("GET", path).headers["Access-Control-Allow-Origin"] == "*"


def test_answers_above_1_kb_are_compressed_for_who_asks(call, new_user):
    user = new_user()
    call("PUT", "/user", user.profile(encryptedCurrentPlan=base64(15_000)))
    path = f"/user/{user.id}"
    plain = call("GET", path, headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Vary"] == "Accept-Encoding"
    assert "Content-Encoding" in call("GET", path, headers={"Accept-Encoding": "GZip, Deflate"}).headers
    packed = call("GET", path, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < len(plain.content)
    assert packed.content == plain.content
    for refused in ("gzip;q=0", "br", ""):
        assert "Content-Encoding" not in call("GET", path, headers={"Accept-Encoding": refused}).headers
    assert "Content-Encoding" not in call("GET", "/health", headers={"Accept-Encoding": "gzip"}).headers


def test_answers_are_json_without_anything_after_it(call, new_user):
    answer = call("GET", f"/user/{new_user().id}")
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.content.strip() == answer.content
