"""The embedded PostgreSQL: what an earlier life left in its folder, and what it says when it cannot start."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

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


def test_it_says_why_it_does_not_start(folder, data_dir):
    broken = folder / "broken"
    shutil.copytree(data_dir / "postgres", broken / "postgres")
    for path in [broken / "postgres", *(broken / "postgres").rglob("*")]:
        shutil.chown(path, (data_dir / "postgres").stat().st_uid)
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
