"""Nothing is there that nobody uses: every name of a module is used by something that is no test.

What a framework looks for is known from the code: functions under a decorator, and what a migration is made of.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "functions",
    "shared",
    "migrations",
    "local",
    "client",
    "rehearsal",
    "docgen",
    "evaluation",
    "bench",
    "installation",
    "scripts",
)
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
OF_A_MIGRATION = {"revision", "down_revision", "upgrade", "downgrade"}


def used_in(path: Path) -> Iterator[str]:
    """Every name that a module reads or imports; what __init__ only hands on is no use."""
    tree = ast.parse(path.read_text())
    hands_on = path.name == "__init__.py"
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.alias(name=name) if not hands_on:
                yield name.rpartition(".")[2]


def defined_in(path: Path) -> Iterator[str]:
    """Every name that a module makes for others, but for what a framework looks for."""
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.FunctionDef(name=name, decorator_list=[]) | ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name


USED = {name for path in SOURCES for name in used_in(path)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_name_of_a_module_is_used(path):
    mine = set(used_in(path))
    used = {name for name in defined_in(path) if name in (mine if name.startswith("_") else USED)}
    of_alembic = OF_A_MIGRATION if path.parent.name == "versions" else set()
    assert set(defined_in(path)) - {"__all__"} - of_alembic - used == set()
