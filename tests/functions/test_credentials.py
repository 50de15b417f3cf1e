"""Who may write: every authenticated route, with every kind of wrong credentials."""

from typing import Any

import pytest

from shared.http import fields
from tests.examples import EXAMPLES, ROUTES, Stage, has_password

UNKNOWN = "00000000-0000-4000-8000-000000000000"
AUTHENTICATED = [name for name, route in ROUTES.items() if has_password(route)]
ROUTES_WITH_CREDENTIALS = pytest.mark.parametrize("route", AUTHENTICATED)


class Sender:
    """Sends the example of a route as a user, with some fields changed."""

    def __init__(self, call, user, route):
        self._call, self._method = call, route.split(" ")[0]
        self._schema: Any = ROUTES[route].body
        self._request = EXAMPLES[route].build(Stage(call, user))

    def send(self, **changes):
        return self._call(self._method, self._request.path, self._request.body | changes).status_code

    def send_as(self, user_id):
        return self.send(**{self._schema.fields["user_id"].data_key: user_id})


def test_what_is_named_a_password_is_one_and_comes_with_the_user():
    """Else none of these tests, and no limit, would apply to it."""
    for name, route in ROUTES.items():
        if route.body is not None and {"password", "user_id"} & set(route.body.fields):
            assert isinstance(route.body.fields.get("password"), fields.Password), name
            assert isinstance(route.body.fields.get("user_id"), fields.Uuid), name


@ROUTES_WITH_CREDENTIALS
@pytest.mark.parametrize("password", ["00000000-0000-4000-8000-000000000000", "wrong", "x" * 40])
def test_a_wrong_password_is_401_and_changes_nothing(call, new_user, route, password):
    user = new_user()
    sender = Sender(call, user, route)
    call("PUT", "/inbox", user.message())
    before = call("GET", f"/user/{user.id}").json
    assert sender.send(password=password) == 401
    assert call("GET", f"/user/{user.id}").json == before
    assert call("POST", "/inbox", user.credentials()).json["inboxMessages"]


@ROUTES_WITH_CREDENTIALS
def test_an_unknown_user(call, new_user, route):
    assert Sender(call, new_user(), route).send_as(UNKNOWN) == EXAMPLES[route].unknown_user


@ROUTES_WITH_CREDENTIALS
def test_the_password_of_somebody_else_is_401(call, new_user, route):
    user, other = new_user(), new_user()
    assert Sender(call, user, route).send(password=other.password) == 401


@ROUTES_WITH_CREDENTIALS
def test_a_deleted_user_is_unknown(call, new_user, route):
    user = new_user()
    sender = Sender(call, user, route)
    assert call("POST", "/user/delete", user.account()).status_code == 200
    assert sender.send() == EXAMPLES[route].unknown_user


def test_deleting_an_account_takes_everything_with_it(call, new_user):
    user = new_user()
    call("PUT", "/follow-secret", user.secret("s"))
    call("PUT", "/event", user.event())
    call("PUT", "/inbox", user.message())
    item = call("POST", "/shareditem", user.shared_item()).json["id"]
    assert call("POST", "/user/delete", user.account()).status_code == 200
    assert call("GET", f"/user/{user.id}").status_code == 404
    assert call("GET", f"/user/{user.lookup}").status_code == 404
    assert call("GET", f"/shareditem/{item}").status_code == 404
    assert call("PUT", "/inbox", user.message()).status_code == 404
    assert call("POST", "/events", {"users": [user.asked("s")]}).json["invalidFollowSecrets"] == ["s"]
