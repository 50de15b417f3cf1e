"""How often each route asks the database: one statement in one round trip, counted on the wire."""

import json
from uuid import uuid4

import pytest

from client.model_server import ModelServer
from client.scripted_answers import Say
from tests.plans import plan_v1
from tests.postgres_proxy import PostgresProxy
from tests.servers import Caller, Servers, manifest
from tests.users import EPOCH, User, base64


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
    planner = {"WEB_AUTH_API_KEY": "key", "OPENAI_BASE_URL": model_server.base_url}
    with Servers(proxy.url, DB_POOL_SIZE="1", **planner) as servers:
        yield Caller(servers, alone=False)


@pytest.fixture
def user(counted):
    created = counted("POST", "/user/create", {}).json
    return User(created["id"], created["lookup"], created["password"])


SUBSCRIBED = {"Authorization": "Web key"}
PLAN_WISHES = {
    "gender": "Other", "weightRange": "70-80", "age": 30, "daysPerWeek": 3, "goals": ["Strength"],
    "experience": "Beginner",
}  # fmt: skip
SESSION_WISHES = {"areasToWorkout": ["Chest"], "volume": 50, "exerciseToKilograms": {}}
# what the model answers to the routes that ask it
ANSWERS = {"POST /ai/workout": plan_v1(), "POST /ai/session": plan_v1()["sessions"][0]}
# route: how a user builds path and body; how many statements
STATEMENTS = {
    "POST /user/create": (lambda _: ("/user/create", {}), 1),
    "GET /user/{id_or_lookup}": (lambda user: (f"/user/{user.lookup}", None), 1),
    "PUT /user": (lambda user: ("/user", user.profile(encryptedProfilePicture=base64(100_000))), 1),
    "POST /user/delete": (lambda user: ("/user/delete", user.account()), 1),
    "POST /users": (lambda user: ("/users", {"ids": [user.id, *(str(uuid4()) for _ in range(199))]}), 1),
    "PUT /event": (lambda user: ("/event", user.event()), 1),
    "POST /events": (lambda user: ("/events", {"users": [user.asked(str(uuid4()), EPOCH) for _ in range(200)]}), 1),
    "PUT /follow-secret": (lambda user: ("/follow-secret", user.secret("s")), 1),
    "POST /follow-secret/delete": (lambda user: ("/follow-secret/delete", user.secret("s")), 1),
    "PUT /inbox": (lambda user: ("/inbox", user.message()), 1),
    "POST /inbox": (lambda user: ("/inbox", user.credentials()), 1),
    "POST /shareditem": (lambda user: ("/shareditem", user.shared_item()), 1),
    "GET /shareditem/{item_id}": (lambda _: ("/shareditem/nothing", None), 1),
    "POST /ai/workout": (lambda _: ("/ai/workout", {"attributes": PLAN_WISHES}), 1),
    "POST /ai/session": (lambda _: ("/ai/session", {"attributes": SESSION_WISHES}), 1),
    "POST /ai-chat/negotiate": (lambda _: ("/ai-chat/negotiate", None), 0),
    "GET /ai-chat": (lambda _: ("/ai-chat?id=forged", None), 0),
    "POST /ai-chat": (lambda _: ("/ai-chat?id=forged", None), 0),
    "DELETE /ai-chat": (lambda _: ("/ai-chat?id=forged", None), 0),
    "POST /ai-chat-v2/negotiate": (lambda _: ("/ai-chat-v2/negotiate", None), 0),
    "GET /ai-chat-v2": (lambda _: ("/ai-chat-v2?id=forged", None), 0),
    "POST /ai-chat-v2": (lambda _: ("/ai-chat-v2?id=forged", None), 0),
    "DELETE /ai-chat-v2": (lambda _: ("/ai-chat-v2?id=forged", None), 0),
    "GET /health": (lambda _: ("/health", None), 0),
    "GET /health/ready": (lambda _: ("/health/ready", None), 1),
}


def test_every_public_route_is_counted():
    routes = [route for entry in manifest().values() if entry["access"] == "public" for route in entry["routes"]]
    assert list(STATEMENTS) == routes


@pytest.mark.parametrize("route", STATEMENTS)
def test_a_route_sends_so_many_statements_each_in_one_round_trip(route, counted, proxy, model_server, user):
    build, expected = STATEMENTS[route]
    method = route.split(" ")[0]
    path, body = build(user)
    if route in ANSWERS:
        for _ in range(2):
            model_server.script(Say(json.dumps(ANSWERS[route]), piece_characters=500))
    counted(method, path, body, headers=SUBSCRIBED)  # prepares
    if route == "POST /user/delete":
        created = counted("POST", "/user/create", {}).json
        body = User(created["id"], created["lookup"], created["password"]).account()
    proxy.forget()
    assert counted(method, path, body, headers=SUBSCRIBED).status_code in {200, 404}
    assert (proxy.statements(), proxy.round_trips()) == (expected, expected)


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_costs_no_more_than_the_good_case(status, counted, proxy, user):
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
