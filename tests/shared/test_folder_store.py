"""A folder of backups: whole files or none, for their owner alone, whatever happens meanwhile."""

import io
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared import storage
from shared.backup_stores.folder import FolderStore
from shared.errors import ProviderUnavailable, StorageFull
from shared.settings.database import storage_settings

PLACE = "ann/backup"
CONTENT = bytes(range(256)) * 8192
SIZE = len(CONTENT)  # 2 MiB


@pytest.fixture
def store(tmp_path):
    return FolderStore(str(tmp_path / "backups"))


def put(store, content=CONTENT):
    store.put(PLACE, io.BytesIO(content), len(content))


def content_of(store, start=0, byte_count=SIZE):
    with store.open(PLACE, start, byte_count) as file:
        return file.read(byte_count)


def names(store):
    return sorted(file.place for file in store.list_files())


def test_what_was_put_is_there(store):
    put(store)
    assert content_of(store) == CONTENT
    assert content_of(store, start=1000, byte_count=5) == CONTENT[1000:1005]
    (file,) = store.list_files()
    assert file.place == PLACE
    assert abs(datetime.now(UTC) - file.stored_at) < timedelta(minutes=5)


def test_nobody_else_reads_it(store, tmp_path):
    put(store)
    for path, mode in ((tmp_path / "backups" / PLACE, 0o600), (tmp_path / "backups" / "ann", 0o700)):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_it_replaces_what_was_there(store):
    put(store, b"before")
    put(store)
    assert content_of(store) == CONTENT
    assert names(store) == [PLACE]


class Broken(io.BytesIO):
    """A file whose second piece cannot be read."""

    def read(self, size=-1, /):
        if self.tell():
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_half_of_it_is_nothing(store):
    put(store, b"before")
    with pytest.raises(StorageFull):
        store.put(PLACE, Broken(CONTENT), len(CONTENT))
    assert content_of(store, byte_count=6) == b"before"
    assert names(store) == [PLACE]


def test_it_is_on_the_disk_before_its_name_is_and_its_name_before_this_returns(store, monkeypatch):
    done = []
    monkeypatch.setattr(os, "fsync", lambda fd: done.append(str(Path(f"/proc/self/fd/{fd}").readlink())))
    put(store)
    *made, file, last = done
    assert [path.rpartition("/")[2] for path in made[1:]] == ["backups"]
    assert "/ann/.part-" in file
    assert last.endswith("/backups/ann")


def test_what_would_take_the_database_s_reserve_is_refused(store, tmp_path, monkeypatch):
    disk = os.statvfs(tmp_path)
    monkeypatch.setenv("STORAGE_FOLDER", str(tmp_path))
    monkeypatch.setenv("STORAGE_RESERVE_MIB", str(disk.f_bavail * disk.f_frsize // 2**20 - 100))
    monkeypatch.setattr(storage, "storage_settings", storage_settings.__wrapped__)
    with pytest.raises(StorageFull):
        store.put(PLACE, io.BytesIO(CONTENT), 200 * 2**20)
    assert names(store) == []
    put(store)


def test_what_is_not_there_or_too_short_is_a_fault(store):
    with pytest.raises(ProviderUnavailable):
        store.open(PLACE, 0, 1)
    put(store)
    with pytest.raises(ProviderUnavailable):
        store.open(PLACE, 1, len(CONTENT))


def test_deleting_it_twice_is_fine(store):
    put(store)
    store.delete(PLACE)
    store.delete(PLACE)
    assert names(store) == []
