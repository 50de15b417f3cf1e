"""A way to the database for data that moves, in and back, only while it is asked for, and without an open door."""

import pytest

from tests.scripts.fake_cloud import PROJECT
from tests.scripts.guarded_project import DEPLOYER, GuardedProject
from tests.terraform.planning import DOMAIN, Plan, bootstrap


@pytest.fixture(scope="module")
def moving(terraform):
    return Plan(terraform.plan("production", domain=DOMAIN, moving=True, logical_decoding=True))


def flags(plan):
    listed = plan.one("google_sql_database_instance")["settings"][0]["database_flags"]
    return {flag["name"]: flag["value"] for flag in listed}


def test_there_is_none_unless_it_is_asked_for(production, staging):
    for plan in (production, staging):
        assert "google_storage_bucket.dumps[0]" not in plan.all("google_storage_bucket")
        assert plan.all("google_compute_network_peering_routes_config") == {}
        assert "cloudsql.logical_decoding" not in flags(plan)


def test_dumps_lie_where_nobody_else_reads_them_and_not_for_long(moving):
    bucket = moving.all("google_storage_bucket")["google_storage_bucket.dumps[0]"]
    assert (bucket["public_access_prevention"], bucket["uniform_bucket_level_access"]) == ("enforced", True)
    assert bucket["lifecycle_rule"][0]["condition"][0]["age"] == 7
    assert bucket["soft_delete_policy"][0]["retention_duration_seconds"] == 0
    assert not bucket["versioning"]
    grants = {
        address: grant["role"]
        for address, grant in moving.all("google_storage_bucket_iam_member").items()
        if "dumps" in address
    }
    assert list(grants.values()) == ["roles/storage.objectUser"]


def test_the_database_can_be_followed_over_exchanged_routes(moving):
    assert flags(moving)["cloudsql.logical_decoding"] == "on"
    routes = moving.one("google_compute_network_peering_routes_config")
    assert (routes["export_custom_routes"], routes["import_custom_routes"]) == (True, True)


def test_the_database_still_has_no_public_address(moving):
    (address,) = moving.one("google_sql_database_instance")["settings"][0]["ip_configuration"]
    assert address["ipv4_enabled"] is False


def test_the_deployer_may_make_it(terraform, moving):
    with GuardedProject(bootstrap(terraform, f"project={PROJECT}")) as project:
        assert project.policy.refused(f"serviceAccount:{DEPLOYER}", moving) == []
