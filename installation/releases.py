"""Releases side by side below /opt/liftlog, each named by what is in it, and the environments that they run in.

An environment is named by the lock and by the Python that it is for: a release with the same libraries shares it, and a
Debian that brings another Python gets another one.
"""

import hashlib
import os
import shutil
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from installation.machine import Machine

HOME = "/opt/liftlog"
CURRENT = f"{HOME}/current"
LOCK = "requirements-server.txt"
PARTS = (
    "functions", "shared", "migrations", "local", "client", "installation", "docs", "scripts/install.sh", LOCK,
    "pyproject.toml", "CHANGELOG.md",
)  # fmt: skip
_LEFT_OUT = {"__pycache__", "node_modules"}
_DIGITS = 12  # of a digest, enough to tell releases of one server apart


@dataclass(frozen=True, slots=True)
class InstalledRelease:
    """A version of this backend: `name` is its number and a digest of its files."""

    name: str

    @property
    def place(self) -> str:
        """Where its files are."""
        return f"{HOME}/releases/{self.name}"


def release_of(source: Path) -> InstalledRelease:
    """Return the release that a checkout, or an installed release, is."""
    digest = hashlib.sha256()
    for name in _files(source):
        content = (source / name).read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    number = tomllib.loads((source / "pyproject.toml").read_text())["project"]["version"]
    return InstalledRelease(f"{number}-{digest.hexdigest()[:_DIGITS]}")


def current(machine: Machine) -> InstalledRelease | None:
    """Return the release that the service runs; None where nothing is installed."""
    link = machine.path(CURRENT)
    return InstalledRelease(Path(os.readlink(link)).name) if link.is_symlink() else None  # noqa: PTH115 - not followed


def add(machine: Machine, source: Path) -> InstalledRelease:
    """Put a release and its environment beside those that are there; nothing uses them yet. Raises NotInstalled."""
    release = release_of(source)
    folder = machine.path(release.place)
    environment = make_environment(machine, source)
    if not folder.exists():
        print(f"  {'would ' if machine.dry_run else ''}copy this release to {release.place}", flush=True)
        if not machine.dry_run:
            unfinished = folder.with_name(f".{folder.name}.new")
            shutil.rmtree(unfinished, ignore_errors=True)
            for name in _files(source):
                (unfinished / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, unfinished / name)
                (unfinished / name).chmod(0o755 if os.access(source / name, os.X_OK) else 0o644)
            unfinished.rename(folder)
        # the service may not write beside its code, and compiling at each start takes a second
        machine.run(sys.executable, "-m", "compileall", "-q", folder, why="The release cannot be compiled.")
    machine.link(f"{release.place}/venv", f"../../environments/{environment}")
    return release


def use(machine: Machine, release: InstalledRelease) -> None:
    """Let the service's next start be of a release."""
    machine.link(CURRENT, f"releases/{release.name}")


def prune(machine: Machine, *kept: InstalledRelease | None) -> None:
    """Remove all other releases, and the environments that none of these uses."""
    names = {release.name for release in kept if release}
    used = set()
    for folder in _listed(machine, "releases"):
        if folder.name in names:
            used.add((folder / "venv").resolve().name)
        else:
            machine.remove(f"{HOME}/releases/{folder.name}")
    for folder in _listed(machine, "environments"):
        if folder.name not in used:
            machine.remove(f"{HOME}/environments/{folder.name}")


def python_of(machine: Machine, place: str) -> Path:
    """Return the Python of a release, or of the current one."""
    return machine.path(place) / "venv" / "bin" / "python"


def _files(source: Path) -> Iterator[str]:
    """Yield the paths of a release's files, in an order that is always the same."""
    for part in PARTS:
        path = source / part
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in found:
            name = file.relative_to(source)
            if file.is_file() and not _LEFT_OUT & set(name.parts) and file.suffix != ".pyc":
                yield name.as_posix()


def environment_of(source: Path) -> str:
    """Return the name of the environment that a release runs in, on this Python."""
    digest = hashlib.sha256((source / LOCK).read_bytes()).hexdigest()[:_DIGITS]
    return f"python{sysconfig.get_python_version()}-{digest}"


def make_environment(machine: Machine, source: Path) -> str:
    """Make the environment of a release where it is missing, and return its name. Raises NotInstalled."""
    name = environment_of(source)
    folder = machine.path(f"{HOME}/environments/{name}")
    if (folder / "whole").exists():
        return name
    machine.remove(f"{HOME}/environments/{name}")  # an interrupted installation left it
    machine.run(
        sys.executable, "-m", "venv", folder,
        why="The environment cannot be made. Debian keeps the module apart: apt-get install python3-venv",
    )  # fmt: skip
    machine.run(
        folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir",
        "--only-binary", ":all:", "--require-hashes", "--requirement", source / LOCK,
        why="The libraries cannot be installed. Is there a way to pypi.org? The same command goes on where this ended.",
    )  # fmt: skip
    if not machine.dry_run:
        (folder / "whole").touch()
    return name


def _listed(machine: Machine, folder: str) -> list[Path]:
    path = machine.path(f"{HOME}/{folder}")
    return sorted(path.iterdir()) if path.exists() else []
