"""What the cleanup takes away of phones' backups, and what it never does."""

import os
import time
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from shared.backup_stores import place_of
from tests.phones import Phone, content
from tests.servers import Caller, Servers

pytestmark = pytest.mark.slow
DAY = timedelta(days=1).total_seconds()


@pytest.fixture
def call(own_url, tmp_path):
    with Servers(own_url, ENVIRONMENT="local", BACKUP_STORE=f"file://{tmp_path}", BACKUP_KEEP_NEWEST="1") as servers:
        yield Caller(servers, alone=False)


def age(call, backup, days):
    call.db.rows(
        "UPDATE backups SET stored_at = now() - CAST(:age AS interval) WHERE id = :id",
        age=f"{days} days", id=backup["id"],
    )  # fmt: skip


def leave(path, days):
    """Leave a file of some age."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"left")
    moment = time.time() - days * DAY
    os.utime(path, (moment, moment))
    return path


def cleaned(call, **body):
    deleted = call("POST", "/cleanup", body).json["deleted"]
    return deleted["backups"], deleted["backup_files"]


def files(folder):
    return {path.relative_to(folder).as_posix() for path in Path(folder).glob("*/*")}


def test_backups_that_are_no_longer_kept_go_with_their_bytes(call, tmp_path):
    phone = Phone(call)
    old, newest = phone.stored(content()), phone.stored(content())
    age(call, old, 900)
    assert cleaned(call, dryRun=True) == (1, 0)
    assert len(phone.listed()) == 2
    assert cleaned(call) == (1, 0)
    assert phone.listed() == [newest]
    assert files(tmp_path) == {place_of(phone.name, newest["id"])}
    assert phone.get(old).status_code == 401  # nobody's, and nothing says whose it was
    assert cleaned(call) == (0, 0)


def test_files_that_no_row_names_go_when_they_are_older_than_a_day(call, tmp_path):
    phone = Phone(call)
    backup = phone.stored(content())
    kept = tmp_path / place_of(phone.name, backup["id"])
    os.utime(kept, (0, 0))
    young = leave(tmp_path / place_of(phone.name, uuid4()), 0.9)
    leave(tmp_path / place_of(phone.name, uuid4()), 1.1)
    leave(tmp_path / phone.name / ".part-left", 1.1)
    leave(tmp_path / place_of("nobody", uuid4()), 1.1)
    assert cleaned(call, dryRun=True) == (0, 3)
    assert cleaned(call) == (0, 3)
    assert files(tmp_path) == {path.relative_to(tmp_path).as_posix() for path in (kept, young)}
    assert phone.get(backup).status_code == 200


def test_no_more_go_than_are_asked_for(call, tmp_path):
    for _ in range(3):
        leave(tmp_path / place_of("nobody", uuid4()), 2)
    assert cleaned(call, limit=2) == (0, 2)
    assert len(files(tmp_path)) == 1


def test_a_store_without_a_file_is_clean(call):
    assert cleaned(call) == (0, 0)


def test_where_none_are_taken_nothing_is_cleaned(own_url):
    with Servers(own_url, ENVIRONMENT="local", BACKUP_STORE="off") as servers:
        assert "backups" not in Caller(servers, alone=False)("POST", "/cleanup", {}).json["deleted"]
