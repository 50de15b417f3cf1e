"""`make upgrade-data`: brings the files of the embedded database to the major version of this PostgreSQL.

No PostgreSQL reads the files of another major version. So the old programs serve the old files once more, everything
is dumped and restored into new files beside them, each table's rows are counted on both sides, and the new files take
the old ones' place, which stay beside as `postgres-<version>`. Until then nothing of them is changed.

OLD_BIN names the folder of the old programs, where it is none of the usual ones.
"""

import argparse
import os
import shutil
import sys
from contextlib import ExitStack, closing
from pathlib import Path

from local.backups import BackupFailed, run_program
from local.postgres import BIN, DataDirInUse, EmbeddedPostgres, PostgresFailed
from local.settings import local_settings
from local.versions import binaries_of, maker_of, version_of
from shared.data.pool import Database
from shared.errors import DatabaseUnavailable, InvalidSetting

_WAIT_SECONDS = 5.0
_DATABASES = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY datname"
_TABLES = """
    SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1
"""


def main() -> int:
    """Upgrade, and say from what to what. Return the exit status."""
    argparse.ArgumentParser(
        prog="python -m local.upgrade", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    given = os.environ.get("OLD_BIN")
    try:
        upgrade(local_settings().data_dir, BIN, Path(given) if given else None)
    except (BackupFailed, DataDirInUse, DatabaseUnavailable, InvalidSetting, PostgresFailed, OSError) as error:
        print(f"make upgrade-data: {error}", file=sys.stderr)
        return 1
    return 0


def upgrade(data_dir: Path, binaries: Path, old_binaries: Path | None = None) -> None:
    """Bring a data folder to the version of these programs.

    Raises DataDirInUse, PostgresFailed, BackupFailed, OSError, DatabaseUnavailable; then the old files are in place.
    """
    made_by, ours = maker_of(data_dir / "postgres"), version_of(binaries)
    if made_by is None:
        raise PostgresFailed(f"there is no database in {data_dir}")
    if made_by == ours:
        print(f"the data in {data_dir} is of PostgreSQL {ours} already")
        return
    found = binaries_of(made_by, old_binaries)
    if found is None:
        raise PostgresFailed(
            f"PostgreSQL {made_by} made the data in {data_dir}, and its programs are needed once more: install them"
            f" (Debian: apt install postgresql-{made_by}), or name their folder with OLD_BIN"
        )
    _refuse_small_disk(data_dir)
    with ExitStack() as started:
        old = EmbeddedPostgres(data_dir, found)
        started.callback(old.stop)
        old.start()
        scratch = data_dir / "upgrading"
        shutil.rmtree(scratch, ignore_errors=True)
        started.callback(shutil.rmtree, scratch, ignore_errors=True)
        shutil.rmtree(old.upgraded_cluster, ignore_errors=True)
        _copy(old, scratch, binaries).rename(old.upgraded_cluster)
        old.stop()
        kept = old.cluster.with_name(f"postgres-{made_by}")
        old.cluster.rename(kept)  # interrupted here, the next start goes on with the line below
        old.upgraded_cluster.rename(old.cluster)
    print(f"PostgreSQL {made_by} → {ours}. The old files are in {kept}: delete them when all is well")


def _refuse_small_disk(data_dir: Path) -> None:
    """Raises PostgresFailed where there is no room for the same data again, and a dump of it."""
    files = [path for path in (data_dir / "postgres").rglob("*") if path.is_file()]
    needed_bytes = 2 * sum(path.stat().st_size for path in files)
    free_bytes = shutil.disk_usage(data_dir).free
    if free_bytes < needed_bytes:
        raise PostgresFailed(f"{needed_bytes >> 20} MiB are needed beside the data, and {free_bytes >> 20} are free")


def _copy(old: EmbeddedPostgres, scratch: Path, binaries: Path) -> Path:
    """Make files of the new version that hold what the old server has, and return their folder."""
    new = EmbeddedPostgres(scratch, binaries)
    try:
        new.start()
        with _connected(old.url_of("postgres")) as admin:
            databases = [str(name) for (name,) in admin.rows(_DATABASES)]
        for database in databases:
            _copy_database(old.url_of(database), new, database, scratch / "database.dump")
    finally:
        new.stop()
    return new.cluster


def _copy_database(old_url: str, new: EmbeddedPostgres, database: str, file: Path) -> None:
    print(f"copying {database}", flush=True)
    with _connected(new.url_of("postgres")) as admin:
        admin.rows(f'DROP DATABASE IF EXISTS "{database}"')
        admin.rows(f'CREATE DATABASE "{database}" TEMPLATE template0')
    run_program("pg_dump", old_url, "--format=custom", "--compress=0", f"--file={file}")
    url = new.url_of(database)
    run_program("pg_restore", url, "--exit-on-error", "--single-transaction", f"--dbname={database}", str(file))
    file.unlink()
    if _counts(old_url) != _counts(url):
        raise BackupFailed(f"{database} has other rows than before; the old files are in place")
    with _connected(url) as db:
        db.rows("ANALYZE")


def _counts(url: str) -> dict[str, int]:
    """Return how many rows each table has."""
    with _connected(url) as db:
        return {table: db.count(f"SELECT count(*) FROM {table}") for (table,) in db.rows(_TABLES)}  # noqa: S608 # nosec B608


def _connected(url: str) -> closing[Database]:
    return closing(Database(url, 1, _WAIT_SECONDS))


if __name__ == "__main__":
    sys.exit(main())
