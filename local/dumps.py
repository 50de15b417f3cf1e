"""`python -m local.dumps`: writes the database into a new file below DATA_DIR/dumps, and removes those that are old.

A timer runs it each night where the server is installed to stay, and `liftlog backup` and `upgrade` whenever they want.
"""

import argparse
import shutil
import sys
from collections import defaultdict
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from local.backups import NAME, BackupFailed, back_up, new_name
from local.databases import running_database
from local.postgres import PostgresFailed
from local.settings import LocalSettings, local_settings
from shared.errors import DatabaseUnavailable, InvalidSetting

_RESERVE_BYTES = 512 * 2**20  # stays free for the database
_WHOLE_DAYS = 2  # of these every dump stays: the one from before an upgrade is not the newest of its day


def main() -> int:
    """Dump, and remove. Return the exit status."""
    argparse.ArgumentParser(prog="python -m local.dumps", description=__doc__).parse_args()
    try:
        dump(local_settings())
    except (BackupFailed, InvalidSetting, PostgresFailed, DatabaseUnavailable, OSError) as error:
        print(f"liftlog backup: {error}", file=sys.stderr)
        return 1
    return 0


def dump(settings: LocalSettings) -> Path:
    """Write a new dump, remove old ones, and return the new one's path. Raises BackupFailed, PostgresFailed, OSError.

    Nothing is removed where nothing could be written.
    """
    folder = settings.dumps_folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _refuse_small_disk(folder)
    file = folder / new_name()
    with ExitStack() as started:
        back_up(running_database(settings, started), file)
    for old in superfluous(list(folder.iterdir()), settings.dumps_keep):
        old.unlink()
    return file


def superfluous(files: list[Path], keep_days: int) -> list[Path]:
    """Return which dumps may go: of the last days that have any (UTC) one each stays, of the newest two all.

    Files of other names are nobody's business here.
    """
    days: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(files):
        if _is_dump(file):
            days[file.name.partition("T")[0]].append(file)
    newest_first = sorted(days.values(), reverse=True)
    return [
        *(file for day in newest_first[_WHOLE_DAYS:keep_days] for file in day[:-1]),
        *(file for day in newest_first[keep_days:] for file in day),
    ]


def _refuse_small_disk(folder: Path) -> None:
    """Raises BackupFailed where another dump like the last one would fill the disk, which is the database's, too."""
    last = max(filter(_is_dump, folder.iterdir()), default=None)
    needed_bytes = last.stat().st_size * 5 // 4 if last else 0
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes + _RESERVE_BYTES:
        raise BackupFailed(
            f"there would be no room for the database: {free_bytes >> 20} MiB are free, and a dump takes"
            f" {needed_bytes >> 20}. Keep fewer (DUMPS_KEEP), or move some of {folder} elsewhere"
        )


def _is_dump(file: Path) -> bool:
    try:
        datetime.strptime(file.name, NAME).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
