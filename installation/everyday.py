"""What one does with a server that is installed: look how it is, dump and restore, make a phone's key, try it."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from installation import releases, services
from installation.caddy import OWN_AUTHORITY
from installation.changes import run_module
from installation.configuration import DATA, DUMPS, SERVICE, Answers
from installation.errors import NotInstalled
from installation.machine import Machine
from installation.releases import CURRENT


def tell_status(machine: Machine, answers: Answers) -> bool:
    """Print how the server is. Return whether it is well."""
    release = releases.current(machine)
    is_ready = services.is_ready(answers)
    dump = _newest_dump(machine)
    print(f"release   {release.name if release else 'none'}")
    print(
        f"service   {'active' if services.is_active(machine, SERVICE) else 'not active: journalctl -u liftlog -n 50'}"
    )
    print(f"health    {'server and database are ready' if is_ready else f'{answers.own_url}/health/ready is not well'}")
    print(f"address   {answers.url}")
    print(f"dump      {_age_of(dump) if dump else 'none yet; the first comes at night, or now: liftlog backup'}")
    print(f"disk      {shutil.disk_usage(machine.path(DATA)).free >> 20:,} MiB free below {DATA}")
    return is_ready


def back_up(machine: Machine, file: Path | None) -> None:
    """Dump the database, and copy the dump into a file if one is named. Raises NotInstalled."""
    run_module(machine, CURRENT, "local.dumps", why="The database is not dumped.")
    dump = _newest_dump(machine)
    if file and dump and not machine.dry_run:
        file.touch(mode=0o600)
        shutil.copyfile(dump, file)
        print(f"copied to {file}")


def restore(machine: Machine, file: Path) -> None:
    """Put a dump in place of the database. Raises NotInstalled; then nothing is changed."""
    if not file.is_file():
        raise NotInstalled(f"There is no file {file}. The nightly ones are in {DUMPS}")
    own = machine.path(f"{DATA}/restoring.dump")  # the account may not read what root has
    if not machine.dry_run:
        machine.copy_for_account(file, own)
    try:
        run_module(machine, CURRENT, "local.backups", "restore", str(own), why="Nothing was restored.")
    finally:
        own.unlink(missing_ok=True)


def make_backup_key(machine: Machine, answers: Answers, name: str) -> None:
    """Make a phone's key, and show it once. Raises NotInstalled."""
    run_module(machine, CURRENT, "local.backup_keys", name, why="There is no new key.", BASE_URL=answers.own_url)


def play_demo(machine: Machine, answers: Answers) -> None:
    """Play two phones against the server, as phones reach it. Raises NotInstalled."""
    authority = machine.path(OWN_AUTHORITY)
    trusted = {"REQUESTS_CA_BUNDLE": str(authority)} if answers.own_certificates and authority.exists() else {}
    why = f"The phones did not get on with {answers.url}."
    run_module(machine, CURRENT, "client.demo", why=why, BASE_URL=answers.url, **trusted)


def _newest_dump(machine: Machine) -> Path | None:
    return max(machine.path(DUMPS).glob("liftlog-*.dump"), default=None)


def _age_of(dump: Path) -> str:
    status = dump.stat()
    hours = (datetime.now(UTC).timestamp() - status.st_mtime) / 3600
    return f"{dump.name}, {hours:.0f} hours old, {status.st_size:,} bytes"
