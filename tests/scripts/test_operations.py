"""The operators' other scripts, against real gateways and, through the real gcloud, a fake project."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from local.processes import free_port
from scripts import doctor, plan_review, traffic
from shared.data import metric_buckets
from shared.metrics import Bucket
from tests.fake_google import FakeScheduler, FakeSecretManager
from tests.scripts.fake_cloud import FakeCloud, FakeProject, needs_gcloud, run
from tests.scripts.gcloud_stand_in import StandIn
from tests.servers import Server

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = ROOT / "scripts"
TOKEN = "the operators' token"


@pytest.fixture
def gateway(own_url):
    """Return a gateway on a database of the test's own, since error rates are of all that use it."""
    server = Server("gateway", DATABASE_URL=own_url, ENVIRONMENT="staging", OPERATOR_TOKEN=TOKEN)
    yield server
    server.stop()


@pytest.fixture
def cloud():
    """Return a project that knows nothing: the scripts under test need none."""
    with FakeCloud() as running:
        yield running


def put_requests(db, *, good, bad):
    """Let some requests of this minute have been answered, some of them with 500."""
    name = 'liftlog_http_requests_total{function="user",method="GET",route="/user/{id_or_lookup}",status="%d"}'
    minute = int(datetime.now(UTC).timestamp()) // 60 * 60
    metric_buckets.put(db, uuid4(), [Bucket(minute, {name % 200: good, name % 500: bad}, {})])


# smoke.sh


def test_smoke_tries_all_and_leaves_nothing(cloud, gateway, own_db, tmp_path):
    done = run(cloud, tmp_path, SCRIPTS / "smoke.sh", gateway.url, env={"OPERATOR_TOKEN": TOKEN})
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^ok   (.+) \d+$", done.stdout, re.MULTILINE) == [
        "GET /health", "GET /health/ready", "GET /metrics/summary", "POST /v2/user/create", "PUT /user",
        "GET /user/{id}", "POST /user/delete", "GET /user/{id} afterwards",
    ]  # fmt: skip
    assert own_db.rows("SELECT count(*) FROM users") == [[0]]


def test_smoke_fails_where_operators_are_refused(cloud, gateway, tmp_path):
    done = run(cloud, tmp_path, SCRIPTS / "smoke.sh", gateway.url, env={"OPERATOR_TOKEN": "another"})
    assert done.returncode == 1
    assert "GET /metrics/summary answered 401" in done.stderr


def test_smoke_fails_without_a_database_and_where_nothing_is(cloud, tmp_path):
    lost = Server("gateway", DATABASE_URL=f"postgresql://a:b@127.0.0.1:{free_port()}/x", ENVIRONMENT="local")
    try:
        done = run(cloud, tmp_path, SCRIPTS / "smoke.sh", lost.url)
        assert (done.returncode, "GET /health/ready answered 503" in done.stderr) == (1, True)
    finally:
        lost.stop()
    assert "nothing answers" in run(cloud, tmp_path, SCRIPTS / "smoke.sh", lost.url).stderr


def test_smoke_deletes_its_account_also_when_it_fails(cloud, gateway, own_db, tmp_path):
    own_db.rows("ALTER TABLE users ADD CONSTRAINT no_key CHECK (rsa_public_key = '') NOT VALID")  # PUT /user will fail
    done = run(cloud, tmp_path, SCRIPTS / "smoke.sh", gateway.url, env={"OPERATOR_TOKEN": TOKEN})
    assert done.returncode == 1
    assert "PUT /user answered" in done.stderr
    assert own_db.rows("SELECT count(*) FROM users") == [[0]]


def test_an_identity_token_of_gcloud_opens_the_metrics(own_url, tmp_path):
    needs_gcloud()
    with FakeCloud() as project:
        project.answers["GET /certs"] = lambda *_: (200, project.certificates())
        port = free_port()
        server = Server(
            "gateway", port=port, DATABASE_URL=own_url, ENVIRONMENT="staging", OIDC_CERTS_URL=f"{project.url}/certs",
            OPERATOR_IDENTITIES="operator@a-project.iam.gserviceaccount.com", OIDC_AUDIENCE=f"http://127.0.0.1:{port}",
        )  # fmt: skip
        try:
            done = run(project, tmp_path, SCRIPTS / "smoke.sh", server.url)
            assert done.returncode == 0, done.stderr
        finally:
            server.stop()


# watch.sh


def watch(cloud, folder, gateway, *arguments):
    return run(
        cloud, folder, SCRIPTS / "watch.sh", "staging", *arguments, f"--url={gateway.url}", "--interval=0.1",
        env={"OPERATOR_TOKEN": TOKEN},
    )  # fmt: skip


def test_watch_passes_below_the_threshold(cloud, gateway, own_db, tmp_path):
    put_requests(own_db, good=1000, bad=9)
    done = watch(cloud, tmp_path, gateway, "0.05")
    assert done.returncode == 0, done.stderr
    assert len(re.findall("requests, errors 0.", done.stdout)) >= 2


def test_watch_fails_above_the_threshold(cloud, gateway, own_db, tmp_path):
    put_requests(own_db, good=1000, bad=12)
    done = watch(cloud, tmp_path, gateway, "15")
    assert done.returncode == 1
    assert "past its threshold: error_rate_percent" in done.stdout
    assert "rollback.sh staging" in done.stderr


def test_watch_fails_when_the_figures_cannot_be_had(cloud, gateway, tmp_path):
    gateway.stop()
    done = watch(cloud, tmp_path, gateway, "15")
    assert done.returncode == 1
    assert done.stdout.count("no figures") == 3


# secret.sh and rotate-secret.sh


@pytest.fixture
def project():
    needs_gcloud()
    with FakeProject({}, secrets=["web-auth-api-key-staging", "chat-token-key-staging"]) as running:
        yield running


def test_a_secret_comes_from_standard_input_and_is_never_shown(project, tmp_path):
    done = run(project, tmp_path, SCRIPTS / "secret.sh", "staging", "web-auth-api-key", input="a value\n")
    assert done.returncode == 0, done.stderr
    assert project.versions["web-auth-api-key-staging"] == [(b"a value", "ENABLED")]
    assert "a value" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "value", "reason"), [("web-auth-api-key", "", "no value"), ("none", "x", "no secret")]
)
def test_no_value_and_no_secret_are_errors(project, tmp_path, name, value, reason):
    done = run(project, tmp_path, SCRIPTS / "secret.sh", "staging", name, input=value)
    assert done.returncode == 1
    assert reason in done.stderr
    assert project.changes(":addVersion") == []


def test_a_dry_run_adds_no_secret(project, tmp_path):
    done = run(project, tmp_path, SCRIPTS / "secret.sh", "staging", "web-auth-api-key", "--dry-run", input="x")
    assert done.returncode == 0
    assert project.changes(":addVersion") == []


def rotate(project, folder, gateway, name, *options, **more):
    return run(
        project, folder, SCRIPTS / "rotate-secret.sh", "staging", name, gateway.url, "--wait", "0", *options,
        env={"OPERATOR_TOKEN": TOKEN, "OPERATOR_URL": gateway.url}, **more,
    )  # fmt: skip


def test_rotation_disables_the_old_version_after_the_new_one_is_found_well(project, gateway, tmp_path):
    project.versions["web-auth-api-key-staging"] = [(b"old", "ENABLED")]
    done = rotate(project, tmp_path, gateway, "web-auth-api-key", input="new")
    assert done.returncode == 0, done.stderr
    assert project.versions["web-auth-api-key-staging"] == [(b"old", "DISABLED"), (b"new", "ENABLED")]
    assert re.findall(r"^(\d)  ", done.stdout, re.MULTILINE) == ["1", "2", "3", "4", "5"]


def test_a_rotation_that_is_not_well_stops_and_goes_back(project, gateway, tmp_path):
    project.versions["web-auth-api-key-staging"] = [(b"old", "ENABLED")]
    gateway.stop()
    done = rotate(project, tmp_path, gateway, "web-auth-api-key", input="new")
    assert done.returncode == 1
    assert project.versions["web-auth-api-key-staging"] == [(b"old", "ENABLED"), (b"new", "DISABLED")]


def test_the_chats_key_keeps_its_predecessor(project, gateway, tmp_path):
    project.versions["chat-token-key-staging"] = [(b"second,first", "ENABLED")]
    done = rotate(project, tmp_path, gateway, "chat-token-key", "--generate")
    assert done.returncode == 0, done.stderr
    new, old = project.versions["chat-token-key-staging"][-1][0].decode().split(",")
    assert (len(new), old) == (64, "second")
    assert new not in done.stdout + done.stderr


# backup.sh and restore.sh


def test_a_backup_is_made_and_listed(project, tmp_path):
    done = run(project, tmp_path, SCRIPTS / "backup.sh", "staging", "before a large change")
    assert done.returncode == 0, done.stderr
    assert [backup["description"] for backup in project.backups] == ["before a large change"]
    assert "SUCCESSFUL" in done.stdout
    assert "before a large change" in run(project, tmp_path, SCRIPTS / "backup.sh", "staging", "--list").stdout
    assert run(project, tmp_path, SCRIPTS / "backup.sh", "staging", "--dry-run").returncode == 0
    project.database = "SUSPENDED"
    refused = run(project, tmp_path, SCRIPTS / "backup.sh", "staging")
    assert (refused.returncode, "SUSPENDED" in refused.stderr) == (1, True)
    assert len(project.backups) == 1


@pytest.fixture
def restorable(own_url, tmp_path):
    """Return a project with a backup, and what serves it."""
    servers = {
        name: Server(name, DATABASE_URL=own_url, ENVIRONMENT="staging", OPERATOR_IAM="true")
        for name in ("gateway", "migrate")
    }
    families = {"gateway": "gateway", "user": "user", "operator": "gateway", "migrate": "migrate", "health": "health"}
    names = {family: f"liftlog-{family}-staging" for family in families}
    with StandIn({names[family]: f"{package}-1.zip" for family, package in families.items()}) as running:
        running.variables = running.install(tmp_path)
        running.urls = {names["operator"]: servers["gateway"].url, names["migrate"]: servers["migrate"].url}
        running.backups = [{"id": "7", "status": "SUCCESSFUL"}, {"id": "8", "status": "FAILED"}]
        yield running
    for server in servers.values():
        server.stop()


def restore(cloud, folder, *arguments, **more):
    return run(cloud, folder, SCRIPTS / "restore.sh", "staging", *arguments, env=cloud.variables, **more)


def closed(cloud):
    return {name for name in cloud.services if any("maintenance" in revision for revision in cloud.traffic(name))}


PUBLIC = ["liftlog-gateway-staging", "liftlog-user-staging"]


def test_a_restore_closes_restores_verifies_and_opens(restorable, tmp_path):
    done = restore(restorable, tmp_path, "7", input="yes\n")
    assert done.returncode == 0, done.stderr
    assert restorable.restored == ["7"]
    assert restorable.closed_when_restored == PUBLIC
    assert len(restorable.backups) == 3  # one of what there was
    assert closed(restorable) == set()
    assert [restorable.traffic(name) for name in PUBLIC] == [{f"{name}-00001-abc": 100} for name in PUBLIC]
    assert not any(restorable.maintenance.values())  # nor will a later revision refuse anybody
    assert restorable.job == "ENABLED"


def test_nobody_says_that_the_data_is_right_so_it_stays_closed(restorable, tmp_path):
    done = restore(restorable, tmp_path, "7", input="")
    assert done.returncode == 1
    assert "CLOSED" in done.stderr
    assert closed(restorable) == set(PUBLIC)
    assert restorable.job == "PAUSED"
    for script in ("rollback.sh", "deploy.sh"):  # neither opens it by mistake
        arguments = ["latest", "--dist", str(an_empty_list(tmp_path))] if script == "deploy.sh" else []
        refused = run(restorable, tmp_path, SCRIPTS / script, "staging", *arguments, env=restorable.variables)
        assert "restore.sh staging --open" in refused.stderr, refused.stderr
    assert restore(restorable, tmp_path, "--open").returncode == 0
    assert closed(restorable) == set()


def an_empty_list(folder):
    (folder / "manifest.json").write_text('{"functions": {}}')
    return folder


def test_a_restore_that_fails_stays_closed_and_can_be_started_again(restorable, tmp_path):
    restorable.restore_fails = True
    assert restore(restorable, tmp_path, "7", "--yes").returncode == 1
    assert closed(restorable) == set(PUBLIC)
    restorable.restore_fails = False
    assert restore(restorable, tmp_path, "7", "--yes", "--without-backup").returncode == 0
    assert closed(restorable) == set()
    assert restorable.traffic("liftlog-user-staging") == {"liftlog-user-staging-00001-abc": 100}


@pytest.mark.parametrize("backup", ["8", "9"])
def test_a_backup_that_is_not_whole_changes_nothing(restorable, tmp_path, backup):
    done = restore(restorable, tmp_path, backup, "--yes")
    assert done.returncode == 1
    assert restorable.changes("^(PUT|DELETE)") == []


def test_a_dry_run_restores_nothing(restorable, tmp_path):
    done = restore(restorable, tmp_path, "7", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "sql backups restore 7" in done.stdout
    assert restorable.changes("^(PUT|DELETE)") == []
    assert (restorable.restored, restorable.job) == ([], "ENABLED")


def test_a_closed_function_answers_503_to_all_but_its_health(own_url):
    server = Server("gateway", DATABASE_URL=own_url, ENVIRONMENT="staging", MAINTENANCE="true", OPERATOR_TOKEN=TOKEN)
    try:
        ask = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"]
        user = f"{server.url}/user/{uuid4()}"
        paths = ([user], ["-X", "POST", f"{server.url}/v2/user/create"], [f"{server.url}/"], [f"{server.url}/health"])
        answers = [subprocess.run([*ask, *path], capture_output=True, text=True, check=True).stdout for path in paths]
        assert answers == ["503", "503", "503", "200"]
    finally:
        server.stop()


def test_what_is_closed_is_what_the_manifest_calls_public():
    manifest = yaml.safe_load((ROOT / "functions" / "manifest.yaml").read_text())["functions"]
    private = {name for name, row in manifest.items() if row["access"] == "private"}
    assert private | {"operator", "health"} == traffic.PRIVATE


# plan-review


def plan(*changes):
    return {
        "format_version": "1.2",
        "resource_changes": [
            {
                "address": address, "type": address.split(".")[0], "mode": "managed",
                "change": {"actions": actions},
            }
            for address, actions in changes
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("actions", "code"),
    [
        (["no-op"], 0), (["create"], 0), (["update"], 0), (["read"], 0),
        (["delete"], 1), (["delete", "create"], 1), (["create", "delete"], 1),
    ],
)  # fmt: skip
def test_a_plan_that_destroys_is_stopped(tmp_path, actions, code):
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan(("google_sql_database.main", actions))))
    done = subprocess.run([SCRIPTS / "plan-review", file], capture_output=True, text=True, check=False)
    assert done.returncode == code
    if code:
        assert "!! " in done.stdout
        assert "--allow 'google_sql_database.main'" in done.stderr
        allowed = [SCRIPTS / "plan-review", file, "--allow", "google_sql_database.main"]
        assert subprocess.run(allowed, capture_output=True, check=False).returncode == 0


def test_a_plan_as_terraform_writes_it(tmp_path):
    """With a resource that is terraform's own, and needs no provider."""
    terraform = shutil.which("terraform") or ""
    if not terraform:
        reason = "terraform is not installed: plan-review is NOT tested with a real plan"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    for number, command in ((1, ["init"]), (1, ["apply", "-auto-approve"]), (2, ["plan", "-out=next.tfplan"])):
        (tmp_path / "main.tf").write_text(f'resource "terraform_data" "it" {{\n  triggers_replace = {number}\n}}\n')
        subprocess.run([terraform, f"-chdir={tmp_path}", *command], check=True, capture_output=True)
    done = subprocess.run(
        [SCRIPTS / "plan-review", tmp_path / "next.tfplan", f"--terraform-folder={tmp_path}"],
        capture_output=True, text=True, check=False, env=os.environ | {"TERRAFORM": terraform},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "replace  terraform_data.it" in done.stdout


@pytest.mark.parametrize(
    "kind",
    [
        "google_sql_database_instance",
        "google_sql_database",
        "google_sql_user",
        "google_storage_bucket",
        "google_secret_manager_secret",
        "google_compute_global_address",  # what DNS names
        "google_compute_url_map",
    ],
)
def test_data_and_what_the_world_knows_cannot_be_made_again(kind):
    (change,) = plan_review.destructive(plan((f"{kind}.a", ["delete"])))
    assert change.is_irreplaceable


def test_what_cannot_be_made_again_comes_first():
    found = plan_review.destructive(
        plan(("google_project_service.a", ["delete"]), ("google_sql_database_instance.z", ["delete", "create"]))
    )
    assert [str(change) for change in found] == [
        "!! replace  google_sql_database_instance.z", "   destroy  google_project_service.a",
    ]  # fmt: skip


# scheduler


def schedule(scheduler, action, *options, **environment):
    return subprocess.run(
        [sys.executable, "-m", "scripts.scheduler", action, *options],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={"PATH": "/usr/bin:/bin", "CLOUD_SCHEDULER_ENDPOINT": scheduler.url} | environment,
    )  # fmt: skip


def test_the_job_is_shown_paused_resumed_and_run():
    with FakeScheduler() as scheduler:
        job = {"CLEANUP_JOB": FakeScheduler.NAME}
        assert "state         ENABLED" in schedule(scheduler, "status", **job).stdout
        assert "would pause" in schedule(scheduler, "pause", "--dry-run", **job).stdout
        assert scheduler.state == "ENABLED"
        assert "state         PAUSED" in schedule(scheduler, "pause", **job).stdout
        assert "state         ENABLED" in schedule(scheduler, "resume", "--job", FakeScheduler.NAME).stdout
        assert schedule(scheduler, "run", **job).returncode == 0
        assert scheduler.runs == 1
        scheduler.fails = True
        assert "Cloud Scheduler" in schedule(scheduler, "status", **job).stderr
    assert "CLEANUP_JOB is not set" in schedule(scheduler, "status").stderr


# doctor.sh


def started(tmp_path, **environment):
    """Return the causes that doctor sees in what a gateway writes when somebody asks whether it is ready."""
    log = tmp_path / "log"
    with log.open("wb") as stdout:
        server = Server("gateway", stdout=stdout, ENVIRONMENT="staging", **environment)
        try:
            for path in ("/health/ready", "/metrics/summary"):
                subprocess.run(["curl", "-s", "-o", "/dev/null", server.url + path], check=True)
        finally:
            server.stop()
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return doctor.causes([{"jsonPayload": line} for line in lines if line["severity"] == "ERROR"])


def test_a_lost_database_is_named(tmp_path):
    (first, *_) = started(tmp_path, DATABASE_URL=f"postgresql://a:b@127.0.0.1:{free_port()}/x", OPERATOR_IAM="true")
    assert first.startswith("database: cannot connect")


def test_a_secret_that_may_not_be_read_is_named(tmp_path, database_url):
    with FakeSecretManager() as manager:
        manager.status = 403
        found = started(
            tmp_path, DATABASE_URL=database_url, GCP_PROJECT_ID=FakeSecretManager.PROJECT,
            SECRET_MANAGER_ENDPOINT=manager.url,
        )  # fmt: skip
    assert found[0].startswith("secret: Secret Manager: operator-token-staging")


def test_a_missing_variable_is_named(tmp_path):
    found = started(tmp_path, DATABASE_URL="", OPERATOR_IAM="true")
    assert any(cause.startswith("variable: ") and "is not set" in cause for cause in found), found


def test_an_import_that_fails_is_named(tmp_path):
    (tmp_path / "main.py").write_text("import no_such_module\n")
    ran = subprocess.run(
        [sys.executable, "-m", "functions_framework", "--target", "x", "--source", tmp_path / "main.py"],
        capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "PORT": str(free_port())},
    )  # fmt: skip
    assert doctor.explain(ran.stderr).startswith("import: ModuleNotFoundError: No module named 'no_such_module'")


def test_doctor_ticks_what_is_well_and_explains_the_rest(own_url, tmp_path):
    needs_gcloud()
    manifest = yaml.safe_load((ROOT / "functions" / "manifest.yaml").read_text())["functions"]
    secrets = {f"{secret}-staging" for row in manifest.values() for secret in row["secrets"]}
    names = {"gateway": "liftlog-gateway-staging", "metrics": "liftlog-metrics-staging"}
    server = Server("gateway", DATABASE_URL=own_url, ENVIRONMENT="staging", OPERATOR_IAM="true")
    try:
        with FakeProject(dict.fromkeys(names.values(), "a.zip"), secrets=sorted(secrets)) as project:
            project.urls = {names["gateway"]: server.url}
            project.apis = re.findall(r'"(\w+\.googleapis\.com)"', (ROOT / "terraform" / "apis.tf").read_text())
            accounts = [f"liftlog-{family}-stg@a-project.iam.gserviceaccount.com" for family in names]
            for secret in secrets:
                project.versions[secret] = [(b"x", "ENABLED")]
                project.readers[secret] = accounts
            complete = dict.fromkeys(("ENVIRONMENT", "GCP_PROJECT_ID", "INSTANCE_CONNECTION_NAME"), "x")
            for function in project.functions.values():
                function["serviceConfig"]["environmentVariables"] = dict(complete)
            # What is broken:
            project.is_billed = False
            project.database_clients = accounts[:1]
            project.versions["openai-api-key-staging"] = [(b"x", "DISABLED")]
            project.readers["operator-token-staging"] = accounts[:1]
            del project.functions[names["metrics"]]["serviceConfig"]["environmentVariables"]["GCP_PROJECT_ID"]
            project.database = "MAINTENANCE"
            project.quotas["BACKEND_SERVICES"] = (17, 20)
            project.set_public(names["gateway"])
            project.log = [{"textPayload": "ModuleNotFoundError: No module named 'x'", "insertId": "1"}]
            done = run(project, tmp_path, SCRIPTS / "doctor.sh", "staging")
    finally:
        server.stop()
    assert done.returncode == 1, done.stderr
    boxes = dict(re.findall(r"^\[(?:x| )\] ([^:\n]+)(?:: (.*))?$", done.stdout, re.MULTILINE))
    ticked = set(re.findall(r"^\[x\] (.+)$", done.stdout, re.MULTILINE))
    assert ticked == {
        "GCP project accessible", "APIs enabled", "Functions deployed", "Cleanup scheduled", "Load balancer configured",
        "Service ready", *(f"Secret {s.removesuffix('-staging')}" for s in secrets),
    } - {"Secret openai-api-key", "Secret operator-token"}  # fmt: skip
    assert boxes["Secret openai-api-key"].startswith("no version is enabled")
    assert boxes["Secret operator-token"].startswith("liftlog-metrics-stg@a-project.iam.gserviceaccount.com may not")
    assert "gcloud billing projects link a-project" in boxes["Billing enabled"]
    assert boxes["Functions may reach the database"].startswith("liftlog-metrics-stg@a-project.iam.gserviceaccount.com")
    assert boxes["Private functions have callers"].startswith("nobody may call liftlog-metrics-staging")
    assert boxes["Settings complete"] == "liftlog-metrics-staging has no GCP_PROJECT_ID"
    assert boxes["Public functions open"].startswith("liftlog-gateway-staging asks everybody for an identity (scripts/")
    assert boxes["Quotas of the project"].startswith("BACKEND_SERVICES 17 of 20 used (docs/playbooks/quota-use.md")
    assert "MAINTENANCE" in boxes["Database instance running"]
    assert boxes["No known cause in the logs"].startswith("import: ModuleNotFoundError")
    assert boxes["Last backup succeeded"].startswith("there is none")
    assert boxes["A release to roll back to"].startswith("no release is recorded yet")
