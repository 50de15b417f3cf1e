"""The API's description: valid, fresh, complete, and true of what the service answers."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from client.model_server import ModelServer
from client.scripted_answers import Say
from docgen import openapi
from tests.browsers import look
from tests.examples import EXAMPLES, Stage
from tests.examples.subscriptions import SETTINGS
from tests.servers import Caller, Servers, manifest
from tests.users import User

ROOT = Path(__file__).parent.parent.parent
DOCUMENT: dict[str, Any] = json.loads(openapi.TARGET.read_text())


def test_it_is_valid():
    validate(DOCUMENT)


def test_it_is_fresh():
    assert openapi.describe() == DOCUMENT


def test_the_command_notices_that_it_is_stale(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(openapi, "TARGET", tmp_path / "openapi.json")
    monkeypatch.setattr(sys, "argv", ["openapi", "--check"])
    assert openapi.main() == 1
    assert "stale" in capsys.readouterr().err


def test_lint_checks_it():
    printed = subprocess.run(["make", "-n", "lint"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "-m docgen.openapi --check" in printed


def test_every_route_is_in_it_with_its_answers():
    described = {f"{method.upper()} {path}" for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert described == {route for entry in manifest().values() for route in entry["routes"]}
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            assert operation["summary"]
            assert "503" in operation["responses"]
            assert "400" in operation["responses"] or "requestBody" not in operation
            assert all(answer["description"] for answer in operation["responses"].values())


def test_limits_are_those_of_the_code():
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["PutEvent"]["properties"]["encryptedEventPayload"]["maxLength"] == 349_528  # 262 144 bytes in base64
    assert schemas["PutEvent"]["required"] == [
        "userId", "password", "eventId", "encryptedEventPayload", "encryptedEventIV", "expiry",
    ]  # fmt: skip
    assert schemas["ListUsers"]["properties"]["ids"]["maxItems"] == 1000
    assert schemas["PutUser"]["properties"]["encryptedName"]["type"] == ["string", "null"]


@pytest.fixture(scope="module")
def model():
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
def call(database_url, model):
    planner = SETTINGS | {"OPENAI_BASE_URL": model.base_url}
    with Servers(database_url, **planner) as servers:
        yield Caller(servers, alone=False)


@pytest.fixture
def user(call):
    created = call("POST", "/user/create", {}).json
    return User(created["id"], created["lookup"], created["password"])


def checker(schema):
    """Return a validator of a schema within the document, which refuses members that are not described."""
    return Draft202012Validator({**schema, "components": DOCUMENT["components"]})


@pytest.mark.parametrize("route", EXAMPLES)
def test_requests_and_answers_are_as_described(route, call, model, user):
    method, pattern = route.split(" ")
    example = EXAMPLES[route]
    if example.model_answer is not None:
        model.script(Say(json.dumps(example.model_answer), piece_characters=500))
    request = example.build(Stage(call, user))
    operation = DOCUMENT["paths"][pattern][method.lower()]
    for kind, described in operation.get("requestBody", {}).get("content", {}).items():
        if kind == "application/json":
            checker(described["schema"]).validate(request.body)
    answer = call(method, request.path, request.body, headers=request.headers)
    assert answer.status_code == example.status
    content = operation["responses"][str(example.status)].get("content")
    if content:
        schema = content["application/json"]["schema"]
        checker(schema).validate(answer.json)
        assert set(answer.json) == set(DOCUMENT["components"]["schemas"][schema["$ref"].split("/")[-1]]["properties"])


@pytest.mark.parametrize("body", [{"ids": []}, {"ids": ["x"]}, {}])
def test_problems_are_as_described(call, body):
    problem = call("POST", "/users", body)
    assert problem.status_code == 400
    checker({"$ref": "#/components/schemas/Problem"}).validate(problem.json)


def test_the_gateway_serves_it(call):
    assert call("GET", "/openapi.json").json == DOCUMENT


def test_a_browser_shows_it_and_asks_nobody_else(call, tmp_path):
    document, picture = look(call.url("/docs"), tmp_path, width=1200, height=1400)
    assert picture.startswith(b"\x89PNG")
    assert document.count('class="opblock ') == len([r for entry in manifest().values() for r in entry["routes"]])
    assert re.search(r"LiftLog backend", document)
    assert call("GET", "/docs").headers["Content-Security-Policy"].startswith("default-src 'none'")
