"""The installation's steps one by one: what is refused, what is shown only, what is kept, and what is put back."""

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from installation import caddy, checks, configuration, releases
from installation.configuration import Answers
from installation.errors import NotInstalled
from installation.machine import Machine
from tests.installation.installations import ROOT, copy_of_this_release, require_caddy

PROGRAM = ROOT / "scripts" / "install.sh"
TEMPLATES = ROOT / "installation" / "templates"
DEBIANS_CADDYFILE = "# The Caddyfile is an easy way to configure your Caddy web server.\n\n:80 {\n\tfile_server\n}\n"


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path, dry_run=False)


def run(*words, **environment):
    return subprocess.run(
        [PROGRAM, *words],
        env=os.environ | {"PYTHON": sys.executable} | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def everything_below(folder):
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


# what is refused


def test_what_is_in_the_way_is_said_at_once_and_with_what_mends_it():
    said = run("install", "--domain", "a-name.invalid", "--dry-run")
    assert said.returncode == 1
    assert said.stderr.startswith("Error: ")
    assert "The name a-name.invalid has no address yet: make an A or AAAA record" in said.stderr
    assert ("must be run as root" in said.stderr) == (os.geteuid() != 0)
    assert ("systemd does not run here" in said.stderr) == (not Path("/run/systemd/system").is_dir())
    assert "would" not in said.stdout


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "Name what phones will reach it by: --domain"),
        (("--domain", "https://a.example.com"), "is no name"),
        (("--domain", "a.example.com/path"), "is no name"),
        (("--domain", "a b"), "is no name"),
        (("--domain", "192.168.1.10"), "use a name, or --own-certificates"),
        (("--no-caddy", "--memory", "100"), "--memory must be 384 MiB or more"),
        (("--no-caddy", "--database-url", "mysql://x"), "must begin with postgresql://"),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_changed(tmp_path, words, reason):
    said = run("install", *words, "--root", str(tmp_path))
    assert said.returncode == 1
    assert reason in said.stderr
    assert everything_below(tmp_path) == {}


@pytest.mark.parametrize("port", ["80", "0", "70000", "http"])
def test_a_port_that_the_service_may_not_have_is_refused(tmp_path, port):
    said = run("install", "--no-caddy", "--port", port, "--root", str(tmp_path))
    assert said.returncode == 2
    assert "must be from 1024 to 65535" in said.stderr


@pytest.mark.parametrize("command", ["upgrade", "uninstall", "status", "backup", "demo"])
def test_where_nothing_is_installed_it_says_how_to_begin(tmp_path, command):
    said = run(command, "--root", str(tmp_path))
    assert said.returncode == 1
    assert "Nothing is installed here. Begin with: sudo scripts/install.sh install" in said.stderr


def test_a_python_that_is_too_old_is_named(tmp_path):
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)
    said = run("--help", PYTHON=str(old))
    assert said.returncode == 1
    assert "Python 3.9.2 is too old, 3.11 is needed" in said.stderr
    assert run("--help", PYTHON="/nowhere/python").stderr.startswith("Error: there is no /nowhere/python")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("a.example.com", True), ("localhost:8443", True), ("192.168.1.10", True), ("-a.example", False), ("a..b", False),
     ("a.example.com:", False), ("a_b.example", False), ("a." * 130 + "b", False)],
)  # fmt: skip
def test_names_as_a_certificate_can_have_them(machine, name, is_one):
    answers = Answers(domain=name, own_certificates=True)
    if is_one:
        checks.check(machine, answers, None, needs_dns=True)
        return
    with pytest.raises(NotInstalled):
        checks.check(machine, answers, None, needs_dns=True)


# what is shown only


def test_a_dry_run_shows_every_step_and_does_none(tmp_path):
    said = run("install", "--domain", "a.example.com", "--root", str(tmp_path), "--dry-run")
    assert said.returncode == 0, said.stderr
    assert everything_below(tmp_path) == {}
    for step in (
        "pip install", "--require-hashes", "copy this release to /opt/liftlog/releases/", "-m local.migrate as liftlog",
        "write /etc/liftlog/liftlog.env", "write /etc/systemd/system/liftlog.service", "write /etc/caddy/Caddyfile",
    ):  # fmt: skip
        assert step in said.stdout


# releases


def test_a_release_is_named_by_what_is_in_it(tmp_path):
    same, other = copy_of_this_release(tmp_path / "same"), copy_of_this_release(tmp_path / "other")
    (same / "left-lying.txt").write_text("no part of a release")
    (same / "shared" / "__pycache__").mkdir()
    (same / "shared" / "__pycache__" / "a.pyc").write_bytes(b"compiled")
    (other / "shared" / "paths.py").write_text("# other\n")
    assert releases.release_of(same) == releases.release_of(ROOT) != releases.release_of(other)


def test_an_environment_holds_what_the_lock_says_and_is_made_once(machine, tmp_path, capsys):
    lock = tmp_path / "source" / releases.LOCK
    wheel = small_wheel(tmp_path)
    lock.parent.mkdir()
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock.write_text(f"small @ {wheel.as_uri()} --hash=sha256:{digest}\n")
    half = machine.path(f"/opt/liftlog/environments/{releases.environment_of(lock.parent)}/half-made")
    half.mkdir(parents=True)  # by an installation that was interrupted
    name = releases.make_environment(machine, lock.parent)
    assert not half.exists()
    python = machine.path(f"/opt/liftlog/environments/{name}/bin/python")
    assert subprocess.run([python, "-c", "import small"], check=False).returncode == 0
    capsys.readouterr()
    assert releases.make_environment(machine, lock.parent) == name
    assert capsys.readouterr().out == ""

    lock.write_text(f"small @ {wheel.as_uri()} --hash=sha256:{'0' * 64}\n")
    with pytest.raises(NotInstalled, match="The libraries cannot be installed"):
        releases.make_environment(machine, lock.parent)
    assert not (half.parent.parent / releases.environment_of(lock.parent) / "whole").exists()


def small_wheel(folder):
    wheel = folder / "small-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("small.py", "")
        archive.writestr("small-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: small\nVersion: 1.0\n")
        archive.writestr(
            "small-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(
            "small-1.0.dist-info/RECORD", "small.py,,\nsmall-1.0.dist-info/METADATA,,\nsmall-1.0.dist-info/WHEEL,,\n"
        )
    return wheel


# files


def test_a_file_is_written_whole_with_its_rights_and_put_back(machine, tmp_path):
    machine.write("/etc/a", "before", 0o640)
    later = Machine(tmp_path, dry_run=False)
    assert later.write("/etc/a", "after", 0o640)
    assert not later.write("/etc/a", "after", 0o640)
    later.write("/etc/b", "new")
    later.put_back()
    assert (tmp_path / "etc" / "a").read_text() == "before"
    assert (tmp_path / "etc" / "a").stat().st_mode & 0o777 == 0o640
    assert [path.name for path in (tmp_path / "etc").iterdir()] == ["a"]


def test_settings_are_made_once_and_are_for_root_alone(machine):
    configuration.write(machine, Answers(), TEMPLATES, "postgresql://a:b%40c@db/liftlog?sslmode=require")
    settings = machine.path(configuration.SETTINGS)
    assert settings.stat().st_mode & 0o777 == 0o600
    settings.write_text(settings.read_text() + "OPENAI_API_KEY='a key'\n; a remark\n  # another\n")
    assert not configuration.write(machine, Answers(), TEMPLATES, None)
    found = configuration.environment(machine)
    assert found["DATABASE_URL"] == "postgresql://a:b%40c@db/liftlog?sslmode=require"
    assert found["OPENAI_API_KEY"] == "a key"
    assert len(found["OPERATOR_TOKEN"]) > 40
    assert found["DATA_DIR"] == str(machine.path("/var/lib/liftlog"))
    assert set(found) >= {"PORT", "HOST", "TRUSTED_PROXIES", "PUBLIC_URL"}


# Caddy


def test_our_site_goes_beside_what_caddy_serves_and_away_again(machine):
    caddyfile = machine.path(caddy.CADDYFILE)
    caddyfile.parent.mkdir(parents=True)
    caddyfile.write_text(DEBIANS_CADDYFILE)
    answers = Answers(domain="a.example.com")
    assert caddy.write_site(machine, answers, TEMPLATES)
    assert not caddy.write_site(machine, answers, TEMPLATES)
    assert caddyfile.read_text().startswith("{\n\timport liftlog-options.caddyfile\n}\n")
    assert DEBIANS_CADDYFILE.strip() in caddyfile.read_text()
    require_caddy()
    adapted = subprocess.run(
        ["caddy", "adapt", "--config", caddyfile], capture_output=True, text=True, check=True
    ).stdout
    assert '"a.example.com"' in adapted
    assert '"request\\u003eheaders":{"filter":"delete"}' in adapted
    assert caddy.remove_site(machine)
    assert caddyfile.read_text() == DEBIANS_CADDYFILE
    assert [path.name for path in caddyfile.parent.iterdir()] == ["Caddyfile"]


def test_options_of_somebody_else_are_left_alone_and_what_is_missing_is_said(machine, capsys):
    caddyfile = machine.path(caddy.CADDYFILE)
    caddyfile.parent.mkdir(parents=True)
    caddyfile.write_text("# mine\n{\n\temail me@example.com\n}\n")
    caddy.write_site(machine, Answers(domain="a.example.com"), TEMPLATES)
    assert caddyfile.read_text() == "# mine\n{\n\temail me@example.com\n}\n\nimport liftlog.caddyfile\n"
    assert "Put the line `import liftlog-options.caddyfile` among them" in capsys.readouterr().out


def test_without_a_domain_caddy_is_left_alone(machine, tmp_path):
    assert not caddy.write_site(machine, Answers(), TEMPLATES)
    assert everything_below(tmp_path) == {}
