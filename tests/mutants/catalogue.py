"""The list of mutants: lines that are broken on purpose, each with the tests that must notice it.

Each `*.toml` beside this file holds some, as `[[mutant]]` with

    file    the file that is broken
    old     a text that is in it exactly once, of one line or of several
    new     what stands there instead; empty where the text is to go
    tests   what must notice it, as pytest names tests; the fewer, the sooner it is known
    why     what would happen to whom
"""

import ast
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Mutant:
    """One broken line."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    why: str

    def broken(self, text: str) -> str:
        """Return the file's text with the line broken. Raises Stale."""
        found = text.count(self.old)
        if found != 1:
            raise Stale(f"{self.file}: {self.old!r} is there {found} times, not once")
        return text.replace(self.old, self.new)

    def matches(self, words: list[str]) -> bool:
        """Tell whether one of the words is in what the list says of it; no words mean all mutants."""
        said = " ".join([self.file, self.old, self.why, *self.tests]).lower()
        return not words or any(word.lower() in said for word in words)


class Stale(Exception):
    """The list no longer fits the source; the message says where."""


def mutants(folder: Path = HERE) -> list[Mutant]:
    """Return all mutants of the list, in its order."""
    found = []
    for path in sorted(folder.glob("*.toml")):
        for entry in tomllib.loads(path.read_text())["mutant"]:
            found.append(Mutant(**entry | {"tests": tuple(entry["tests"])}))
    return found


def check(mutant: Mutant, root: Path) -> None:
    """Return if a mutant fits the source. Raises Stale."""
    text = (root / mutant.file).read_text()
    broken = mutant.broken(text)
    if broken == text:
        raise Stale(f"{mutant.file}: {mutant.old!r} stays as it is")
    if mutant.file.endswith(".py"):
        try:
            ast.parse(broken)
        except SyntaxError as error:
            raise Stale(f"{mutant.file}: with {mutant.new!r} it is no Python, line {error.lineno}") from None
    for test in mutant.tests:
        path, _, name = test.partition("::")
        if not (root / path).is_file() or not _defines((root / path).read_text(), name.partition("[")[0]):
            raise Stale(f"{mutant.file}: there is no test {test}")


def _defines(module: str, function: str) -> bool:
    return not function or re.search(rf"^def {function}\(", module, re.MULTILINE) is not None
