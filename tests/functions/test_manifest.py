"""The manifest says what exists; a deployed family does not read it, so both are held against each other here."""

from importlib import import_module
from pathlib import Path

import pytest

from shared import operators
from tests.servers import FUNCTIONS, manifest


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
    assert set(entry) == {"access", "memory", "concurrency", "timeout_seconds", "secrets", "routes"}
    assert entry["access"] in {"public", "private"}


def test_the_gateway_serves_all_and_asks_operators_who_they_are():
    routes = import_module("functions.gateway.main").family.routes()
    assert [str(route) for route in routes] == [*(r for entry in manifest().values() for r in entry["routes"]), "GET /"]
    private = [route for entry in manifest().values() if entry["access"] == "private" for route in entry["routes"]]
    assert [str(route) for route in routes if route.guard is operators.authorize] == private


def test_no_two_functions_share_a_first_path_segment_and_a_method():
    """What the load balancer's URL map needs: one path goes to one function."""
    owners: dict[str, str] = {}
    for name, entry in manifest().items():
        for route in entry["routes"]:
            assert owners.setdefault(route.split(" ")[1], name) == name
