"""The first release, from an empty project to smoke.sh, with exactly the roles that the bootstrap gives.

It is here, since it needs plans; gcloud is the real one, and the project refuses what no planned binding allows.
"""

import json

import pytest

from scripts.package import families
from tests.scripts.fake_cloud import PROJECT, needs_gcloud, run
from tests.scripts.guarded_project import DEPLOYER, GuardedProject
from tests.servers import Servers
from tests.terraform.planning import ROOT, Plan, bootstrap

SCRIPTS = ROOT / "scripts"
FAMILIES = families(ROOT)


@pytest.fixture(scope="module")
def planned(terraform):
    """Return the plan of a staging whose operator is the deployer, as the runbook says."""
    return Plan(terraform.plan("staging", project=PROJECT, operators=[f"serviceAccount:{DEPLOYER}"]))


@pytest.fixture
def project(terraform, new_database):
    """Return the project after the bootstrap, and the code that will be released, on an empty database."""
    needs_gcloud()
    of_bootstrap = bootstrap(terraform, f"project={PROJECT}")
    with (
        GuardedProject(of_bootstrap) as cloud,
        Servers(new_database(), ENVIRONMENT="staging", OPERATOR_IAM="true") as servers,
    ):
        named = {f"liftlog-{family}-staging": servers[family].url for family in ("gateway", "migrate")}
        cloud.real = named | {"liftlog-operator-staging": named["liftlog-gateway-staging"]}
        yield cloud


@pytest.fixture
def dist(tmp_path):
    """Return the folder of packages that are to be released."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for family in FAMILIES:
        (folder / f"{family}.zip").write_bytes(family.encode())
    listed = {family: {"object": f"{family}-1.zip"} for family in FAMILIES}
    (folder / "manifest.json").write_text(json.dumps({"functions": listed}))
    return folder


def deploy(project, tmp_path, dist):
    command = (SCRIPTS / "deploy.sh", "staging", "v1.0.0", "--dist", dist, "--watch-minutes", "0.001")  # one look
    return run(project, tmp_path, *command)


def test_from_an_empty_project_to_smoke(project, planned, dist, tmp_path):
    pinned = run(project, tmp_path, "python3", "-m", "scripts.release", "pin", "staging", cwd=ROOT)
    assert pinned.returncode == 0, pinned.stderr  # the pipeline's step before the first plan: there is no bucket yet
    assert project.apply(planned) == []
    secret = run(project, tmp_path, SCRIPTS / "secret.sh", "staging", "openai-api-key", input="a key")
    assert secret.returncode == 0, secret.stderr
    released = deploy(project, tmp_path, dist)
    assert released.returncode == 0, released.stdout + released.stderr
    assert project.is_open("liftlog-gateway-staging")
    assert project.traffic("liftlog-gateway-staging") == {"liftlog-gateway-staging-00002-abc": 100}
    smoke = run(
        project, tmp_path, SCRIPTS / "smoke.sh", project.urls["liftlog-gateway-staging"], "--environment=staging"
    )
    assert smoke.returncode == 0, smoke.stdout + smoke.stderr
    assert project.refusals == []


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        ("roles/run.admin", "run.services"),
        ("roles/cloudfunctions.admin", "cloudfunctions.functions"),
        ("roles/storage.admin", "storage.objects"),
        ("roles/iam.serviceAccountOpenIdTokenCreator", "an identity token"),
        ("roles/run.invoker", "run.routes.invoke"),
    ],
)
def test_a_role_that_is_missing_stops_it(project, planned, dist, tmp_path, role, reason):
    """So that the test above does not pass because the project lets everything through."""
    assert project.apply(planned) == []
    project.policy.drop(role)
    assert deploy(project, tmp_path, dist).returncode == 1
    assert any(reason in refusal for refusal in project.refusals)


@pytest.mark.parametrize(
    ("role", "address"),
    [
        ("roles/cloudsql.admin", "google_sql_database_instance.main"),
        ("roles/iam.serviceAccountUser", 'module.function["gateway"].google_cloudfunctions2_function.this[0]'),
        ("roles/resourcemanager.projectIamAdmin", 'module.function["gateway"].google_project_iam_member.connects'),
    ],
)
def test_a_role_that_is_missing_stops_terraform(terraform, planned, role, address):
    with GuardedProject(bootstrap(terraform, f"project={PROJECT}")) as project:
        project.policy.drop(role)
        assert address in {refusal.partition(": ")[0] for refusal in project.apply(planned)}


def test_production_may_be_made_too(terraform, production):
    with GuardedProject(bootstrap(terraform, f"project={PROJECT}")) as project:
        assert project.policy.refused(f"serviceAccount:{DEPLOYER}", production) == []


def test_whoever_builds_may_do_so_before_there_is_anything_to_build(planned):
    waits_for = planned.document["configuration"]["root_module"]["module_calls"]["function"]["depends_on"]
    grants = [address for address, kind, _ in planned.resources if "_iam_member" in kind and ".build_" in address]
    assert len(grants) == 4
    assert set(grants) <= set(waits_for)


def test_log_metrics_have_the_ten_minutes_that_google_asks_for(planned):
    """Its words: "it could take up to 10 minutes to become available" (terraform-provider-google #11102)."""
    assert planned.one("time_sleep")["create_duration"] == "600s"
