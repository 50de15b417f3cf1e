"""A guarded route: the guard is asked before the body is read, about the header of the request or of the envelope."""

from datetime import UTC, datetime

import pytest
from flask import Flask, request

from shared.errors import ModelUnavailable, NotSubscribed, RateLimited
from shared.http import Family, WireSchema, fields
from shared.http.problems import problem_response
from shared.subscriptions.subscribers import Subscriber


class Wish(WireSchema):
    """A body that must be there."""

    wish = fields.Instant(required=True)


def guard(authorization):
    if authorization != "Web key":
        raise NotSubscribed
    return Subscriber("web", "A1")


@pytest.fixture(scope="module")
def send():
    """Return a function that sends a request to a family with one guarded route and one open one."""
    family = Family("wish")

    @family.route("POST", "/wish", guard=guard, body=Wish)
    def put_wish(*, subscriber, wish):
        return {"store": subscriber.store, "key": subscriber.key, "wish": wish.isoformat()}

    @family.route("GET", "/open")
    def get_open():
        return {"open": True}

    app = Flask("wish")
    app.add_url_rule("/", "root", lambda: family.handle(request), methods=["POST"])
    app.add_url_rule("/<path:path>", "any", lambda **_path: family.handle(request), methods=["GET", "POST", "OPTIONS"])
    return app.test_client().open


WISH = {"wish": "2026-01-01T00:00:00Z"}
GRANTED = {"store": "web", "key": "A1", "wish": "2026-01-01T00:00:00+00:00"}


def test_the_handler_gets_the_subscriber(send):
    answer = send("/wish", method="POST", json=WISH, headers={"Authorization": "Web key"})
    assert (answer.status_code, answer.json) == (200, GRANTED)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Web other"}])
@pytest.mark.parametrize("body", [b"", b"nonsense", b"{}", b'{"wish": 5}', b"x" * 5_000_000])
def test_who_is_not_let_in_gets_401_whatever_the_body(send, headers, body):
    answer = send("/wish", method="POST", data=body, headers=headers)
    assert answer.status_code == 401
    assert answer.json["type"] == "urn:liftlog:problem:not-subscribed"
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_who_is_let_in_is_told_of_a_bad_body(send):
    assert send("/wish", method="POST", json={}, headers={"Authorization": "Web key"}).status_code == 400


def test_an_open_route_asks_nobody(send):
    assert send("/open", method="GET").json == {"open": True}


def test_a_preflight_asks_nobody(send):
    assert send("/wish", method="OPTIONS").status_code == 204


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_an_envelope_brings_its_own_header(send, name):
    envelope = {"route": "POST /wish", "body": WISH, "headers": {name: "Web key", "X-Other": "x"}}
    answer = send("/", method="POST", json=envelope)
    assert (answer.status_code, answer.json) == (200, GRANTED)


def test_the_operators_own_header_opens_nothing(send):
    envelope = {"route": "POST /wish", "body": WISH}
    assert send("/", method="POST", json=envelope, headers={"Authorization": "Web key"}).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (None, 401),
        ({}, 401),
        ({"X-Authorization": "Web key"}, 401),
        ({"Authorization": "Web other"}, 401),
        ([], 400),
        ("Web key", 400),
        ({"Authorization": None}, 400),
        ({"Authorization": ["Web key"]}, 400),
        ({"Authorization": "Web key", "X-Other": 5}, 400),
        ({"Authorization": "Web key", "authorization": "Web key"}, 400),
    ],
)
def test_headers_of_an_envelope_are_texts(send, headers, status):
    answer = send("/", method="POST", json={"route": "POST /wish", "body": WISH, "headers": headers})
    assert answer.status_code == status
    assert (b'"field":"headers"' in answer.data) == (status == 400)


def test_a_rate_limit_says_when_to_come_again_in_whole_seconds_that_are_not_too_early():
    with Flask("problems").app_context():
        for microsecond, second in [(0, "15"), (1, "16"), (999_999, "16")]:
            answer = problem_response(RateLimited(datetime(2026, 11, 24, 3, 0, 15, microsecond, UTC)))
            assert answer.status_code == 429
            assert answer.headers["Retry-After"] == f"Tue, 24 Nov 2026 03:00:{second} GMT"


def test_a_model_that_cannot_answer_is_a_fault_of_ours():
    with Flask("problems").app_context():
        answer = problem_response(ModelUnavailable("status 500"))
        assert answer.status_code == 503
        assert b"urn:liftlog:problem:model-unavailable" in answer.data
        assert answer.headers["Retry-After"].isdigit()
