"""Room for what is stored, where the database's disk is one of this machine's.

A full disk stops PostgreSQL, and with it reading and deleting. So what would store more is refused before that.
"""

import os
from pathlib import Path

from shared.settings.database import storage_settings


def is_full() -> bool:
    """Tell whether less room is left than the database needs to go on; False where its disk is elsewhere."""
    folder = storage_settings().folder
    return bool(folder) and not has_room(Path(folder), 0)


def has_room(folder: Path, byte_count: int) -> bool:
    """Tell whether so many bytes more leave the database its reserve, if the folder is on its disk; else whether they
    fit.
    """
    settings = storage_settings()
    disk = os.statvfs(folder)
    is_the_database_s = bool(settings.folder) and folder.stat().st_dev == Path(settings.folder).stat().st_dev
    reserve_bytes = settings.reserve_bytes if is_the_database_s else 0
    return disk.f_bavail * disk.f_frsize >= reserve_bytes + byte_count
