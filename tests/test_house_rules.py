"""The rules of the house, kept by a machine."""

import re
from pathlib import Path

import pytest

from tests.servers import manifest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()
FAMILIES = sorted(path.parent.name for path in ROOT.glob("functions/*/main.py"))
SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\s+\w", re.ASCII)


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_holds_no_sql(family):
    for path in sources(f"functions/{family}"):
        assert not SQL.search(path.read_text()), f"{path} holds SQL"


def test_only_settings_read_the_environment():
    for path in sources("shared", "functions", "migrations"):
        if path != ROOT / "shared" / "settings" / "reading.py":
            assert not re.search(r"os\.environ|\bgetenv\b", path.read_text()), path


def test_every_setting_is_documented_where_it_is_read_and_in_the_documentation():
    cut = [path for path in sources("shared/settings") if "@dataclass" in path.read_text()]
    assert len(cut) > 1
    for path in (*cut, ROOT / "local" / "settings.py", ROOT / "rehearsal" / "settings.py"):
        text = path.read_text()
        read = set(re.findall(r'"([A-Z][A-Z_]{3,})"', text))
        assert read
        for name in read:
            assert re.search(rf"^    {name} {{2,}}", text, re.MULTILINE), f"{name} is missing in a docstring of {path}"
            assert f"`{name}`" in SETTINGS, f"{name} is missing in docs/settings.md"


def test_what_is_tested_is_what_is_deployed():
    """Both lock files name one version of each library that functions run on."""
    deployed, tested = (
        dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / file).read_text(), re.MULTILINE))
        for file in ("requirements.txt", "requirements-dev.txt")
    )
    assert deployed
    assert {name: tested.get(name) for name in deployed} == deployed


def test_every_command_of_the_readme_is_in_the_makefile_and_the_other_way_round():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert set(re.findall(r"(?:`|^    )(?:HOST=\S+ )?make ([a-z-]+)", README, re.MULTILINE)) == targets


def test_every_route_is_in_the_readme():
    for entry in manifest().values():
        for route in entry["routes"]:
            assert f"`{route}`" in README, route


def test_links_in_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
