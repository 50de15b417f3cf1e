"""`make backup` and `make restore`: the whole database as one file of pg_dump, and back.

A restore goes into a new database, which takes the old one's place when it is whole. Until then clients get 503, from
its first moment on: what they wrote meanwhile would be lost, and half a database would answer 404, on which apps
delete their account. A file that cannot be restored changes nothing.
"""

import argparse
import os
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit, urlunsplit

import migrations
from local.databases import running_database
from local.postgres import BIN, PostgresFailed
from local.settings import local_settings
from shared.data.pool import Database
from shared.errors import DatabaseUnavailable, InvalidSetting

MAINTENANCE = "postgres"  # the database in which others are made and renamed
ADMIN_WAIT_SECONDS = 5.0

NAME = "liftlog-%Y%m%dT%H%M%SZ.dump"  # of a moment, UTC


class BackupFailed(Exception):
    """The backup or the restore did not happen; the message says why. Nothing was changed."""


def main() -> int:
    """Do what the command line says. Return the exit status."""
    options = _options()
    try:
        with ExitStack() as started:
            url = running_database(local_settings(), started)
            if options.command == "backup":
                back_up(url, options.file or Path("backups") / new_name())
            else:
                restore(url, options.file)
    except (BackupFailed, InvalidSetting, PostgresFailed, DatabaseUnavailable, migrations.MigrationBusy) as error:
        print(f"make {options.command}: {error}", file=sys.stderr)
        return 1
    return 0


def back_up(url: str, file: Path) -> None:
    """Write the database into a file, as it was at one moment, while it goes on being used. Raises BackupFailed."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.part")
    unfinished.touch(mode=0o600)
    try:
        run_program("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={unfinished}")
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
    print(f"backed up {_name(url)} to {file} ({file.stat().st_size:,} bytes)", flush=True)


def restore(url: str, file: Path) -> None:
    """Put the contents of a backup in place of the database's. Raises BackupFailed, DatabaseUnavailable."""
    if not file.is_file():
        raise BackupFailed(f"there is no file {file}")
    name = _name(url)
    new, old = f"{name}_restoring", f"{name}_replaced"
    admin = Database(_with_name(url, MAINTENANCE), 1, ADMIN_WAIT_SECONDS)
    try:
        _step(f"closing {name}: clients get 503 until the restore is done")
        _close(admin, name)
        try:
            _step(f"restoring {file} into {new}")
            _fill(admin, url, new, file)
        except BaseException:
            admin.rows(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
            admin.rows(f'DROP DATABASE IF EXISTS "{new}" WITH (FORCE)')
            raise
        _step(f"putting {new} in the place of {name}")
        admin.rows(f'DROP DATABASE IF EXISTS "{old}" WITH (FORCE)')
        admin.rows(f'ALTER DATABASE "{name}" RENAME TO "{old}"')
        admin.rows(f'ALTER DATABASE "{new}" RENAME TO "{name}"')
        admin.rows(f'DROP DATABASE "{old}" WITH (FORCE)')
    finally:
        admin.close()
    _step(f"restored {name} from {file}")


def _close(admin: Database, name: str) -> None:
    """End every connection to a database, and let no new one in."""
    admin.rows(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
    admin.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name", name=name)


def _fill(admin: Database, url: str, new: str, file: Path) -> None:
    """Make the new database, and bring it to this release's schema: the backup may be of an older one."""
    new_url = _with_name(url, new)
    admin.rows(f'DROP DATABASE IF EXISTS "{new}" WITH (FORCE)')
    admin.rows(f'CREATE DATABASE "{new}" TEMPLATE template0')
    options = "--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"
    run_program("pg_restore", new_url, *options, f"--dbname={new}", str(file))
    before, after = migrations.upgrade(new_url)
    db = Database(new_url, 1, ADMIN_WAIT_SECONDS)
    accounts = db.rows("SELECT count(*) FROM users")[0][0]
    db.rows("ANALYZE")
    db.close()
    schema = after if before == after else f"{before} → {after}"
    _step(f"accounts: {accounts:,}, schema: {schema}")


def run_program(program: str, url: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs on the server of a URL. The password is not on its command line.

    Raises BackupFailed with the first line that it said.
    """
    outcome = subprocess.run(
        [str(BIN / program), *arguments],
        env=os.environ | _environment(url),
        capture_output=True,
        text=True,
        check=False,
    )
    if outcome.returncode:
        lines = outcome.stderr.strip().splitlines()
        raise BackupFailed(lines[0] if lines else f"{program} ended with status {outcome.returncode}")


def _environment(url: str) -> dict[str, str]:
    """Return libpq's variables for a URL."""
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    return {
        "PGHOST": query.get("host") or parts.hostname or "localhost",
        "PGPORT": str(parts.port or 5432),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": _name(url),
        "PGSSLMODE": query.get("sslmode", "prefer"),
    } | ({"PGSSLROOTCERT": query["sslrootcert"]} if "sslrootcert" in query else {})


def _name(url: str) -> str:
    name = unquote(urlsplit(url).path.lstrip("/"))
    if not name or '"' in name:
        raise InvalidSetting("DATABASE_URL must name a database")
    return name


def _with_name(url: str, name: str) -> str:
    parts = urlsplit(url)
    changed: SplitResult = parts._replace(path=f"/{name}")
    return urlunsplit(changed)


def new_name() -> str:
    """Return what a backup that is made now is called; later ones sort behind it."""
    return f"{datetime.now(UTC):{NAME}}"


def _step(text: str) -> None:
    print(text, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.backups", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    backup = commands.add_parser("backup", help="write the database into a file")
    backup.add_argument("file", type=Path, nargs="?", help="default backups/liftlog-<now>.dump")
    commands.add_parser("restore", help="put a backup in place").add_argument("file", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
