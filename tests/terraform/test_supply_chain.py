"""What may run: images that our build accounts have built, and no others."""

import re

import pytest

from tests.terraform.planning import PROJECT, REGION, bootstrap

REGISTRY = f"{REGION}-docker.pkg.dev/{PROJECT}"


def admits(policy, image):
    """Whether an image may run. In an allow-list `**` stands for any path, `*` for one without a slash."""
    for pattern in policy["admission_whitelist_patterns"]:
        parts = re.split(r"(\*\*|\*)", pattern["name_pattern"])
        expression = "".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part)) for part in parts)
        if re.fullmatch(expression, image.partition("@")[0].partition(":")[0]):
            return True
    return policy["default_admission_rule"][0]["evaluation_mode"] == "ALWAYS_ALLOW"


@pytest.fixture(scope="module")
def policy(terraform):
    return bootstrap(terraform).one("google_binary_authorization_policy")


@pytest.mark.parametrize(
    ("image", "may_run"),
    [
        (f"{REGISTRY}/liftlog-production/liftlog-ai-chat-production:ai_chat-0a1b", True),
        (f"{REGISTRY}/liftlog-staging/liftlog--example/us--central1/liftlog--user--staging:latest", True),
        ("us-docker.pkg.dev/cloudrun/container/hello", True),
        ("us-docker.pkg.dev/cloudrun/container/job", False),
        (f"{REGISTRY}/somebody-elses/liftlog-ai-chat-production:ai_chat-0a1b", False),
        ("us-central1-docker.pkg.dev/another-project/liftlog-production/image:1", False),
        ("docker.io/library/python:3.11", False),
    ],
)
def test_only_images_of_our_repositories_run(policy, image, may_run):
    assert policy["default_admission_rule"][0]["enforcement_mode"] == "ENFORCED_BLOCK_AND_AUDIT_LOG"
    assert admits(policy, image) == may_run


def test_every_function_asks_the_project_s_policy(production, staging):
    for plan in (production, staging):
        for address, function in plan.all("google_cloudfunctions2_function").items():
            assert function["service_config"][0]["binary_authorization_policy"] == "default", address
        for address, service in plan.all("google_cloud_run_v2_service").items():
            assert service["binary_authorization"][0]["use_default"] is True, address


def test_our_images_lie_in_a_repository_that_the_policy_allows(policy, production):
    repository = production.one("google_artifact_registry_repository")
    image = f"{repository['location']}-docker.pkg.dev/{PROJECT}/{repository['repository_id']}/liftlog-user"
    assert admits(policy, image)
