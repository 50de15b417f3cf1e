"""How often each route asks the database: one statement in one round trip, counted on the wire."""

import json
from uuid import uuid4

import pytest

from client.model_server import ModelServer
from client.scripted_answers import Say
from tests.examples import EXAMPLES, PUBLIC, Stage, good
from tests.examples.subscriptions import SETTINGS
from tests.postgres_proxy import PostgresProxy
from tests.servers import Caller, Servers, manifest
from tests.users import User


@pytest.fixture(scope="module")
def proxy(database_url):
    proxy = PostgresProxy(database_url)
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def model_server():
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def counted(proxy, model_server):
    """Return a function that sends a request to a gateway whose one connection runs through the proxy."""
    planner = SETTINGS | {"OPENAI_BASE_URL": model_server.base_url}
    with Servers(proxy.url, DB_POOL_SIZE="1", **planner) as servers:
        yield Caller(servers, alone=False)


@pytest.fixture
def new_stage(counted):
    """Return a function that creates an account, with which a request is sent."""

    def create():
        created = counted("POST", "/user/create", {}).json
        return Stage(counted, User(created["id"], created["lookup"], created["password"]))

    return create


@pytest.mark.parametrize("family", PUBLIC)
def test_every_public_route_has_an_example(family):
    assert list(good(family)) == manifest()[family]["routes"], f"write it into tests/examples/{family}.py"


@pytest.mark.parametrize("route", EXAMPLES)
def test_a_good_request_sends_so_many_statements_each_in_one_round_trip(route, counted, proxy, model_server, new_stage):
    example, method = EXAMPLES[route], route.split(" ")[0]
    for is_prepared in (False, True):
        if example.model_answer is not None:
            model_server.script(Say(json.dumps(example.model_answer), piece_characters=500))
        request = example.build(new_stage())
        proxy.forget()
        answer = counted(method, request.path, request.body, headers=request.headers)
        assert answer.status_code == example.status, answer.content
        if is_prepared:
            assert (proxy.statements(), proxy.round_trips()) == (example.statements, example.statements)


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_costs_no_more_than_the_good_case(status, counted, proxy, new_stage):
    user = new_stage().user
    changes = {
        400: {"expiry": "never"},
        401: {"password": str(uuid4())},
        404: {"userId": str(uuid4())},
    }[status]
    counted("PUT", "/event", user.event())
    proxy.forget()
    assert counted("PUT", "/event", user.event(**changes)).status_code == status
    assert proxy.round_trips() == (0 if status == 400 else 1)


@pytest.mark.parametrize(("method", "path"), [("OPTIONS", "/user"), ("GET", "/nothing"), ("DELETE", "/event")])
def test_what_no_route_takes_never_reaches_the_database(method, path, counted, proxy):
    proxy.forget()
    counted(method, path)
    assert proxy.round_trips() == 0
