"""No input makes a 5xx: valid requests with one field replaced by anything JSON can say, and bodies of any bytes."""

import json
import re
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.examples import EXAMPLES, ROUTES, Stage
from tests.servers import Caller
from tests.users import User

WITH_BODY = [name for name, example in EXAMPLES.items() if ROUTES[name].body and example.model_answer is None]
WITH_TEXT_IN_PATH = [name.split(" ") for name in ROUTES if "{" in name]
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


@pytest.fixture
def user(gateway):
    created = gateway("POST", "/user/create", {}).json
    return User(created["id"], created["lookup"], created["password"])


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


def check_all(gateway, method, path, valid):
    @BOUNDED
    @given(place=st.sampled_from(list(paths_of(valid))), new=JSON)
    def check(place, new):
        body = json.dumps(replaced(valid, place, new), ensure_ascii=True).encode()
        assert gateway(method, path, body).status_code < 500, body

    check()


@pytest.mark.parametrize("route", WITH_BODY)
def test_one_field_replaced_by_anything(gateway, user, route):
    request = EXAMPLES[route].build(Stage(gateway, user))
    check_all(gateway, route.split(" ")[0], request.path, request.body)


def test_an_envelope_with_one_field_replaced_by_anything(gateway, user):
    check_all(gateway, "POST", "/", {"route": "PUT /event", "body": user.event()})


@BOUNDED
@given(body=st.binary(max_size=200))
def test_any_bytes_as_a_body(gateway, body):
    assert gateway("PUT", "/event", body).status_code < 500


@pytest.mark.parametrize(("method", "pattern"), WITH_TEXT_IN_PATH)
@pytest.mark.parametrize(
    "texts",
    [
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).map(str.encode),
        st.binary(min_size=1, max_size=30),
    ],
    ids=["text", "bytes"],
)
def test_anything_in_a_path(gateway, method, pattern, texts):
    @BOUNDED
    @given(segment=texts)
    def check(segment):
        path = re.sub(r"{\w+}", lambda _: quote(segment, safe=""), pattern)
        assert gateway(method, path).status_code < 500

    check()
