"""`make upgrade-data`: the files of PostgreSQL 15 become those of the embedded one, with everything in them."""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import migrations
from local.postgres import BIN, EmbeddedPostgres, PostgresFailed
from local.upgrade import upgrade
from local.versions import maker_of, version_of
from shared.data.pool import Database
from tests.databases import POSTGRES_15
from tests.local.test_backups import TABLES, live
from tests.servers import Caller, Servers
from tests.waiting import WAIT_SECONDS

ROOT = Path(__file__).parent.parent.parent
OURS = version_of(BIN)

pytestmark = pytest.mark.skipif(
    not (POSTGRES_15 / "postgres").exists(), reason="PostgreSQL 15 is not installed: nothing to upgrade from"
)


@contextmanager
def running(data_dir, binaries=BIN):
    postgres = EmbeddedPostgres(data_dir, binaries)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.stop()


@pytest.fixture(scope="module")
def old():
    """Return a data folder that PostgreSQL 15 has made: an account that has lived a little, and another database."""
    folder = Path(tempfile.mkdtemp(prefix="liftlog-upgrade-"))
    folder.chmod(0o711)  # PostgreSQL's account passes through
    data_dir = folder / "data"
    with running(data_dir, POSTGRES_15) as postgres:
        migrations.upgrade(postgres.url)
        with Servers(postgres.url) as servers:
            live(Caller(servers, alone=False))
        with closing(Database(postgres.url_of("postgres"), 1, 5)) as db:
            db.rows('CREATE DATABASE "another one"')
    yield data_dir
    shutil.rmtree(folder)


@pytest.fixture
def data_dir(old):
    copy = old.parent / f"copy-{os.urandom(4).hex()}"
    subprocess.run(["cp", "-a", old, copy], check=True)
    yield copy
    shutil.rmtree(copy)


def rows(postgres):
    with closing(Database(postgres.url, 1, 30)) as db:
        found = {table: db.rows(f"SELECT row_to_json(t)::text FROM {table} AS t ORDER BY 1") for table in TABLES}
        found["sequences"] = db.rows("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1")
        found["indexes"] = db.rows("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1")
        found["databases"] = db.rows("SELECT datname FROM pg_database ORDER BY 1")
    return found


def command(data_dir, **environment):
    return subprocess.run(
        [sys.executable, "-m", "local.upgrade"], cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"DATA_DIR": str(data_dir)} | environment, timeout=WAIT_SECONDS,
    )  # fmt: skip


def test_the_start_says_what_to_do_and_changes_nothing(data_dir):
    said = rf"15 made the data in .*, and this is {OURS}: run `make upgrade-data`"
    with pytest.raises(PostgresFailed, match=said), running(data_dir):
        pass
    with running(data_dir, POSTGRES_15) as postgres:
        assert rows(postgres)["users"]


def test_everything_is_there_afterwards_and_the_old_files_too(data_dir):
    with running(data_dir, POSTGRES_15) as postgres:
        before = rows(postgres)
    done = command(data_dir)
    assert done.returncode == 0, done.stderr
    assert f"PostgreSQL 15 → {OURS}. The old files are in {data_dir}/postgres-15" in done.stdout
    with running(data_dir) as postgres:
        assert rows(postgres) == before
    assert maker_of(data_dir / "postgres-15") == 15
    assert {path.name for path in data_dir.iterdir()} == {"lock", "postgres", "postgres-15", "postgres.log"}
    assert "is of PostgreSQL" in command(data_dir).stdout


def test_the_old_programs_are_asked_for(data_dir, tmp_path):
    done = command(data_dir, OLD_BIN=str(tmp_path))
    assert done.returncode == 1
    assert "apt install postgresql-15" in done.stderr
    assert "OLD_BIN" in done.stderr


def test_one_that_ends_half_way_changes_nothing(data_dir):
    process = subprocess.Popen(
        [sys.executable, "-m", "local.upgrade"], cwd=ROOT, stdout=subprocess.PIPE, text=True,
        env=os.environ | {"DATA_DIR": str(data_dir)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "copying another one\n"
    process.kill()
    process.communicate()
    with running(data_dir, POSTGRES_15) as postgres:
        assert rows(postgres)["users"]
    assert command(data_dir).returncode == 0
    with running(data_dir) as postgres:
        assert rows(postgres)["users"]


def test_one_that_ends_between_its_last_two_steps_is_finished_by_the_next_start(data_dir):
    """Else an empty database would be made, and apps delete accounts that it does not know."""
    upgrade(data_dir, BIN)
    (data_dir / "postgres").rename(data_dir / "postgres.upgraded")
    with running(data_dir) as postgres:
        assert rows(postgres)["users"]


def test_rows_that_did_not_arrive_keep_the_old_files_in_place(data_dir, tmp_path):
    """A restore that says it went well, and left the rows out."""
    for name, option in (("pg_dump", ""), ("pg_restore", "--schema-only")):
        (tmp_path / name).write_text(f'#!/bin/sh\nexec "{BIN / name}" {option} "$@"\n')
        (tmp_path / name).chmod(0o755)
    script = f"import local.backups; from pathlib import Path; local.backups.BIN = Path({str(tmp_path)!r})\n"
    script += f"from local.upgrade import upgrade; upgrade(Path({str(data_dir)!r}), Path({str(BIN)!r}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "has other rows than before; the old files are in place" in done.stderr
    with running(data_dir, POSTGRES_15) as postgres:
        assert rows(postgres)["users"]


def test_data_of_a_newer_version_are_left_alone(data_dir):
    (data_dir / "postgres" / "PG_VERSION").write_text("99\n")
    with pytest.raises(PostgresFailed, match="go back to the release that made it"), running(data_dir):
        pass


def test_an_empty_folder_has_nothing_to_upgrade(tmp_path):
    with pytest.raises(PostgresFailed, match="there is no database"):
        upgrade(tmp_path, BIN)
    assert not list(tmp_path.iterdir())
