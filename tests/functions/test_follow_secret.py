"""Follow secrets over HTTP."""

from uuid import uuid4

from tests.users import EPOCH


def is_valid(call, user, secret):
    invalid = call("POST", "/events", {"users": [user.asked(secret, EPOCH)]}).json["invalidFollowSecrets"]
    return invalid == []


def test_a_secret_is_valid_until_it_is_taken_back(call, new_user):
    user, secret, other = new_user(), str(uuid4()), str(uuid4())
    assert not is_valid(call, user, secret)
    for each in (secret, other):
        assert call("PUT", "/follow-secret", user.secret(each)).status_code == 200
    assert is_valid(call, user, secret)
    assert call("POST", "/follow-secret/delete", user.secret(secret)).status_code == 200
    assert not is_valid(call, user, secret)
    assert is_valid(call, user, other)


def test_putting_a_secret_twice_is_one_secret_and_deleting_an_absent_one_is_fine(call, new_user):
    user, secret = new_user(), str(uuid4())
    for _ in range(2):
        assert call("PUT", "/follow-secret", user.secret(secret)).status_code == 200
    for _ in range(2):
        assert call("POST", "/follow-secret/delete", user.secret(secret)).status_code == 200
        assert not is_valid(call, user, secret)


def test_nobody_takes_back_a_secret_of_somebody_else(call, new_user):
    owner, other, secret = new_user(), new_user(), str(uuid4())
    call("PUT", "/follow-secret", owner.secret(secret))
    assert call("POST", "/follow-secret/delete", other.secret(secret)).status_code == 200
    assert is_valid(call, owner, secret)
