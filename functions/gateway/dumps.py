"""Backups of the whole database, on a server of one's own: asked for here, written by `make serve` (local/dumper.py).

No program is run here, and in the cloud none could write one: Cloud SQL keeps its own backups (scripts/backup.sh).
"""

from dataclasses import dataclass
from pathlib import Path

from shared.dump_folder import FAILED, PATTERN, WANTED
from shared.errors import DumpsOff, StorageFull
from shared.settings.operation import dump_settings

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Dump:
    """A backup of the database."""

    name: str
    byte_count: int


@dataclass(frozen=True, slots=True)
class Dumps:
    """What there is of them."""

    folder: Path
    newest: list[Dump]  # the newest first
    is_under_way: bool
    fault: str  # why the last one was not written; "" if it was


def find() -> Dumps | None:
    """Return what there is; None where none can be asked for."""
    folder = Path(dump_settings().folder)
    if not dump_settings().folder or not folder.is_dir():
        return None
    files = sorted(folder.glob(PATTERN), reverse=True)[:_SHOWN]
    failed = folder / FAILED
    return Dumps(
        folder,
        [Dump(file.name, file.stat().st_size) for file in files],
        (folder / WANTED).exists(),
        failed.read_text().strip() if failed.exists() else "",
    )


def ask_for_one() -> None:
    """Have one written. Raises DumpsOff, StorageFull."""
    if find() is None:
        raise DumpsOff
    try:
        (Path(dump_settings().folder) / WANTED).touch()
    except OSError:
        raise StorageFull from None
