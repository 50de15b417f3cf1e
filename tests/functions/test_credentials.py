"""Who may write: every authenticated route, with every kind of wrong credentials."""

import pytest

UNKNOWN = "00000000-0000-4000-8000-000000000000"

# method, path, how a user builds the body, the field of the user's id, status for an unknown user
AUTHENTICATED = [
    ("PUT", "/user", lambda user: user.profile(), "id", 404),
    ("POST", "/user/delete", lambda user: user.account(), "id", 404),
    ("PUT", "/event", lambda user: user.event(), "userId", 404),
    ("PUT", "/follow-secret", lambda user: user.secret("s"), "userId", 404),
    ("POST", "/follow-secret/delete", lambda user: user.secret("s"), "userId", 404),
    ("POST", "/inbox", lambda user: user.credentials(), "userId", 404),
    ("POST", "/shareditem", lambda user: user.shared_item(), "userId", 401),
]
ROUTES = pytest.mark.parametrize(
    ("method", "path", "build", "id_field", "unknown_status"),
    AUTHENTICATED,
    ids=[f"{row[0]} {row[1]}" for row in AUTHENTICATED],
)


@ROUTES
@pytest.mark.parametrize("password", ["00000000-0000-4000-8000-000000000000", "wrong", "x" * 40])
def test_a_wrong_password_is_401_and_changes_nothing(
    call, new_user, method, path, build, id_field, unknown_status, password
):
    user = new_user()
    call("PUT", "/inbox", user.message())
    before = call("GET", f"/user/{user.id}").json
    assert call(method, path, build(user) | {"password": password}).status_code == 401
    assert call("GET", f"/user/{user.id}").json == before
    assert len(call("POST", "/inbox", user.credentials()).json["inboxMessages"]) == 1


@ROUTES
def test_an_unknown_user(call, new_user, method, path, build, id_field, unknown_status):
    body = build(new_user()) | {id_field: UNKNOWN}
    assert call(method, path, body).status_code == unknown_status


@ROUTES
def test_the_password_of_somebody_else_is_401(call, new_user, method, path, build, id_field, unknown_status):
    user, other = new_user(), new_user()
    assert call(method, path, build(user) | {"password": other.password}).status_code == 401


@ROUTES
def test_a_deleted_user_is_unknown(call, new_user, method, path, build, id_field, unknown_status):
    user = new_user()
    assert call("POST", "/user/delete", user.account()).status_code == 200
    assert call(method, path, build(user)).status_code == unknown_status


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
