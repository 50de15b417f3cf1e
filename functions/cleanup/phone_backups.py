"""Backups of phones that are no longer kept, and files of the store that belong to none."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from shared.backup_stores import BackupStore, backup_store, id_at, place_of
from shared.backup_stores.stored_file import StoredFile
from shared.data import backups, database
from shared.settings.backups import backup_settings

ORPHAN_AGE = timedelta(days=1)  # an upload is stored before its row is there, and takes minutes at most
_ASKED_ABOUT_AT_ONCE = 1000


def count_retired() -> int:
    """Return how many backups are no longer kept."""
    return backups.count_retired(database(), backup_settings())


def delete_retired(limit: int) -> int:
    """Delete backups that are no longer kept: their rows, and then their bytes. Return how many those were.

    What is between both when this ends is nobody's, and goes with the orphans.
    """
    store = backup_store()
    retired = backups.retire(database(), backup_settings(), limit)
    for backup in retired:
        store.delete(place_of(backup.name, backup.id))
    return len(retired)


def count_orphans() -> int:
    """Return how many files belong to no backup."""
    return sum(1 for _ in _orphans(backup_store()))


def delete_orphans(limit: int) -> int:
    """Delete files that belong to no backup. Return how many those were."""
    store = backup_store()
    orphans = list(islice(_orphans(store), limit))
    for file in orphans:
        store.delete(file.place)
    return len(orphans)


def _orphans(store: BackupStore) -> Iterator[StoredFile]:
    """Return the files older than a day that no row names, nor ever will: a place is used once."""
    cutoff = datetime.now(UTC) - ORPHAN_AGE
    old = (file for file in store.list_files() if file.stored_at < cutoff)
    while batch := list(islice(old, _ASKED_ABOUT_AT_ONCE)):
        known = backups.known(database(), [found for file in batch if (found := id_at(file.place)) is not None])
        yield from (file for file in batch if id_at(file.place) not in known)
