"""Room on the database's disk, and on others."""

import os
from pathlib import Path

import pytest

from shared import storage
from shared.settings.database import storage_settings

MIB = 2**20
OTHER_DISK = Path("/dev/shm")  # noqa: S108 - nothing is written there


@pytest.fixture
def reserve(tmp_path, monkeypatch):
    """Set a reserve of all that is free where the database is, but 100 MiB."""
    disk = os.statvfs(tmp_path)
    monkeypatch.setenv("STORAGE_FOLDER", str(tmp_path))
    monkeypatch.setenv("STORAGE_RESERVE_MIB", str(disk.f_bavail * disk.f_frsize // MIB - 100))
    monkeypatch.setattr(storage, "storage_settings", storage_settings.__wrapped__)


def test_what_is_on_the_database_s_disk_leaves_it_its_reserve(reserve, tmp_path):
    assert storage.has_room(tmp_path, MIB)
    assert not storage.has_room(tmp_path, 200 * MIB)
    assert not storage.is_full()


@pytest.mark.skipif(not OTHER_DISK.is_dir(), reason="there is no other disk")
def test_another_disk_is_filled(reserve):
    disk = os.statvfs(OTHER_DISK)
    assert storage.has_room(OTHER_DISK, disk.f_bavail * disk.f_frsize - MIB)
    assert not storage.has_room(OTHER_DISK, disk.f_bavail * disk.f_frsize + 100 * MIB)
