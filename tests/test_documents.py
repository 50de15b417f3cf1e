"""What documents say of the code is so: problems, routes, fields, tables, files, commands, and code that compiles."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from shared.http.problems import PROBLEMS
from tests.servers import manifest

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("bench/*.md"))]
API = (ROOT / "docs" / "api.md").read_text()
TEXT_SUFFIXES = {".py", ".md", ".toml", ".yaml", ".yml", ".tf", ".hcl", ".sh", ".txt", ".in", ".json", ".html", ""}
NOT_OURS = {"vendor", "node_modules", "dist", "backups"}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"(?<=\n\n)(?: {4}.*\n|\n(?= {4}))+")  # what is indented is typed into a shell
documents = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.stem)


def texts() -> Iterator[Path]:
    """Every text file of ours."""
    for folder, names, files in os.walk(ROOT):
        names[:] = [
            name for name in names if name not in NOT_OURS and (not name.startswith(".") or name in {".ci", ".github"})
        ]
        yield from (Path(folder) / name for name in files if Path(name).suffix in TEXT_SUFFIXES)


def test_every_file_of_docs_that_is_named_exists():
    for path in texts():
        for name in re.findall(r"(?<![\w/.-])docs/[\w./-]*\w", path.read_text(errors="replace")):
            exists = (ROOT / name).exists() or any(ROOT.glob(f"{name}-*.md"))  # docs/adr/0003
            assert exists, f"{path.relative_to(ROOT)} names {name}"


def test_every_problem_is_in_the_api_s_table_with_its_status():
    rows = re.findall(r"^\| (\d{3}) \| ((?:`[a-z-]+`(?:, )?)+) \|", API, re.MULTILINE)
    said = {(int(status), slug) for status, slugs in rows for slug in re.findall(r"`([a-z-]+)`", slugs)}
    assert said == {(status, slug) for status, slug, _, _ in PROBLEMS.values()} | {(500, "internal-error")}


def test_every_route_is_described():
    described = "".join(path.read_text() for path in sorted(ROOT.glob("docs/*.md")))
    for entry in manifest().values():
        for route in entry["routes"]:
            before, argument, _ = route.partition("{")
            end = r"\{" if argument else r"(?!\w)"
            assert re.search(rf"`{re.escape(before)}{end}", described), f"docs/api.md: {route}"


def plain(name: str) -> str:
    """Return a field's name as it is compared on the wire."""
    return name.replace("_", "").lower()


@pytest.mark.parametrize("family", manifest())
def test_every_field_of_a_request_is_described(family):
    described = {plain(word) for path in ROOT.glob("docs/*.md") for word in re.findall(r"\w+", path.read_text())}
    for route in import_module(f"functions.{family}.main").family.routes():
        for field in route.body.fields.values() if route.body is not None else ():
            assert plain(field.data_key) in described, f"docs/api.md: {field.data_key} of {route}"


def test_every_table_is_described(db):
    described = (ROOT / "docs" / "database.md").read_text()
    rows = db.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
    for (table,) in rows:
        assert f"`{table}`" in described, f"docs/database.md: {table}"


@documents
def test_code_compiles(document):
    text = document.read_text()
    for language, code in BLOCK.findall(text):
        assert language in COMPILERS, f"{document.name}: a block must say what it is: {code}"
        COMPILERS[language](code)
    for block in SHELL.findall(BLOCK.sub("", text)):
        parse_shell(block)


def compile_python(code: str) -> None:
    compile(code, "a document", "exec", dont_inherit=True)


def parse_shell(code: str) -> None:
    parsed = subprocess.run(["bash", "-n"], input=code, text=True, capture_output=True, check=False)
    assert parsed.returncode == 0, f"{parsed.stderr}\n{code}"


COMPILERS: dict[str, Callable[[str], object]] = {
    "python": compile_python, "json": json.loads, "bash": parse_shell,
    "sql": str, "hcl": str,  # tests/shared/test_authenticated.py knows the one, Terraform the other
    "text": str,
}  # fmt: skip


def test_every_target_that_is_no_file_is_phony():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    assert sorted(phony[1].split()) == sorted(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
