"""docs/costs.md holds what docgen/costs.py computes, from sizes that a plan really has."""

import re

import pytest
import yaml

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
    assert len(plan.all("google_compute_global_forwarding_rule")) == size.forwarding_rules
    assert len(plan.all("google_secret_manager_secret")) == size.secrets
    conditions = [c for policy in plan.all("google_monitoring_alert_policy").values() for c in policy["conditions"]]
    assert len(conditions) == size.alerts


def test_the_pipeline_is_paid_for_by_its_machine():
    """Only e2-standard-2 has free minutes; the pipeline's machine has none (cloud.google.com/build/pricing)."""
    build = yaml.safe_load((costs.ROOT / "cloudbuild.yaml").read_text())
    machine = build["options"]["machineType"].lower().replace("_", "-")
    price = costs.PRICES[f"pipeline's {machine}"]
    assert (price.usd, "none of them free" in price.unit) == (0.016, True)
    functions = manifest()
    line = next(line for line in costs.lines(functions) if line.what == "builds: the pipeline")
    assert line.staging == pytest.approx(0.016 * costs.RELEASES["staging"] * costs.PIPELINE_MINUTES)
    assert "free minutes" not in costs.PAGE.read_text().replace("no free minutes", "")


def test_every_price_says_where_and_when_it_was_read():
    for name, price in costs.PRICES.items():
        assert re.search(r"\b20\d\d$", price.source), name
        assert "/" in price.page, name


def test_the_load_balancer_has_as_many_rules_as_are_paid_for(production):
    assert len(production.one("google_compute_security_policy")["rule"]) == costs.armor_rules(manifest())


def test_the_sums_in_other_documents_are_the_page_s():
    said = costs.SUMMARY.read_text()
    assert said == costs.summed_up(said), "docs/infrastructure.md is stale: make costs"
    assert f" {costs.sums().idle:.0f} for production" in said
