"""docs/costs.md holds what docgen/costs.py computes, from sizes that a plan really has."""

import pytest

from docgen import costs
from docgen.costs import PRODUCTION, STAGING
from tests.servers import manifest


def test_the_page_is_what_the_script_computes():
    page = costs.PAGE.read_text()
    assert page == costs.filled(page), "docs/costs.md is stale: make costs"


@pytest.mark.parametrize("size", [STAGING, PRODUCTION], ids=lambda size: size.environment)
def test_the_sizes_are_those_of_the_plan(request, size):
    plan = request.getfixturevalue(size.environment)
    settings = plan.one("google_sql_database_instance")["settings"][0]
    assert settings["tier"] == size.database_tier
    assert (settings["availability_type"] == "REGIONAL") == size.database_is_regional
    assert settings["disk_size"] == size.disk_gib
    connector = plan.one("google_vpc_access_connector")
    assert (connector["machine_type"], connector["min_instances"]) == ("e2-micro", size.connector_machines)
    assert len(plan.all("google_compute_global_forwarding_rule")) == size.forwarding_rules
    assert len(plan.all("google_secret_manager_secret")) == size.secrets
    conditions = [c for policy in plan.all("google_monitoring_alert_policy").values() for c in policy["conditions"]]
    assert len(conditions) == size.alerts


def test_a_busy_connector_has_grown_to_what_the_plan_allows(production):
    assert production.one("google_vpc_access_connector")["max_instances"] == costs.BUSY_CONNECTOR_MACHINES


def test_the_load_balancer_has_as_many_rules_as_are_paid_for(production):
    assert len(production.one("google_compute_security_policy")["rule"]) == costs.armor_rules(manifest())


def test_the_sums_in_other_documents_are_the_page_s():
    said = costs.SUMMARY.read_text()
    assert said == costs.summed_up(said), "docs/infrastructure.md is stale: make costs"
    assert f" {costs.sums().idle:.0f} for production" in said
