"""The embedded PostgreSQL: what an earlier life left in its folder, and what it says when it cannot start."""

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.accounts import account_for
from local.postgres import DataDirInUse, EmbeddedPostgres, PostgresFailed
from shared.data.connections import Connection, Row


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="liftlog-postgres-"))
    path.chmod(0o711)  # PostgreSQL's account passes through
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def data_dir(folder: Path) -> Path:
    """Return a data folder on which no server runs between tests."""
    postgres = EmbeddedPostgres(folder / "data")
    postgres.start()
    postgres.stop()
    return folder / "data"


@pytest.fixture
def postgres(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    embedded = EmbeddedPostgres(data_dir)
    yield embedded
    embedded.stop()


def answers(postgres: EmbeddedPostgres) -> bool:
    return run(postgres, "SELECT 1") == [[1]]


def run(postgres: EmbeddedPostgres, statement: str) -> list[Row]:
    connection = Connection(postgres.url)
    try:
        return connection.run(statement, {})
    finally:
        connection.close()


def test_it_answers_at_its_url(postgres):
    postgres.start()
    assert postgres.is_running()
    assert answers(postgres)


def test_it_stops_and_may_be_stopped_again(postgres):
    postgres.start()
    postgres.stop()
    postgres.stop()
    assert not postgres.is_running()


def test_it_listens_on_no_port_and_only_its_account_enters_its_folder(postgres, data_dir):
    postgres.start()
    assert run(postgres, "SHOW listen_addresses") == [[""]]
    assert (data_dir / "postgres").stat().st_mode & 0o077 == 0


def test_a_number_that_belongs_to_another_program_by_now_is_no_obstacle(postgres, data_dir):
    owner = (data_dir / "postgres").stat()
    with subprocess.Popen(["sleep", "60"], user=owner.st_uid, group=owner.st_gid) as innocent:
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            pid_file = data_dir / "postgres" / name
            pid_file.write_text(f"{innocent.pid}\n{data_dir / 'postgres'}\n1700000000\n5432\n\n\n")
            os.chown(pid_file, owner.st_uid, owner.st_gid)
        try:
            postgres.start()
            assert answers(postgres)
            assert innocent.poll() is None
        finally:
            innocent.kill()


@pytest.mark.parametrize("content", ["", "\n", "nonsense"])
def test_an_interrupted_pid_file_is_no_obstacle(postgres, data_dir, content):
    (data_dir / "postgres" / "postmaster.pid").write_text(content)
    postgres.start()
    assert answers(postgres)


def test_processes_that_outlive_a_killed_server_for_a_moment_are_waited_for(postgres):
    """They notice its end by themselves, and hold its shared memory until then."""
    postgres.start()
    assert postgres._process is not None
    orphans = psutil.Process(postgres._process.pid).children()
    orphans[0].suspend()
    postgres._process.kill()
    postgres._process.wait()
    resumed = threading.Timer(0.7, orphans[0].resume)
    resumed.start()
    postgres.start()
    assert resumed.finished.is_set()
    assert answers(postgres)


def test_a_folder_has_one_server(postgres, data_dir):
    postgres.start()
    with pytest.raises(DataDirInUse):
        EmbeddedPostgres(data_dir).start()
    assert answers(postgres)


def test_files_half_made_are_made_again(folder):
    half = folder / "half"
    (half / "postgres.new" / "base").mkdir(parents=True)
    postgres = EmbeddedPostgres(half)
    try:
        postgres.start()
        assert answers(postgres)
    finally:
        postgres.stop()
    assert not (half / "postgres.new").exists()


@pytest.fixture
def closed() -> Iterator[Path]:
    """Return a folder that is closed to everybody but ourselves, as a home is."""
    path = Path(tempfile.mkdtemp(prefix="liftlog-closed-"))
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("mode", [0o700, 0o750])
def test_a_copy_in_a_private_folder_keeps_its_rows(postgres, data_dir, closed, mode):
    """As root `cp -r` makes all of it root's, and root's group, which a folder on the way may close to the group."""
    postgres.start()
    run(postgres, "CREATE TABLE IF NOT EXISTS kept AS SELECT 7 AS number")
    postgres.stop()
    closed.chmod(mode)
    subprocess.run(["cp", "-r", data_dir, closed / "copy"], check=True)
    (closed / "copy" / "postgres").chmod(0o755)  # as tools other than cp leave it
    restored = EmbeddedPostgres(closed / "copy")
    try:
        restored.start()
        assert run(restored, "SELECT number FROM kept") == [[7]]
    finally:
        restored.stop()


def test_a_folder_that_was_moved_to_a_private_place_is_reached(data_dir, closed):
    (closed / "by").mkdir(mode=0o700)
    (closed / "link").symlink_to(closed / "by")
    shutil.copytree(data_dir, closed / "by" / "copy")
    moved = EmbeddedPostgres(closed / "link" / "copy")
    try:
        moved.start()
        assert answers(moved)
    finally:
        moved.stop()


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has PostgreSQL run as another account")


@as_root
def test_files_of_an_account_and_root_s_group_are_reached_through_what_is_closed_to_root_s_group(data_dir, closed):
    shutil.copytree(data_dir, closed / "copy")
    account = account_for(data_dir / "postgres")
    for path in [closed / "copy" / "postgres", *(closed / "copy" / "postgres").rglob("*")]:
        os.chown(path, account.uid or 0, 0)
    copied = EmbeddedPostgres(closed / "copy")
    try:
        copied.start()
        assert answers(copied)
    finally:
        copied.stop()


@as_root
def test_files_of_an_account_that_this_machine_does_not_know_are_kept_by_it(data_dir, closed):
    stranger = 54321
    shutil.copytree(data_dir, closed / "copy")
    os.chown(closed / "copy" / "postgres", stranger, 0)
    copied = EmbeddedPostgres(closed / "copy")
    try:
        copied.start()
        assert answers(copied)
    finally:
        copied.stop()
    assert {path.stat().st_uid for path in (closed / "copy" / "postgres").rglob("*")} == {stranger}


@as_root
def test_programs_that_root_installed_for_itself_alone_can_be_run(data_dir, closed):
    """With umask 077."""
    program = closed / "bin" / "program"
    program.parent.mkdir(mode=0o700)
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o700)
    account = account_for(data_dir / "postgres")
    account.open_way(program.parent)
    account.let_read(program.parent)
    ran = subprocess.run([program], stdout=subprocess.PIPE, check=True, cwd="/", user=account.uid, group=account.gid)
    assert ran.stdout == b"ran\n"


def test_it_says_why_it_does_not_start(folder, data_dir):
    broken = folder / "broken"
    shutil.copytree(data_dir / "postgres", broken / "postgres")
    (broken / "postgres" / "postgresql.conf").write_text("no_such_setting = on\n")
    postgres = EmbeddedPostgres(broken)
    try:
        with pytest.raises(PostgresFailed, match="no_such_setting"):
            postgres.start()
    finally:
        postgres.stop()


def test_it_says_what_is_missing(folder):
    postgres = EmbeddedPostgres(folder / "none", Path("/nowhere/bin"))
    try:
        with pytest.raises(PostgresFailed, match="cannot run /nowhere/bin/initdb"):
            postgres.start()
    finally:
        postgres.stop()


def test_a_stop_without_a_start_does_nothing(folder):
    EmbeddedPostgres(folder / "never").stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_a_folder_of_sockets_that_is_somebody_else_s_is_refused(folder):
    """Whoever owns it could put a server of their own in our one's place."""
    postgres = EmbeddedPostgres(folder / "with spaces")
    sockets = Path(postgres.url.partition("?host=")[2])
    sockets.mkdir()
    try:
        os.chown(sockets, 54_321, 54_321)
        with pytest.raises(PostgresFailed, match="belongs to somebody else"):
            postgres.start()
    finally:
        postgres.stop()


def test_a_folder_of_sockets_elsewhere_is_private_and_goes_with_the_server(folder):
    postgres = EmbeddedPostgres(folder / "with spaces")
    try:
        postgres.start()
        sockets = Path(postgres.url.partition("?host=")[2])
        assert answers(postgres)
        assert sockets.stat().st_mode & 0o077 == 0
    finally:
        postgres.stop()
    assert not sockets.exists()
