"""Who imports whom in this repository. Every import counts, also inside a function or for the type checker alone."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
DEPLOYED = ("functions", "shared", "migrations")
NOT_DEPLOYED = ("local", "client", "rehearsal", "docgen", "evaluation", "bench", "installation", "scripts", "tests")


@cache
def modules() -> dict[str, Path]:
    """Return every module of the repository, by its dotted name; a package is named by its folder."""
    paths = [path for room in (*DEPLOYED, *NOT_DEPLOYED) for path in sorted((ROOT / room).rglob("*.py"))]
    return {_name(path): path for path in paths}


@cache
def imports() -> dict[str, frozenset[str]]:
    """Return what each module imports, ours and others' alike, by the name of the module that holds what is imported.

    `from shared.data import events` names `shared.data.events`, `from shared.data import database` names `shared.data`.
    """
    return {name: frozenset(_imports_of(path)) for name, path in modules().items()}


def circles() -> list[list[str]]:
    """Return every set of modules that import one another (strongly connected components, Tarjan 1972)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        order[module] = lowest[module] = len(order)
        stack.append(module)
        for imported in imports()[module] & modules().keys():
            if imported not in order:
                visit(imported)
                lowest[module] = min(lowest[module], lowest[imported])
            elif imported in stack:
                lowest[module] = min(lowest[module], order[imported])
        if lowest[module] == order[module]:
            component = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(component) > 1:
                found.append(sorted(component))

    for module in modules():
        if module not in order:
            visit(module)
    return found


def _name(path: Path) -> str:
    *folders, last = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(folders if last == "__init__" else [*folders, last])


def _imports_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            module = node.module or ""
            submodules = {f"{module}.{alias.name}" for alias in node.names} & modules().keys()
            named = {alias.name for alias in node.names}
            found |= submodules
            if len(submodules) < len(named):
                found.add(module)
    return found
