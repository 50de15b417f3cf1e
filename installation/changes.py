"""Installing, upgrading, and going back: one way for all, which can be repeated wherever it ended."""

import pwd
import subprocess
from pathlib import Path

from installation import caddy, configuration, releases, services
from installation.configuration import DATA, DUMP, SERVICE, TIMER, UNITS, Answers
from installation.errors import NotInstalled
from installation.machine import ACCOUNT, Machine
from installation.releases import InstalledRelease

_CLUSTER = f"{DATA}/postgres"


def bring(machine: Machine, source: Path, answers: Answers, database_url: str | None) -> None:
    """Bring the machine to a release, and to what was answered. Raises NotInstalled.

    What is so already is left alone. Another release than the one that runs gets a dump first; where it does not come
    up, the former one runs again, on the same data.
    """
    former = releases.current(machine)
    print("The release, and the libraries that it needs", flush=True)
    release = releases.add(machine, source)
    _make_account(machine)
    if former not in {None, release}:
        print("A dump of the database, before anything happens to it", flush=True)
        run_module(machine, releases.CURRENT, "local.dumps", why="There is no dump, so nothing was changed.")
    print("The configuration", flush=True)
    templates = source / "installation" / "templates"
    units_changed = configuration.write(machine, answers, templates, database_url)
    site_changed = caddy.write_site(machine, answers, templates)
    version = _postgres_version(machine)
    print("The service", flush=True)
    try:
        if former != release:
            _put_in_place(machine, former, release)
        if former != release or units_changed or not services.is_active(machine, SERVICE):
            services.start(machine)
        services.check_health(machine, answers)
    except (NotInstalled, KeyboardInterrupt) as error:
        if former is None or former == release or _has_come_up(machine, release, answers):
            raise
        reason = str(error) or "It was interrupted."
        print(f"{reason}\nGoing back to {former.name}", flush=True)
        _go_back(machine, former, version)
        machine.remove(release.place)
        raise NotInstalled(f"{reason}\nThe former release, {former.name}, runs again on the same data.") from None
    if site_changed:
        print("Caddy", flush=True)
        caddy.reload(machine)
    caddy.keep_authority(machine, answers)
    if former != release:
        releases.prune(machine, former, release)


def remove(machine: Machine) -> None:
    """Take everything away but the data, the settings, and the account that they belong to. Raises NotInstalled."""
    services.systemctl(machine, "disable", "--now", SERVICE, TIMER, why="The units cannot be stopped.")
    for unit in (SERVICE, DUMP, TIMER):
        machine.remove(f"{UNITS}/{unit}")
    services.systemctl(machine, "daemon-reload", why="systemd does not read that the units are gone.")
    if caddy.remove_site(machine):
        caddy.reload(machine)
    machine.remove(configuration.COMMAND)
    machine.remove(releases.HOME)


def run_module(machine: Machine, place: str, module: str, *arguments: str, why: str, **variables: str) -> None:
    """Run a module of the release at a place as the account, with the service's settings. Raises NotInstalled."""
    folder = machine.path(place)
    environment = {} if machine.dry_run else configuration.environment(machine)
    command: list[str | Path] = [releases.python_of(machine, place), "-m", module, *arguments]
    status = machine.run_as_account(command, environment | {"PYTHONPATH": str(folder)} | variables, folder)
    if status:
        raise NotInstalled(f"{why} What was wrong is above.")


def _make_account(machine: Machine) -> None:
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        if machine.is_real:
            machine.run(
                "useradd", "--system", "--user-group", "--home-dir", DATA, "--no-create-home",
                "--shell", "/usr/sbin/nologin", ACCOUNT,
                why=f"The account {ACCOUNT} cannot be made.",
            )  # fmt: skip
    machine.folder(DATA, 0o700, of_account=True)


def _put_in_place(machine: Machine, former: InstalledRelease | None, release: InstalledRelease) -> None:
    """End the former release, bring the data to the new one, and let the next start be of it. Raises NotInstalled."""
    if former:
        services.stop(machine)
    if former and _postgres_version(machine):
        run_module(
            machine, release.place, "local.upgrade", OLD_BIN=_programs_of(machine, former),
            why="The database's files cannot be brought to this PostgreSQL.",
        )  # fmt: skip
    run_module(machine, release.place, "local.migrate", why="The database cannot be brought to this release's schema.")
    releases.use(machine, release)


def _has_come_up(machine: Machine, release: InstalledRelease, answers: Answers) -> bool:
    """Tell whether a release has let anybody in: what they have stored since, the former one may not have."""
    return releases.current(machine) == release and services.is_ready(answers)


def _go_back(machine: Machine, former: InstalledRelease, postgres_version: str) -> None:
    """Let the former release run again, on the newer one's schema if need be: releases overlap. Raises NotInstalled."""
    services.stop(machine)
    machine.put_back()
    kept = machine.path(f"{_CLUSTER}-{postgres_version}")  # of `local.upgrade`
    if _postgres_version(machine) != postgres_version and kept.exists():
        machine.remove(_CLUSTER)
        kept.rename(machine.path(_CLUSTER))
    releases.use(machine, former)
    services.start(machine)


def _postgres_version(machine: Machine) -> str:
    """Return the version of the embedded PostgreSQL that made the data; empty where there is none."""
    path = machine.path(f"{_CLUSTER}/PG_VERSION")
    return path.read_text().strip() if path.exists() else ""


def _programs_of(machine: Machine, release: InstalledRelease) -> str:
    """Return the folder of the PostgreSQL that a release brought along."""
    code = "from local.versions import newest_of_package; print(newest_of_package())"
    command = [str(releases.python_of(machine, release.place)), "-c", code]
    said = subprocess.run(command, cwd=machine.path(release.place), capture_output=True, text=True, check=False)
    return said.stdout.strip()
