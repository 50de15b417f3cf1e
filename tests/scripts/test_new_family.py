"""`make new-family` writes a family that works, that lint accepts, and that tests ask the rest of."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scripts.new_family.__main__ import CannotMake, make

ROOT = Path(__file__).parent.parent.parent
CHANGED = ("functions/manifest.yaml", "shared/errors.py", "shared/http/problems.py", "shared/http/routes.py")
MOST_WIRING = 20  # lines in files that are there already


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Return a tree with a family whose name is as long as one may be."""
    root = tmp_path_factory.mktemp("trees") / "tree"
    shutil.copytree(
        ROOT, root, ignore=shutil.ignore_patterns(".*", "node_modules", "dist", "__pycache__", "*.egg-info")
    )
    made = run(root, "scripts.new_family", "training_template")
    assert made.returncode == 0, made.stderr
    assert "docs/database.md" in made.stdout
    return root


def run(root, module, *arguments):
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=root, env=os.environ | {"TERRAFORM": "no-terraform", "CI": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def written(root):
    """Return the files that are new."""
    return sorted(path for path in root.rglob("*.py") if not (ROOT / path.relative_to(root)).exists())


def test_lint_accepts_it(root):
    assert len(written(root)) == 7
    for module, *arguments in (
        ("ruff", "format", "--check", "."), ("ruff", "check", "."), ("docgen.openapi", "--check"),
        ("mypy", "--cache-dir", os.devnull, *map(str, written(root))),
    ):  # fmt: skip
        checked = run(root, module, *arguments)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_it_needs_few_lines_of_wiring(root):
    lines = 0
    for path in CHANGED:
        lines += len((root / path).read_text().splitlines()) - len((ROOT / path).read_text().splitlines())
    assert 0 < lines <= MOST_WIRING
    row = yaml.safe_load((root / "functions" / "manifest.yaml").read_text())["functions"]["training_template"]
    assert row["routes"][0] == "PUT /training-template"


def test_tests_ask_for_the_rest(root):
    here = "not PostgreSQL and not alone and not topology and not code_compiles"
    asked = run(
        root, "pytest", "-n", "0", "-k", here, "tests/functions/test_training_template.py",
        "tests/functions/test_way_in.py::test_the_apps_paths_are_those_of_the_manifest",
        "tests/functions/test_manifest.py", "tests/test_documents.py", "tests/test_house_rules.py",
        "tests/test_rooms.py", "tests/test_dead_names.py",
    )  # fmt: skip
    failed = set(re.findall(r"^FAILED (\S+?)(?:\[| |$)", asked.stdout, re.MULTILINE))
    assert {name.partition("::")[2] for name in failed} == {
        "test_it_is_what_a_training_template_is_to_be",
        "test_every_problem_is_in_the_api_s_table_with_its_status",
        "test_every_route_is_described",
        "test_every_field_of_a_request_is_described",
        "test_every_table_is_described",
        "test_every_route_is_in_the_readme",
    }, asked.stdout
    for document in ("README", "docs/api.md", "docs/database.md"):
        assert document in asked.stdout


@pytest.mark.parametrize("name", ["Note", "no-te", "class", "a" * 18, "", "_", "note1"])
def test_a_name_that_cannot_be_one_writes_nothing(name, tmp_path):
    (tmp_path / "migrations" / "versions").mkdir(parents=True)
    with pytest.raises(CannotMake):
        make(tmp_path, name)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_name_whose_outcome_means_something_else_is_refused(root):
    refused = run(root, "scripts.new_family", "path")
    assert refused.returncode == 1
    assert "UnknownPath" in refused.stderr
    assert not (root / "functions" / "path").exists()


def test_a_family_that_is_there_stays_as_it_is(root):
    before = (root / "functions" / "training_template" / "main.py").read_bytes()
    again = run(root, "scripts.new_family", "training_template")
    assert again.returncode == 1
    assert "functions/training_template/main.py is there already" in again.stderr
    assert (root / "functions" / "training_template" / "main.py").read_bytes() == before
