"""Room for what is stored, where the database's disk is one of this machine's.

A full disk stops PostgreSQL, and with it reading and deleting. So what would store more is refused before that.
"""

import os

from shared.settings.database import storage_settings


def is_full() -> bool:
    """Tell whether less room is left than the database needs to go on; False where its disk is elsewhere."""
    settings = storage_settings()
    if not settings.folder:
        return False
    disk = os.statvfs(settings.folder)
    return disk.f_bavail * disk.f_frsize < settings.reserve_bytes
