"""Installations below folders of tests, made by the real program, with systemd played and Caddy real."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import psutil
import pytest
import requests

from installation.releases import HOME, PARTS, environment_of
from local.processes import free_port
from tests.databases import POSTGRES_15
from tests.installation import systemd
from tests.waiting import WAIT_SECONDS

ROOT = Path(__file__).parent.parent.parent
SERVICE = "liftlog.service"


def require(program: str, package: str) -> None:
    """Skip where there is no such program, loudly; in CI there must be one."""
    if shutil.which(program):
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"there is no {program} to install a server with")
    pytest.skip(f"SKIPPED: there is no {program} to install a server with (Debian: apt-get install {package})")


def require_caddy() -> None:
    """Skip where there is no Caddy to go in front of the server; in CI there must be one."""
    require("caddy", "caddy")


class Installation:
    """A folder in which the server is installed as if it were the machine's root."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="liftlog-root-"))
        self.root.chmod(0o711)  # PostgreSQL does not run as root, and passes through
        self.port, self.https_port = free_port(), free_port()
        self._systemctl = self.root / "systemctl"
        self._systemctl.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.installation.systemd {self.root} "$@"\n')
        self._systemctl.chmod(0o755)
        self._lend_libraries()
        caddyfile = self.root / "etc/caddy/Caddyfile"  # of a machine on which Caddy serves something else already
        caddyfile.parent.mkdir(parents=True)
        options = f"admin 127.0.0.1:{free_port()}\nhttp_port {free_port()}\nskip_install_trust"
        caddyfile.write_text(f"{{\n{options}\nimport liftlog-options.caddyfile\n}}\n")

    def _lend_libraries(self) -> None:
        """Have the environment be there as an earlier installation would leave it: it takes a minute and a network.

        The libraries are those that everything is tested with, which a test compares with the lock.
        """
        environment = self.root / HOME.lstrip("/") / "environments" / environment_of(ROOT)
        venv.create(environment, symlinks=True)
        (packages,) = environment.glob("lib/python3*/site-packages")
        (packages / "lent.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
        (environment / "whole").touch()

    @property
    def url(self) -> str:
        return f"https://localhost:{self.https_port}"

    @property
    def own_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def authority(self) -> Path:
        return self.path("/etc/liftlog/authority.crt")

    @property
    def settings(self) -> dict[str, str]:
        return systemd.Unit(self.root, SERVICE).environment

    def path(self, place: str) -> Path:
        return self.root / place.lstrip("/")

    def run(self, *words: str, source: Path = ROOT, plays_systemd: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the program of a release as a person does."""
        played = {"SYSTEMCTL": str(self._systemctl)} if plays_systemd else {}
        return subprocess.run(
            [source / "scripts" / "install.sh", *words, "--root", self.root],
            env=os.environ | {"PYTHON": sys.executable} | played,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    def done(self, *words: str, source: Path = ROOT) -> str:
        """Run it, expect that it succeeds, and return what it said."""
        outcome = self.run(*words, source=source)
        assert outcome.returncode == 0, outcome.stdout + outcome.stderr + self.log
        return outcome.stdout

    def install(self, *words: str, source: Path = ROOT) -> str:
        domain = f"localhost:{self.https_port}"
        return self.done(
            "install", "--domain", domain, "--own-certificates", "--port", str(self.port), *words, source=source
        )

    def ask(self, method: str, path: str, *, past_caddy: bool = False, **options: object) -> requests.Response:
        base_url, authority = (self.own_url, None) if past_caddy else (self.url, str(self.authority))
        return requests.request(method, base_url + path, verify=authority, timeout=WAIT_SECONDS, **options)  # type: ignore[arg-type]

    @property
    def process(self) -> psutil.Process:
        """The service's main process."""
        found = systemd.main_process(self.root, SERVICE)
        assert found, self.log
        return found

    def systemctl(self, *words: str) -> None:
        subprocess.run([self._systemctl, *words], cwd=ROOT, check=True)

    @property
    def log(self) -> str:
        """What the service has written."""
        file = systemd.log_of(self.root, SERVICE)
        return file.read_text() if file.exists() else ""

    @property
    def commands(self) -> list[list[str]]:
        """What systemd was told."""
        file = self.root / "run" / "commands"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def close(self) -> None:
        systemd.end_all(self.root)
        shutil.rmtree(self.root, ignore_errors=True)


def copy_of_this_release(folder: Path) -> Path:
    """Return a copy of what a release is made of, to be made another one."""
    for part in PARTS:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder / part)
    return folder


def former_release(folder: Path) -> Path:
    """Return a release from before this one: without the newest migration, and with PostgreSQL 15 if there is one."""
    source = copy_of_this_release(folder)
    max((source / "migrations" / "versions").glob("0*.py")).unlink()
    if POSTGRES_15.exists():
        versions = source / "local" / "versions.py"
        line = "def newest_of_package() -> Path:\n"
        assert line in versions.read_text()
        versions.write_text(versions.read_text().replace(line, f'{line}    return Path("{POSTGRES_15}")\n'))
    return source


def broken_release(folder: Path) -> Path:
    """Return a release with another unit, and whose server never answers."""
    source = copy_of_this_release(folder)
    (source / "functions" / "gateway" / "main.py").write_text("raise RuntimeError('a release that never answers')\n")
    unit = source / "installation" / "templates" / "liftlog.service"
    unit.write_text(unit.read_text().replace("TasksMax=1024", "TasksMax=1023"))
    return source
