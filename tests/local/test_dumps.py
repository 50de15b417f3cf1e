"""Nightly dumps: whole, for their owner alone, and as many as are wanted."""

import os
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

from local import backups
from local.backups import BackupFailed
from local.dumps import dump, superfluous
from local.settings import LocalSettings
from shared.data.pool import Database
from tests.local.test_backups import rows

TODAY = date(2026, 11, 28)


def of(days_ago, hour=3):
    return Path(f"liftlog-{TODAY - timedelta(days=days_ago):%Y%m%d}T{hour:02}0000Z.dump")


@pytest.fixture
def settings(own_url, tmp_path):
    return LocalSettings(8080, "127.0.0.1", tmp_path, own_url, None, dumps_keep=3)


def test_of_each_day_the_last_dump_stays_and_of_the_newest_two_all():
    files = [of(days, hour) for days in range(4) for hour in (3, 12)]
    assert set(superfluous(files, 14)) == {of(2), of(3)}


def test_days_are_those_that_have_a_dump():
    """A server that was off for a month keeps what it has."""
    files = [of(days) for days in (0, 40, 41, 90, 91)]
    assert superfluous(files, 5) == []
    assert set(superfluous(files, 3)) == {of(90), of(91)}
    assert set(superfluous(files, 1)) == {of(40), of(41), of(90), of(91)}


def test_other_files_are_nobody_s_business():
    others = [Path(name) for name in ("before.dump", "liftlog-1.dump", "liftlog-20260101T000000Z.dump.part", "notes")]
    assert superfluous([*others, *map(of, range(9))], 1) == [of(days) for days in range(1, 9)]


def test_a_dump_brings_everything_back_and_removes_the_old(settings, own_url):
    for days in range(1, 6):
        (settings.data_dir / "dumps").mkdir(exist_ok=True)
        (settings.data_dir / "dumps" / of(days).name).touch()
    (settings.data_dir / "dumps" / "mine.dump").touch()
    before = rows(own_url)
    file = dump(settings)
    assert file.stat().st_mode & 0o077 == 0
    names = {path.name for path in file.parent.iterdir()}
    assert names == {file.name, of(1).name, of(2).name, "mine.dump"}
    database = Database(own_url, 1, 30)
    database.rows("DELETE FROM users")
    database.close()
    backups.restore(own_url, file)
    assert rows(own_url) == before


def test_a_dump_that_would_fill_the_disk_is_not_begun(settings):
    old, last = (settings.data_dir / "dumps" / of(days).name for days in (9, 1))
    old.parent.mkdir()
    old.touch()
    last.touch()
    os.truncate(last, shutil.disk_usage(old.parent).free)  # takes no room itself
    with pytest.raises(BackupFailed, match="there would be no room for the database"):
        dump(settings)
    assert set(old.parent.iterdir()) == {old, last}


def test_where_nothing_can_be_written_nothing_is_removed(tmp_path):
    old = tmp_path / "dumps" / of(90).name
    old.parent.mkdir()
    old.touch()
    outcome = subprocess.run(
        [sys.executable, "-m", "local.dumps"],
        env={"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x", "DATA_DIR": str(tmp_path), "DUMPS_KEEP": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("liftlog backup: ")
    assert list(old.parent.iterdir()) == [old]
