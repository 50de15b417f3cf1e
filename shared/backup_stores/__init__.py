"""Where the bytes of phones' backups are: one small interface, and what stands behind it, chosen by a URL."""

import re
from collections.abc import Iterator
from functools import cache
from typing import IO, Protocol
from urllib.parse import unquote, urlsplit
from uuid import UUID

from shared.backup_stores.bucket import BucketStore
from shared.backup_stores.folder import FolderStore
from shared.backup_stores.stored_file import StoredFile
from shared.errors import BackupsOff, InvalidSetting
from shared.settings.backups import backup_settings

SUFFIX = ".liftlogbackup.gz"  # as the app names what it exports
_PLACE = re.compile(rf"[^/]+/([0-9a-f-]{{36}}){re.escape(SUFFIX)}")


class BackupStore(Protocol):
    """Keeps files under a place, `name/id.liftlogbackup.gz`."""

    def put(self, place: str, file: IO[bytes], byte_count: int) -> None:
        """Keep a file's bytes, from its beginning: all of them or none, and for good when this returns.

        What was there is replaced. Raises StorageFull, ProviderUnavailable.
        """

    def open(self, place: str, start: int, byte_count: int) -> IO[bytes]:
        """Return a file of this machine, standing where so many bytes from `start` on are to be read.

        Raises ProviderUnavailable, also where there is none: a row says that there is.
        """

    def delete(self, place: str) -> None:
        """Delete what is there, if anything is. Raises ProviderUnavailable."""

    def list_files(self) -> Iterator[StoredFile]:
        """Return all that is there, what was left unfinished among it. Raises ProviderUnavailable."""


def place_of(name: str, backup_id: UUID) -> str:
    """Return where a backup's bytes are. Nothing else was ever there, so that no deletion can meet a new backup."""
    return f"{name}/{backup_id}{SUFFIX}"


def id_at(place: str) -> UUID | None:
    """Return whose bytes are at a place; None if they can be nobody's."""
    match = _PLACE.fullmatch(place)
    return UUID(match[1]) if match else None


@cache
def backup_store() -> BackupStore:
    """Return the store of BACKUP_STORE. Raises BackupsOff, InvalidSetting."""
    settings = backup_settings()
    if not settings.store:
        raise BackupsOff
    url = urlsplit(settings.store)
    path = unquote(url.path)
    if url.scheme == "file" and url.netloc in {"", "localhost"} and path.startswith("/"):
        return FolderStore(path)
    if url.scheme == "gs" and url.netloc:
        return BucketStore(url.netloc, path.strip("/"), settings.endpoint)
    raise InvalidSetting("BACKUP_STORE must be like file:///folder or gs://bucket/prefix")
