"""Packaging: the same bytes each time, nothing in a zip that its function does not need, and each zip runs alone."""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import requests

from scripts.package import GATEWAY, families, package
from tests.servers import Server, manifest
from tests.waiting import WAIT_SECONDS

ROOT = Path(__file__).parent.parent.parent
NAMES = families(ROOT)
# Runs each import statement of the code in a folder, also those that wait inside a function.
IMPORT_ALL = """
import ast, pathlib, sys
sys.path.insert(0, ".")
def run_time(node):
    if not (isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"):
        yield node
        for child in ast.iter_child_nodes(node):
            yield from run_time(child)
for path in pathlib.Path(".").rglob("*.py"):
    for node in run_time(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            exec(compile(ast.Module([node], []), str(path), "exec"))
"""


def first_route(name: str) -> list[str]:
    """Return method and path of a function's first route."""
    route: str = manifest()[name]["routes"][0] if name != GATEWAY else "GET /docs"
    return re.sub(r"{\w+}", "none", route).split(" ")


@pytest.fixture(scope="session")
def zips(tmp_path_factory):
    target = tmp_path_factory.mktemp("zips")
    package(ROOT, target, NAMES)
    return target


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """Return a function that makes an empty virtual environment with some requirements, once for all workers."""
    shared: Path = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    uv = Path(sys.executable).with_name("uv")

    def make(requirements: Path) -> Path:
        folder = shared / f"venv-{hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]}"
        with folder.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "done").exists():
                python = folder / "bin" / "python"
                subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
                subprocess.run(
                    [uv, "pip", "install", "-q", "--python", python, "--require-hashes", "-r", requirements], check=True
                )
                (folder / "done").touch()
        return folder / "bin" / "python"

    return make


def names_in(path):
    with zipfile.ZipFile(path) as archive:
        return archive.namelist()


def required(path):
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("requirements.txt").decode().splitlines()
    return {line.partition("==")[0] for line in lines if "==" in line.partition(" ")[0]}


def test_the_same_code_gives_the_same_bytes_wherever_it_lies(zips, tmp_path):
    """Another folder, other times and modes of the files, another process with another order of hashes."""
    root = tmp_path / "elsewhere"
    for folder in ("functions", "shared", "migrations", "scripts"):
        shutil.copytree(ROOT / folder, root / folder, copy_function=shutil.copy)
    shutil.copy(ROOT / "requirements.txt", root)
    (root / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "openapi.json", root / "docs")
    for path in root.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (1, 1))
    run = subprocess.run(
        [sys.executable, "-m", "scripts.package", "--root", root, "--target", tmp_path / "dist"],
        cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert "packing 1/" in run.stderr
    for name in NAMES:
        content = (tmp_path / "dist" / f"{name}.zip").read_bytes()
        assert content == (zips / f"{name}.zip").read_bytes(), name
        assert hashlib.sha256(content).hexdigest() in run.stdout
    assert (tmp_path / "dist" / "manifest.json").read_text() == (zips / "manifest.json").read_text()


def test_the_list_has_the_hash_of_each_zip(zips):
    packed = json.loads((zips / "manifest.json").read_text())["functions"]
    assert list(packed) == NAMES
    for name, entry in packed.items():
        content = (zips / f"{name}.zip").read_bytes()
        assert entry == {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "object": f"{name}-{hashlib.md5(content, usedforsecurity=False).hexdigest()}.zip",
        }


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gateway"])
def test_a_zip_holds_its_own_family_alone(zips, name):
    for path in names_in(zips / f"{name}.zip"):
        assert path.startswith((f"functions/{name}/", "shared/", "migrations/")) or path in {
            "main.py", "requirements.txt", "functions/__init__.py",
        }, path  # fmt: skip
        assert "__pycache__" not in path


def test_each_zip_holds_what_it_needs_and_no_more(zips):
    held = {name: set(names_in(zips / f"{name}.zip")) for name in NAMES}
    assert "shared/data/users.py" in held["user"]
    assert "shared/data/users.py" not in held["health"]
    assert "functions/ai/prompts/workout.md" in held["ai"]
    assert {"functions/metrics/dashboard.html", "functions/metrics/vendor/uPlot.iife.min.js"} <= held["metrics"]
    assert {"functions/manifest.yaml", "functions/gateway/page.html", "docs/openapi.json"} <= held["gateway"]
    migrating = {name for name in NAMES if any(path.startswith("migrations/versions/") for path in held[name])}
    assert migrating == {"migrate", "gateway"}
    assert set.union(*(held[name] for name in NAMES)) == held["gateway"]


def test_only_who_uses_a_library_gets_it(zips):
    users = {
        library: {name for name in NAMES if library in required(zips / f"{name}.zip")}
        for library in (
            "functions-framework",
            "openai",
            "alembic",
            "prometheus-client",
            "google-cloud-scheduler",
            "google-cloud-storage",
        )
    }
    assert users == {
        "functions-framework": set(NAMES),
        "google-cloud-storage": {"backup", "cleanup", "gateway"},
        "openai": {"ai", "ai_chat", "gateway"},
        "alembic": {"migrate", "gateway"},
        "prometheus-client": {"metrics", "gateway"},
        "google-cloud-scheduler": {"cleanup", "gateway"},
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_zip_answers_in_an_empty_environment(zips, environment, database_url, tmp_path, name):
    with zipfile.ZipFile(zips / f"{name}.zip") as archive:
        archive.extractall(tmp_path)
    python = environment(tmp_path / "requirements.txt")
    subprocess.run([python, "-c", IMPORT_ALL], cwd=tmp_path, check=True)
    server = Server(
        name, source=tmp_path / "main.py", python=python, DATABASE_URL=database_url, ENVIRONMENT="local",
        PYTHONPATH="",
    )  # fmt: skip
    try:
        method, path = first_route(name)
        body = {"dry_run": True}  # others ignore it
        answer = requests.request(method, server.url + path, json=body, timeout=WAIT_SECONDS)
        assert answer.status_code < 500, answer.text
        assert answer.status_code != 404, answer.text
    finally:
        server.stop()


def test_an_import_from_no_package_of_the_lock_is_an_error(tmp_path):
    for folder in ("functions", "shared"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "requirements.txt").write_text((ROOT / "requirements.txt").read_text())
    (tmp_path / "functions" / "health" / "main.py").write_text("def health():\n    import pytest\n")
    run = subprocess.run(
        [sys.executable, "-m", "scripts.package", "--root", tmp_path, "--target", tmp_path / "dist"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert "functions.health.main imports pytest, which is in no package of requirements.txt" in run.stderr
