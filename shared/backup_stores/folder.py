"""Backups in a folder of this machine, a folder of it for each name."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from shared import storage
from shared.backup_stores.stored_file import StoredFile
from shared.errors import ProviderUnavailable, StorageFull

_PIECE_BYTES = 1024 * 1024
_UNFINISHED = ".part-"


class FolderStore:
    """A folder. Who else reads it sees whole backups only, but for files whose names begin with a dot."""

    def __init__(self, folder: str) -> None:
        self._root = Path(folder)

    def put(self, place: str, file: IO[bytes], byte_count: int) -> None:
        path = self._root / place
        try:
            _make_folders(path.parent)
            if not storage.has_room(path.parent, byte_count):
                raise StorageFull
            self._write(path, file)
        except OSError as error:  # no room, a quota, read only, no right to write
            raise StorageFull(f"backup store: {error.strerror}") from error

    def _write(self, path: Path, file: IO[bytes]) -> None:
        """Write beside the place, and rename: POSIX replaces the name at once or not at all."""
        descriptor, unfinished = tempfile.mkstemp(prefix=_UNFINISHED, dir=path.parent)  # for its owner alone
        try:
            with os.fdopen(descriptor, "wb") as target:
                file.seek(0)
                shutil.copyfileobj(file, target, _PIECE_BYTES)
                target.flush()
                os.fsync(target.fileno())
            Path(unfinished).replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(unfinished).unlink()
            raise
        _sync_folder(path.parent)

    def open(self, place: str, start: int, byte_count: int) -> IO[bytes]:
        try:
            file = (self._root / place).open("rb")
        except OSError as error:
            raise ProviderUnavailable(f"backup store: {error.strerror}") from error
        if os.fstat(file.fileno()).st_size < start + byte_count:
            file.close()
            raise ProviderUnavailable("backup store: a file is too short")
        file.seek(start)
        return file

    def delete(self, place: str) -> None:
        try:
            (self._root / place).unlink(missing_ok=True)
        except OSError as error:
            raise ProviderUnavailable(f"backup store: {error.strerror}") from error

    def list_files(self) -> Iterator[StoredFile]:
        try:
            for path in self._root.glob("*/*"):
                with suppress(FileNotFoundError):  # somebody was quicker
                    moment = datetime.fromtimestamp(path.stat().st_mtime, UTC)
                    yield StoredFile(path.relative_to(self._root).as_posix(), moment)
        except OSError as error:
            raise ProviderUnavailable(f"backup store: {error.strerror}") from error


def _make_folders(folder: Path) -> None:
    """Make a folder where there is none, for its owner alone, and have its name outlive a power failure."""
    for path in (folder.parent, folder):
        if not path.is_dir():
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
