"""The units: what systemd itself says of them, and that they are what containers get."""

import re
import subprocess
from string import Template

import pytest

from installation import releases
from installation.configuration import DUMP, SERVICE, TIMER, UNITS
from tests.installation.installations import ROOT, Installation, require

TEMPLATES = ROOT / "installation" / "templates"
MOST_EXPOSURE = 3.0
NEWER_THAN_DEBIAN_12 = (
    "RestartSteps", "RestartMaxDelaySec", "PrivatePIDs", "ProtectControlGroupsEx", "MemoryZSwap", "DelegateNamespaces",
    "RestartMode", "ExtensionImagePolicy", "SurviveFinalKillSignal", "CoredumpReceive", "ImportCredential",
)  # fmt: skip


@pytest.fixture(scope="module")
def units():
    """Return the folder of the units, as they are installed below a root where nothing is started."""
    installation = Installation()
    said = installation.run("install", "--domain", "a.example.com", "--memory", "700", plays_systemd=False)
    assert said.returncode == 0, said.stderr
    assert "left out below" in said.stdout
    assert "systemctl restart liftlog.service" in said.stdout
    yield installation.path(UNITS)
    installation.close()


@pytest.mark.parametrize("unit", [SERVICE, DUMP])
def test_a_unit_gives_little_away(units, unit):
    require("systemd-analyze", "systemd")
    said = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", units / unit],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    exposure = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert exposure, said
    assert float(exposure[1]) < MOST_EXPOSURE


def test_systemd_understands_every_line(units):
    require("systemd-analyze", "systemd")
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units.glob("liftlog*")],
        capture_output=True, text=True, check=False,
    ).stderr  # fmt: skip
    assert [line for line in said.splitlines() if "liftlog" in line and "is not executable" not in line] == []


@pytest.mark.parametrize("unit", [SERVICE, DUMP, TIMER])
def test_a_unit_holds_nothing_that_debian_12_does_not_know(units, unit):
    names = {line.partition("=")[0] for line in (units / unit).read_text().splitlines()}
    assert names & set(NEWER_THAN_DEBIAN_12) == set()


def test_the_service_and_its_dump_are_closed_alike(units):
    hardening = (TEMPLATES / "hardening").read_text()
    assert "ProtectSystem=strict" in hardening
    for unit in (SERVICE, DUMP):
        assert hardening.strip() in (units / unit).read_text()
        assert "MemoryMax=700M" in (units / unit).read_text()


def test_every_template_is_used_and_filled(units):
    for unit in (SERVICE, DUMP, TIMER):
        assert Template((units / unit).read_text()).get_identifiers() == []


def test_a_release_is_all_that_the_service_imports(units):
    """Its Python sees nothing of the checkout."""
    current = units.parent.parent.parent / releases.CURRENT.lstrip("/")
    assert releases.release_of(current).name == current.resolve().name  # so `liftlog install` finds nothing to do
    for module in (
        "local.serve",
        "local.dumps",
        "local.migrate",
        "local.backup_keys",
        "client.demo",
        "functions.gateway.main",
    ):
        outcome = subprocess.run(
            [current / "venv" / "bin" / "python", "-c", f"import {module}, shared; print(shared.__file__)"],
            env={"PYTHONPATH": str(current)}, cwd="/", capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert outcome.returncode == 0, outcome.stderr
        assert outcome.stdout.startswith(str(current))
