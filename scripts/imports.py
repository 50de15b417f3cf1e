"""What code imports: modules of this project, and packages of the lock."""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

OURS = frozenset({"functions", "shared", "migrations"})
_ENTRY = re.compile(r"^([A-Za-z0-9._-]+)==")
_NORMAL = re.compile(r"[-_.]+")  # PyPA, "Names and normalization"


class Source:
    """The project's modules."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def path(self, module: str) -> Path:
        """Return the file of a module that exists."""
        found = self.find(module)
        if found is None:
            raise FileNotFoundError(module)
        return found

    def find(self, module: str) -> Path | None:
        base = self._root.joinpath(*module.split("."))
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return path
        return None

    def package(self, name: str) -> Iterator[str]:
        """Return all modules of a package, which something else than an import statement finds."""
        for path in sorted(self._root.joinpath(name).rglob("*.py")):
            parts = path.relative_to(self._root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_from(source: Source, roots: Iterable[str]) -> tuple[set[str], dict[str, str]]:
    """Follow the imports of our modules. Return ours, and the others with the module that imports each.

    Alembic finds migrations by their files, so that package is taken whole.
    """
    ours: set[str] = set()
    outside: dict[str, str] = {}
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module in ours:
            continue
        ours.add(module)
        if "." in module:
            waiting.append(module.rpartition(".")[0])
        if module == "migrations":
            waiting.extend(source.package(module))
        for name in _imports(source, module):
            if name.partition(".")[0] in OURS:
                waiting.append(name)
            elif name.partition(".")[0] not in sys.stdlib_module_names:
                outside.setdefault(name, module)
    return {module for module in ours if source.find(module) is not None}, outside


def _imports(source: Source, module: str) -> Iterator[str]:
    path = source.find(module)
    if path is None:  # a folder without a file of its own: a namespace
        return
    for node in _run_time_nodes(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            for alias in node.names:  # a name of that module, or a module below it
                below = f"{node.module}.{alias.name}"
                if node.module.partition(".")[0] not in OURS or source.find(below) is not None:
                    yield below


def _run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk a tree, but not into `if TYPE_CHECKING:`."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting.extend(node.orelse)
        else:
            waiting.extend(ast.iter_child_nodes(node))


class Distributions:
    """Which installed distribution has which module, by the files that each lists."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}
        for distribution in distributions():
            name = normal(distribution.metadata["Name"])
            for file in distribution.files or ():
                parts = file.parts
                if file.suffix in {".py", ".so", ".pyd"} and not parts[0].endswith((".dist-info", ".egg-info")):
                    parts = (*parts[:-1], parts[-1].partition(".")[0])
                    self._owners[".".join(parts).removesuffix(".__init__")] = name

    def of_module(self, module: str) -> str | None:
        """Return the distribution of a module, or of the module that a name belongs to."""
        while module:
            if module in self._owners:
                return self._owners[module]
            module = module.rpartition(".")[0]
        return None


@dataclass(frozen=True, slots=True)
class LockEntry:
    """A pinned package: its lines in the lock, and what needs it."""

    text: str  # name==version, marker, hashes; ends with a newline
    needed_by: frozenset[str]


def lock_entries(lock: str) -> dict[str, LockEntry]:
    """Take a lock apart as `uv pip compile` writes it. Comments `# via` say which package needs which."""
    entries: dict[str, LockEntry] = {}
    for block in re.split(r"^(?=\S)", lock, flags=re.MULTILINE):
        match = _ENTRY.match(block)
        if match is None:
            continue
        lines = block.splitlines()
        comments = [line.strip().lstrip("#").removeprefix(" via").strip() for line in lines if line.lstrip()[:1] == "#"]
        text = "".join(f"{line}\n" for line in lines if line.lstrip()[:1] not in {"#", ""})
        needed_by = frozenset(normal(name) for name in comments if name and not name.startswith("-r"))
        entries[normal(match[1])] = LockEntry(text, needed_by)
    return entries


def with_dependencies(lock: dict[str, LockEntry], names: Iterable[str]) -> set[str]:
    """Return these packages and all that they need."""
    found: set[str] = set()
    waiting = set(names)
    while waiting:
        found |= waiting
        waiting = {name for name, entry in lock.items() if entry.needed_by & waiting} - found
    return found


def normal(name: str) -> str:
    """Return a distribution's name as indexes compare it."""
    return _NORMAL.sub("-", name).lower()
