"""Errors that say what is wrong: not logged in is not "no backup", and each names the command that mends it."""

import shutil
from pathlib import Path

import pytest

from scripts.remedies import remedy
from tests.scripts.fake_cloud import PROJECT, FakeProject, needs_gcloud, run

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = ROOT / "scripts"


@pytest.mark.parametrize(
    ("said", "mended_by"),
    [
        ("ERROR: (gcloud.sql) You do not currently have an active account selected.", "gcloud auth login"),
        ("There was a problem refreshing your current auth tokens: Reauthentication failed", "gcloud auth login"),
        ("This API method requires billing to be enabled. reason: BILLING_DISABLED", "gcloud billing projects link"),
        ("Cloud Run Admin API has not been used in project 1 before or it is disabled: run.googleapis.com",
         "gcloud services enable run.googleapis.com"),
        ("Quota 'BACKEND_SERVICES' exceeded.  Limit: 9.0 globally.", "console.cloud.google.com/iam-admin/quotas"),
        ("PERMISSION_DENIED: Permission 'run.services.list' denied on resource", "add-iam-policy-binding a-project"),
        ("HTTPError 403: The client is not authorized to make this request.", "--role=ROLE"),
    ],
)  # fmt: skip
def test_each_cause_has_its_command(said, mended_by):
    assert mended_by in remedy(said, PROJECT)


def test_what_is_not_there_has_no_remedy():
    assert remedy("HTTPError 404: The backup run does not exist.", PROJECT) == ""


@pytest.fixture
def project():
    needs_gcloud()
    with FakeProject({}) as running:
        yield running


SCRIPTS_THAT_ASK = [
    ("restore.sh", "staging", "7", "--dry-run"), ("backup.sh", "staging"), ("secret.sh", "staging", "openai-api-key"),
    ("rollback.sh", "staging", "--dry-run"), ("doctor.sh", "staging"),
]  # fmt: skip


@pytest.mark.parametrize("command", SCRIPTS_THAT_ASK, ids=lambda words: words[0])
def test_nobody_logged_in_is_what_is_said(project, tmp_path, command):
    empty = tmp_path / "no-credentials"
    empty.mkdir()
    nobody = {"CLOUDSDK_CONFIG": str(empty), "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": ""}
    done = run(project, tmp_path, SCRIPTS / command[0], *command[1:], env=nobody, input="a value")
    assert done.returncode == 1
    assert "you are not logged in: gcloud auth login" in done.stderr + done.stdout
    assert "no backup" not in done.stderr


@pytest.mark.parametrize("command", [SCRIPTS_THAT_ASK[0], SCRIPTS_THAT_ASK[2]], ids=lambda words: words[0])
def test_a_role_that_is_missing_is_what_is_said(project, tmp_path, command):
    denied = {"error": {"code": 403, "message": "The caller does not have permission", "status": "PERMISSION_DENIED"}}
    project.answers = {r".*": lambda *_: (403, denied)}
    done = run(project, tmp_path, SCRIPTS / command[0], *command[1:], input="a value")
    assert done.returncode == 1
    assert "gcloud projects add-iam-policy-binding a-project" in done.stderr
    assert "no backup" not in done.stderr


def test_a_backup_that_is_not_there_is_still_said(project, tmp_path):
    done = run(project, tmp_path, SCRIPTS / "restore.sh", "staging", "7", "--dry-run")
    assert "liftlog-user-data-staging has no backup 7" in done.stderr


@pytest.mark.parametrize("command", [("doctor.sh", "staging"), ("deploy.sh", "staging", "latest")])
def test_the_first_run_names_what_makes_the_virtual_environment(project, tmp_path, command):
    clone = tmp_path / "clone"
    shutil.copytree(SCRIPTS, clone / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    done = run(project, tmp_path, clone / "scripts" / command[0], *command[1:])
    assert f"make -C {clone} .venv/.ready" in done.stderr
