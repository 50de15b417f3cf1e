"""What is watched beside the service levels: how fast budgets burn, what ends slowly, what comes from outside."""

import re
from collections.abc import Callable
from statistics import mean

import pytest

from tests.log_filters import select
from tests.terraform.planning import PROJECT, ROOT, bootstrap

HOUR, DAY = 3600, 86400
CONFIGURATION = (ROOT / "terraform" / "watch.tf").read_text()
WATCHED = {  # policy: the metric or the log metric that it looks at
    "database_cpu": "cloudsql.googleapis.com/database/cpu/utilization",
    "database_disk": "cloudsql.googleapis.com/database/disk/utilization",
    "backup_failed": "/backups_failed",
    "certificate": "monitoring.googleapis.com/uptime_check/time_until_ssl_cert_expires",
    "armor_denials": "networksecurity.googleapis.com/https/request_count",
    "pool_exhausted": "/pool_exhausted",
}


def policy(plan, name):
    policies = plan.all("google_monitoring_alert_policy")
    return (
        policies.get(f'google_monitoring_alert_policy.watch["{name}"]')
        or policies[f'google_monitoring_alert_policy.service_level["{name}"]']
    )


def thresholds(watched):
    return [condition["condition_threshold"][0] for condition in watched["conditions"]]


def windows(watched):
    return [int(one["aggregations"][0]["alignment_period"].removesuffix("s")) for one in thresholds(watched)]


def goals(plan):
    return {slo["slo_id"]: slo["goal"] for slo in plan.all("google_monitoring_slo").values()}


# Burn rates: Site Reliability Workbook, "Alerting on SLOs", table 5-8


@pytest.mark.parametrize(
    ("name", "rate", "long", "spent"), [("fast", 14.4, HOUR, 0.02), ("slow", 3, DAY, 0.1)], ids=["fast", "slow"]
)
def test_errors_that_burn_the_budget_are_told_over_two_windows(production, name, rate, long, spent):
    watched = policy(production, f"burn_requests_{name}")
    assert watched["combiner"] == "AND"
    assert windows(watched) == [long, long // 12]
    for threshold in thresholds(watched):
        assert threshold["comparison"] == "COMPARISON_GT"
        assert threshold["threshold_value"] == pytest.approx(rate * (1 - goals(production)["requests"]))
        assert 'response_code_class="5xx"' in threshold["filter"]
        assert "response_code_class" not in threshold["denominator_filter"]
    assert rate * long / (28 * DAY) == pytest.approx(spent, rel=0.1)


@pytest.mark.parametrize(("slo", "rate", "limit"), [("p95", 10, 200), ("p99", 5, 500)])
def test_slow_requests_that_burn_the_budget_are_told_over_two_windows(production, slo, rate, limit):
    """A share s of requests above a limit is the percentile 1 - s above it."""
    watched = policy(production, f"burn_{slo}_ms")
    assert watched["combiner"] == "AND"
    assert windows(watched) == [HOUR, HOUR // 12]
    for threshold in thresholds(watched):
        percentile = int(threshold["aggregations"][0]["cross_series_reducer"].removeprefix("REDUCE_PERCENTILE_"))
        assert 1 - percentile / 100 == pytest.approx(rate * (1 - goals(production)[slo]))
        assert threshold["threshold_value"] == limit
    assert f"{rate} times" in watched["display_name"]


# A region of the uptime check that has troubles of its own


def fires(watched, regions):
    """Whether a policy fires for what each region of the check sees: 1 for well, 0 for failing, always."""
    compare = {"COMPARISON_LT": float.__lt__, "COMPARISON_GT": float.__gt__}
    reduce: dict[str, Callable[[list[int]], float]] = {
        "REDUCE_MEAN": mean,
        "REDUCE_COUNT_FALSE": lambda values: sum(not value for value in values),
    }
    met = [
        compare[one["comparison"]](
            float(reduce[one["aggregations"][0]["cross_series_reducer"]](regions)), float(one["threshold_value"])
        )
        for one in thresholds(watched)
    ]
    return all(met) if watched["combiner"] == "AND" else any(met)


@pytest.mark.parametrize("name", ["health_percent", "burn_health"])
@pytest.mark.parametrize(
    ("regions", "wakes"), [([1] * 6, False), ([0] + [1] * 5, False), ([0, 0] + [1] * 4, True), ([0] * 6, True)],
    ids=["all-well", "one-fails", "two-fail", "all-fail"],
)  # fmt: skip
def test_a_single_failing_region_wakes_nobody(production, name, regions, wakes):
    watched = policy(production, name)
    assert watched["notification_channels"][-1] == f"projects/{PROJECT}/notificationChannels/1"
    assert fires(watched, regions) == wakes


# The rest


@pytest.mark.parametrize(("name", "metric"), WATCHED.items())
def test_what_ends_slowly_or_comes_from_outside_is_watched(production, name, metric):
    (threshold,) = thresholds(policy(production, name))
    read = threshold.get("filter", CONFIGURATION)  # the uptime check's own id is known when it is made
    assert re.search(rf'metric\.type="[^"]*{re.escape(metric)}"', read) or f'"{metric}' in read.replace("\\", "")
    assert policy(production, name)["documentation"][0]["links"][0]["url"].endswith(f"/{name.replace('_', '-')}.md")


def test_a_certificate_is_told_of_two_weeks_before_its_end(production):
    (threshold,) = thresholds(policy(production, "certificate"))
    assert (threshold["comparison"], threshold["threshold_value"]) == ("COMPARISON_LT", 14)  # days


def test_only_a_load_balancer_has_denials(staging):
    addresses = staging.all("google_monitoring_alert_policy")
    assert not [address for address in addresses if "armor" in address]
    assert [address for address in addresses if "database_cpu" in address]


@pytest.mark.parametrize(("status", "counts"), [("STATUS_FAILED", True), ("STATUS_SUCCEEDED", False)])
def test_a_failed_backup_is_read_in_the_audit_log(production, status, counts):
    """A line as Cloud SQL's documentation shows it: "View audit logs" of automated backups."""
    entry = {
        "resource": {
            "type": "cloudsql_database",
            "labels": {"database_id": f"{PROJECT}:liftlog-user-data-production", "region": "us-central"},
        },
        "logName": f"projects/{PROJECT}/logs/cloudaudit.googleapis.com%2Fsystem_event",
        "protoPayload": {
            "methodName": "cloudsql.instances.automatedBackup",
            "metadata": {"windowStatus": status, "@type": "type.googleapis.com/speckle.AutomatedBackupEventLog"},
        },
    }
    metrics = production.all("google_logging_metric").values()
    (metric,) = [values for values in metrics if values["name"].endswith("/backups_failed")]
    assert bool(select(metric["filter"], [entry])) == counts


def test_a_quota_of_the_project_is_told_of_before_it_is_used_up(production):
    watched = production.all("google_monitoring_alert_policy")["google_monitoring_alert_policy.quota_use"]
    (condition,) = watched["conditions"][0]["condition_prometheus_query_language"]
    assert "quota_allocation_usage" in condition["query"]
    assert condition["query"].rstrip().endswith("> 0.8")


# Once per project: terraform/bootstrap


def test_who_read_a_secret_is_logged_and_lines_are_kept_for_a_while(terraform):
    plan = bootstrap(terraform)
    logged = {
        values["service"]: {one["log_type"] for one in values["audit_log_config"]}
        for values in plan.all("google_project_iam_audit_config").values()
    }
    for service in ("secretmanager", "cloudsql", "iam", "storage"):
        assert {"DATA_READ", "DATA_WRITE"} <= logged[f"{service}.googleapis.com"]
    bucket = plan.one("google_logging_project_bucket_config")
    assert (bucket["bucket_id"], bucket["retention_days"]) == ("_Default", 90)
    assert plan.all("google_billing_budget") == {}  # without a billing account


def test_a_budget_tells_of_itself_before_it_is_used_up(terraform):
    plan = bootstrap(terraform, "billing_account=012345-ABCDEF-678901", "budget_usd=300")
    budget = plan.one("google_billing_budget")
    assert budget["amount"][0]["specified_amount"][0] | {"nanos": None} == {
        "currency_code": "USD", "units": "300", "nanos": None,
    }  # fmt: skip
    assert len(budget["budget_filter"][0]["projects"]) == 1
    rules = {(rule["threshold_percent"], rule["spend_basis"]) for rule in budget["threshold_rules"]}
    assert (0.9, "CURRENT_SPEND") in rules
    assert (1, "FORECASTED_SPEND") in rules
