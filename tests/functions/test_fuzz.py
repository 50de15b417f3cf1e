"""No input makes a 5xx: valid requests with one field replaced by anything JSON can say, and bodies of any bytes."""

import json
from urllib.parse import quote
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.servers import Caller
from tests.users import EPOCH, User

USER = User(str(uuid4()), "nobody", str(uuid4()))
ROUTES = [
    ("PUT", "/user", USER.profile(encryptedName="", encryptedCurrentPlan="", encryptedProfilePicture="")),
    ("POST", "/user/create", {"any": 1}),
    ("POST", "/user/delete", USER.account()),
    ("POST", "/users", {"ids": [USER.id]}),
    ("PUT", "/event", USER.event()),
    ("POST", "/events", {"users": [USER.asked("s", EPOCH)]}),
    ("PUT", "/follow-secret", USER.secret("s")),
    ("POST", "/follow-secret/delete", USER.secret("s")),
    ("PUT", "/inbox", USER.message()),
    ("POST", "/inbox", USER.credentials()),
    ("POST", "/shareditem", USER.shared_item()),
    ("POST", "/", {"route": "PUT /event", "body": USER.event()}),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary().map(str),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
BOUNDED = settings(
    max_examples=60, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def gateway(servers):
    return Caller(servers, alone=False)


def paths_of(value, path=()):
    """Every place in a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths_of(inner, (*path, key))


def replaced(value, path, new):
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@pytest.mark.parametrize(("method", "path", "valid"), ROUTES, ids=[f"{row[0]} {row[1]}" for row in ROUTES])
def test_one_field_replaced_by_anything(gateway, method, path, valid):
    @BOUNDED
    @given(place=st.sampled_from(list(paths_of(valid))), new=JSON)
    def check(place, new):
        body = json.dumps(replaced(valid, place, new), ensure_ascii=True).encode()
        assert gateway(method, path, body).status_code < 500, body

    check()


@BOUNDED
@given(body=st.binary(max_size=200))
def test_any_bytes_as_a_body(gateway, body):
    assert gateway("PUT", "/event", body).status_code < 500


@BOUNDED
@given(segment=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_any_text_in_a_path(gateway, segment):
    assert gateway("GET", f"/user/{quote(segment, safe='')}").status_code < 500
    assert gateway("GET", f"/shareditem/{quote(segment, safe='')}").status_code < 500


@BOUNDED
@given(segment=st.binary(min_size=1, max_size=30))
def test_any_bytes_in_a_path(gateway, segment):
    encoded = "".join(f"%{byte:02x}" for byte in segment)
    assert gateway("GET", f"/user/{encoded}").status_code < 500
