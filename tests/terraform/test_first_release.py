"""The runbook's text, played from an empty project on, with exactly the roles that the bootstrap gives.

It is here, since it needs plans; gcloud is the real one, and the project refuses what no planned binding allows. The
commands are read from docs/runbook.md; what cannot be had or waited for here is named in `STANDS_FOR`.
"""

import json
import re
from contextlib import contextmanager

import pytest

from scripts.package import families
from tests.scripts.fake_cloud import PROJECT, REGION, needs_gcloud, programs, run
from tests.scripts.guarded_project import DEPLOYER, GuardedProject
from tests.servers import Servers
from tests.terraform.planning import ROOT, Plan, bootstrap

FAMILIES = families(ROOT)
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
BACKUP = "1700000000000"  # as the runbook has it
STANDS_FOR = {  # by this here, that of the runbook
    r"\s+# .*": "",
    r"(scripts/deploy\.sh .*)": r"\1 --dist dist --watch-minutes 0.001",  # the packages are not built anew; one look
    r"deploy\.sh staging latest": "deploy.sh staging v1.2.2",
    r"liftlog-user-staging-00005-abc": "liftlog-gateway-staging-00002-abc",  # without a domain there is one function
    r"terraform .*|.*plan-review.*": ":",  # what is planned and applied is said by `GuardedProject.apply`
}


def block(section, number=0):
    """Return the commands of a section's block, in the form in which a shell runs them here."""
    text = RUNBOOK.split(f"\n### {section}\n")[1].partition("\n##")[0]
    commands = re.findall(r"(?:^ {4}.*\n)+", text, re.MULTILINE)[number]
    for pattern, replacement in STANDS_FOR.items():
        commands = re.sub(pattern, replacement, commands)
    return re.sub(r"^ {4}", "", commands, flags=re.MULTILINE)


class Desk:
    """Where an operator sits: a clone, programs that do not wait, and the tokens that gcloud keeps."""

    def __init__(self, folder):
        self.folder = folder
        self.clone = folder / "clone"
        self.clone.mkdir()
        for entry in ROOT.iterdir():
            (self.clone / entry.name).symlink_to(entry)
        (self.clone / "dist").unlink(missing_ok=True)
        (self.clone / "dist").mkdir()
        for family in FAMILIES:
            (self.clone / "dist" / f"{family}.zip").write_bytes(family.encode())
        self.pack(1)
        waiting = programs(folder) / "sleep"
        waiting.write_text("#!/bin/sh\n")
        waiting.chmod(0o755)
        for name in ("new-key", "service-account-key.json"):
            (self.clone / name).write_text("a new value")

    def pack(self, number):
        """Let the packages be those of another release."""
        listed = {family: {"object": f"{family}-{number}.zip"} for family in FAMILIES}
        (self.clone / "dist" / "manifest.json").write_text(json.dumps({"functions": listed}))

    def run(self, project, commands, **options):
        """Run commands as a shell does that ends at the first one that fails."""
        variables = {"ENV": "staging", "REGION": REGION, "SERVICE_URL": project.urls.get("liftlog-gateway-staging", "")}
        return run(project, self.folder, "bash", "-euc", commands, cwd=self.clone, env=variables, **options)

    def play(self, project, commands, **options):
        """Run commands, each of which must end well, with what it is allowed to do. Return what they say."""
        said = ""
        for command in commands.splitlines():
            done = self.run(project, command, **options)
            assert done.returncode == 0, done.stdout + done.stderr
            assert project.refusals == []
            said += done.stdout
        return said


def plan(terraform, **variables):
    """Plan a staging whose operator is the deployer, as the runbook says."""
    return Plan(terraform.plan("staging", project=PROJECT, operators=[f"serviceAccount:{DEPLOYER}"], **variables))


@pytest.fixture(scope="module")
def planned(terraform):
    return plan(terraform)


@pytest.fixture(scope="module")
def empty(terraform, new_database, gcloud):
    """Return what makes a project after the bootstrap, and the code that will be released, on a database of its own."""
    needs_gcloud()
    of_bootstrap = bootstrap(terraform, f"project={PROJECT}")

    @contextmanager
    def project():
        with (
            GuardedProject(of_bootstrap) as cloud,
            Servers(new_database(), ENVIRONMENT="staging", OPERATOR_IAM="true") as servers,
        ):
            named = {f"liftlog-{family}-staging": servers[family].url for family in ("gateway", "migrate")}
            cloud.real = named | {"liftlog-operator-staging": named["liftlog-gateway-staging"]}
            yield cloud

    return project


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    return Desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture(scope="module")
def released(empty, planned, desk):
    """Return the project after the runbook's first release."""
    with empty() as project:
        desk.play(project, block("Quick deployment", 1))  # the pipeline pins first, when there is no bucket yet
        assert project.apply(planned) == []
        desk.play(project, block("Step 2: Create the secrets"), input="a key\n")
        desk.play(project, block("Step 4: Run the migrations"))
        assert "after" in desk.play(project, block("Step 4: Run the migrations", 1))
        yield project


def test_the_first_release_ends_in_a_service_that_is_well(released, desk):
    assert released.is_open("liftlog-gateway-staging")
    assert released.traffic("liftlog-gateway-staging") == {"liftlog-gateway-staging-00002-abc": 100}
    assert "ok   POST /user/delete 200" in desk.play(released, block("Step 5: Verify", 0).splitlines()[0])
    assert released.versions["openai-api-key-staging"] == [(b"a key", "ENABLED")]


def test_secrets_are_rotated(released, desk):
    desk.play(released, block("Rotating secrets"))
    for name in ("web-auth-api-key", "openai-api-key"):
        assert [state for _, state in released.versions[f"{name}-staging"]] == ["DISABLED", "ENABLED"], name
    assert released.versions["openai-api-key-staging"][-1][0] == b"a new value"
    assert released.versions["chat-token-key-staging"][-1][1] == "ENABLED"


def test_a_change_of_settings_serves_when_it_is_deployed_and_is_taken_back(released, terraform, desk):
    pin, *_, deploy = block("Scaling").splitlines()
    service = "liftlog-gateway-staging"
    before = released.traffic(service)
    desk.play(released, pin)
    assert released.apply(plan(terraform, max_instances={"gateway": 2})) == []
    assert (len(released.revisions[service]), released.traffic(service)) == (3, before)  # made, and tried by nobody
    desk.pack(2)
    desk.play(released, deploy)
    assert released.traffic(service) == {released.revisions[service][-1]: 100}
    assert released.revisions[service][-1] not in before
    desk.play(released, block("With the script"))
    assert released.traffic(service) == before


def test_a_restore_happens_behind_a_closed_door(released, desk):
    released.backups = [{"id": BACKUP, "status": "SUCCESSFUL"}]
    released.versions["database-password-staging"] = [(b"a password", "ENABLED")]
    served = released.traffic("liftlog-gateway-staging")
    desk.play(released, block("Database backup and restore"))
    said = desk.play(released, block("Database backup and restore", 1), input="yes\n")
    assert "the database is ready" in said
    assert [backup.get("description") for backup in released.backups] == [
        None, "before the new schema", f"before the restore of {BACKUP}"
    ]  # fmt: skip
    assert released.passwords == {"liftlog_backend": "a password"}
    assert (released.traffic("liftlog-gateway-staging"), released.job) == (served, "ENABLED")


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
def test_a_role_that_is_missing_stops_it(empty, planned, tmp_path, role, reason):
    """So that the tests above do not pass because the project lets everything through."""
    with empty() as project:
        assert project.apply(planned) == []
        project.policy.drop(role)
        assert Desk(tmp_path).run(project, block("Step 4: Run the migrations")).returncode == 1
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
