"""The manifest says what exists; a deployed family does not read it, so both are held against each other here."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml

from functions.own_data import newcomers
from shared import operators
from shared.settings.planner import THREADS_BESIDE_CHATS
from tests.examples import PUBLIC, has_password
from tests.servers import FUNCTIONS, manifest

SIZES = {"memory", "cpu", "pool", "connections", "instances", "concurrency", "timeout_seconds"}
OF_PUBLIC = {"limits_per_minute", "requests_per_user_day"}
CHAT_LIMIT = 50  # the setting's default


@pytest.mark.parametrize("name", manifest())
def test_a_family_has_the_routes_of_its_row(name):
    module = import_module(f"functions.{name}.main")
    assert [str(route) for route in module.family.routes()] == manifest()[name]["routes"]
    assert module.family.name == name
    assert callable(getattr(module, name))


def test_every_folder_has_a_row():
    folders = {path.parent.name for path in Path(FUNCTIONS).glob("*/main.py")}
    assert folders == set(manifest()) | {"gateway"}


@pytest.mark.parametrize("name", manifest())
def test_every_row_is_complete(name):
    entry = manifest()[name]
    assert entry["access"] in {"public", "private"}
    assert set(entry) == SIZES | {"access", "secrets", "routes"} | (OF_PUBLIC if entry["access"] == "public" else set())


@pytest.mark.parametrize("family", PUBLIC)
def test_routes_that_anybody_may_ask_have_a_limit(family):
    def asks_for_credentials(route):
        is_guarded = route.guard not in {None, newcomers.admit}  # whom that admits, nobody knows
        return has_password(route) or is_guarded or route.credentials

    routes = import_module(f"functions.{family}.main").family.routes()
    open_to_all = {str(route) for route in routes if not (asks_for_credentials(route) or route.is_probe)}
    assert set(manifest()[family]["limits_per_minute"]) == open_to_all


def test_the_gateways_have_sizes_of_their_own():
    document = yaml.safe_load((Path(FUNCTIONS) / "manifest.yaml").read_text())
    assert set(document) == {"functions", "gateway", "operator"}
    assert set(document["gateway"]) == set(document["operator"]) == SIZES


@pytest.mark.parametrize("name", [*manifest(), "gateway", "operator"])
def test_a_row_counts_all_connections_that_an_instance_opens(name):
    document = yaml.safe_load((Path(FUNCTIONS) / "manifest.yaml").read_text())
    entry = document["functions"].get(name) or document[name]
    families = [name] if name in manifest() else list(manifest())
    sources = "".join(path.read_text() for family in families for path in (Path(FUNCTIONS) / family).rglob("*.py"))
    databases = 2 if "rate_limit_database" in sources or name == "migrate" else 1
    listeners = 1 if "shared.signalr" in sources else 0
    assert entry["connections"] == entry["pool"] * databases + listeners


@pytest.mark.parametrize("name", ["ai_chat", "gateway", "operator"])
def test_whoever_serves_chats_has_threads_beside_them(name):
    document = yaml.safe_load((Path(FUNCTIONS) / "manifest.yaml").read_text())
    entry = document["functions"].get(name) or document[name]
    assert entry["concurrency"] == CHAT_LIMIT + THREADS_BESIDE_CHATS


OWN = ["GET /", "GET /docs", "GET /openapi.json", "GET /chat", "GET /admin", "POST /admin"]  # the gateway's


def test_the_gateway_serves_all_and_asks_operators_who_they_are():
    routes = import_module("functions.gateway.main").family.routes()
    assert [str(route) for route in routes] == [*(r for entry in manifest().values() for r in entry["routes"]), *OWN]
    private = [route for entry in manifest().values() if entry["access"] == "private" for route in entry["routes"]]
    assert [str(route) for route in routes if route.guard is operators.authorize] == private


def test_no_two_functions_share_a_first_path_segment_and_a_method():
    """What the load balancer's URL map needs: one path goes to one function."""
    owners: dict[str, str] = {}
    for name, entry in manifest().items():
        for route in entry["routes"]:
            assert owners.setdefault(route.split(" ")[1], name) == name
