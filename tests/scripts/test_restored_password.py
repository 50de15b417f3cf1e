"""After a restore the database's user has the password that Secret Manager holds: a backup brings its own back."""

import pytest

from tests.scripts.fake_cloud import FakeProject, needs_gcloud, run
from tests.scripts.test_operations import ROOT, restorable, restore

__all__ = ["restorable"]
SECRET, USER = "database-password-staging", "liftlog_backend"
CALL = f"source {ROOT}/scripts/lib.sh; set_database_password staging"


@pytest.fixture
def project():
    needs_gcloud()
    with FakeProject({}, secrets=[SECRET]) as running:
        running.versions[SECRET] = [(b"of-the-backup", "ENABLED"), (b'new "one": #1', "ENABLED")]
        yield running


def test_the_newest_version_is_set_with_the_real_gcloud_and_shown_nowhere(project, tmp_path):
    done = run(project, tmp_path, "bash", "-xc", CALL)  # -x: what a process list would show is in the trace
    assert done.returncode == 0, done.stderr
    assert project.passwords == {USER: 'new "one": #1'}
    commands = [line for line in done.stderr.splitlines() if "gcloud sql users" in line]
    assert commands
    assert not [line for line in (*commands, done.stdout) if "new " in line]


def test_where_functions_log_in_by_iam_there_is_nothing_to_set(project, tmp_path):
    del project.versions[SECRET]
    done = run(project, tmp_path, "bash", "-c", CALL)
    assert (done.returncode, project.passwords) == (0, {})
    assert "log in by IAM" in done.stdout


def test_a_restore_sets_it_before_anything_logs_in(restorable, tmp_path):
    restorable.versions[SECRET] = [(b"x", "ENABLED")]
    done = restore(restorable, tmp_path, "7", "--yes")
    assert done.returncode == 0, done.stderr
    assert list(restorable.passwords) == [USER]
    steps = [done.stdout.index(word) for word in ("restoring backup", "set-password", "4  migrating", "6  opening")]
    assert steps == sorted(steps)


def test_a_dry_run_sets_nothing(restorable, tmp_path):
    restorable.versions[SECRET] = [(b"x", "ENABLED")]
    assert restore(restorable, tmp_path, "7", "--dry-run").returncode == 0
    assert restorable.passwords == {}
