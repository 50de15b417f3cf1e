"""The rooms of the house: who may import whom, and that a word means one thing in all of them."""

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from tests.imports import DEPLOYED, NOT_DEPLOYED, ROOT, circles, imports, modules

FAMILIES = sorted(path.parent.name for path in ROOT.glob("functions/*/main.py"))
# room: what it may import of ours beside itself
MAY_IMPORT = {
    "shared": set[str](),
    "migrations": {"shared"},
    "local": {"shared", "migrations"},
    "client": {"shared", "local"},
    "rehearsal": {"shared", "local"},
    "docgen": {"shared", "functions"},
    "evaluation": {"shared", "functions", "client"},
    "bench": {"shared", "migrations", "local", "client"},
    "installation": set[str](),
    "scripts": {"shared"},
}


def _is_below(module: str, *packages: str) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


def test_no_modules_import_one_another():
    assert circles() == []


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_what_it_may(room):
    others = {*DEPLOYED, *NOT_DEPLOYED} - {room} - MAY_IMPORT[room]
    for module, imported in imports().items():
        if _is_below(module, room):
            assert not [name for name in imported if _is_below(name, *others)], module


def test_the_table_above_names_every_room():
    assert {*DEPLOYED, *NOT_DEPLOYED} == {*MAY_IMPORT, "functions", "tests"}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_imports_shared_and_itself(family):
    for module, imported in imports().items():
        if _is_below(module, f"functions.{family}"):
            foreign = [name for name in imported if _is_below(name, "functions", *NOT_DEPLOYED)]
            assert [name for name in foreign if not _is_below(name, f"functions.{family}")] == [], module


def test_data_knows_no_http():
    for module, imported in imports().items():
        if _is_below(module, "shared.data"):
            assert not [name for name in imported if _is_below(name, "flask", "marshmallow", "shared.http")], module


def test_a_class_name_means_one_thing():
    """A schema may have the name of the data class whose form on the wire it is."""
    homes: dict[str, list[str]] = defaultdict(list)
    for module, path in modules().items():
        if not _is_below(module, "tests") and path.name != "schemas.py":
            for name in _public_classes(path):
                homes[name].append(module)
    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def _public_classes(path: Path) -> list[str]:
    nodes = ast.parse(path.read_text()).body
    return [node.name for node in nodes if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
