"""Who may deploy: one workflow, of one branch, for one environment, may start a build; no build makes an owner."""

import re

import pytest

from tests.terraform.planning import PROJECT, bootstrap

REPOSITORY = "example/liftlog-backend"
GITHUB = (f"github_repository={REPOSITORY}", "github_repository_id=123456789")
CLAIMS = {  # https://docs.github.com/en/actions/reference/security/oidc
    "sub": f"repo:{REPOSITORY}:environment:staging",
    "repository": REPOSITORY,
    "repository_id": "123456789",
    "ref": "refs/heads/main",
    "event_name": "workflow_dispatch",
    "workflow_ref": f"{REPOSITORY}/.github/workflows/deploy.yml@refs/heads/main",
    "environment": "staging",
}


def lets_in(plan, claims):
    """Whether the provider takes a token: its condition in CEL, which for these operators reads like Python."""
    condition = plan.one("google_iam_workload_identity_pool_provider")["attribute_condition"]
    expression = re.sub(r"assertion\.(\w+)", r"claims['\1']", condition.replace("&&", "and"))
    try:
        return bool(eval(expression, {"claims": claims}))  # noqa: S307 - ours
    except KeyError:  # a claim that is not there is an error, and an error lets nobody in
        return False


def roles_of(plan, account):
    """What an account of the bootstrap may do in the project."""
    return {
        values["role"]
        for address, values in plan.all("google_project_iam_member").items()
        if address.startswith(f"google_project_iam_member.{account}")
    }


def test_the_workflow_of_the_branch_is_let_in(terraform):
    plan = bootstrap(terraform, *GITHUB)
    assert lets_in(plan, CLAIMS)
    assert lets_in(plan, CLAIMS | {"environment": "production"})


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("repository_id", "987654321"),  # somebody took the name
        ("ref", "refs/heads/a-pull-request"),
        ("ref", "refs/tags/main"),
        ("event_name", "pull_request_target"),
        ("workflow_ref", f"{REPOSITORY}/.github/workflows/another.yml@refs/heads/main"),
        ("environment", "playground"),
        ("environment", None),  # a job without one
    ],
)
def test_any_other_workflow_is_not(terraform, claim, value):
    claims = CLAIMS | {claim: value}
    if value is None:
        del claims[claim]
    assert not lets_in(bootstrap(terraform, *GITHUB), claims)


def test_a_project_of_staging_trusts_nothing_of_production(terraform):
    plan = bootstrap(terraform, *GITHUB, 'environments=["staging"]')
    assert lets_in(plan, CLAIMS)
    assert not lets_in(plan, CLAIMS | {"environment": "production"})
    assert "production" not in str(plan.document["planned_values"])


def test_each_environment_is_a_principal_of_its_own(terraform):
    plan = bootstrap(terraform, *GITHUB)
    changes = {entry["address"]: entry["change"] for entry in plan.document["resource_changes"]}
    for environment, short in (("staging", "stg"), ("production", "prod")):
        address = f'google_service_account_iam_member.github_is["{environment}"]'
        assert changes[address]["after"]["role"] == "roles/iam.workloadIdentityUser"
        account = plan.all("google_service_account")[f'google_service_account.github["{environment}"]']
        assert account["account_id"] == f"liftlog-github-{short}"
    (resource,) = (
        resource
        for resource in plan.document["configuration"]["root_module"]["resources"]
        if resource["address"] == "google_service_account_iam_member.github_is"
    )
    assert "attribute.environment/" in (terraform.folder / "bootstrap" / "github.tf").read_text()
    assert "google_iam_workload_identity_pool.github" in str(resource["expressions"]["member"]["references"])


def test_github_may_start_a_build_and_nothing_else(terraform):
    plan = bootstrap(terraform, *GITHUB)
    custom = {
        values["role_id"]: set(values["permissions"]) for values in plan.all("google_project_iam_custom_role").values()
    }
    assert custom["liftlogStartsBuilds"] == {
        "cloudbuild.builds.create", "cloudbuild.builds.get", "serviceusage.services.use",
    }  # fmt: skip
    assert custom["liftlogSubmitsSource"] == {"storage.buckets.get", "storage.objects.create", "storage.objects.get"}
    members = plan.all("google_project_iam_member")
    assert {address.partition("[")[0] for address in members if "github" in address} == {
        "google_project_iam_member.github_starts_builds"
    }
    as_deployer = [
        values["role"]
        for address, values in plan.all("google_service_account_iam_member").items()
        if "github_builds" in address
    ]
    assert as_deployer == ["roles/iam.serviceAccountUser"] * 2


def test_the_deployer_grants_what_functions_need_and_makes_nobody_an_owner(terraform, production, staging):
    plan = bootstrap(terraform)
    admin = plan.all("google_project_iam_member")["google_project_iam_member.deployer_grants"]
    assert admin["role"] == "roles/resourcemanager.projectIamAdmin"
    (condition,) = admin["condition"]
    found = re.fullmatch(
        r"api\.getAttribute\('iam\.googleapis\.com/modifiedGrantsByRole', \[\]\)\.hasOnly\(\[(.*)\]\)",
        condition["expression"],
    )
    assert found is not None
    allowed = set(re.findall(r"'(roles/[\w.]+)'", found[1]))
    granted = {v["role"] for p in (production, staging) for v in p.all("google_project_iam_member").values()}
    assert granted <= allowed
    assert not [role for role in allowed if re.search(r"owner|editor|[aA]dmin", role)]
    assert "roles/resourcemanager.projectIamAdmin" not in roles_of(plan, "deployer[")
    assert not {"roles/owner", "roles/editor"} & roles_of(plan, "deployer[")


def test_the_deployer_may_make_identity_tokens_of_its_own(terraform):
    """https://github.com/kubernetes/k8s.io/pull/9953: in a build the metadata server makes none otherwise."""
    grants = bootstrap(terraform).all("google_service_account_iam_member")
    own = grants["google_service_account_iam_member.deployer_identifies_itself"]
    assert own["role"] == "roles/iam.serviceAccountOpenIdTokenCreator"
    assert own.get("member") in {None, f"serviceAccount:liftlog-deployer@{PROJECT}.iam.gserviceaccount.com"}


def test_what_may_be_put_into_the_sources_bucket_is_not_public(terraform):
    bucket = bootstrap(terraform).all("google_storage_bucket")["google_storage_bucket.submitted"]
    assert (bucket["uniform_bucket_level_access"], bucket["public_access_prevention"]) == (True, "enforced")
