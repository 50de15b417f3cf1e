"""Somebody owns production: every alert names them, and failing health checks are told on two channels."""

import pytest

from rehearsal.terraform import PlanFailed
from tests.terraform.planning import BASICS


def test_every_alert_names_the_owner(production):
    for address, policy in production.all("google_monitoring_alert_policy").items():
        (told,) = policy["documentation"]
        assert told["content"].startswith(f"Owner: {BASICS['owner']}."), address


def test_failing_health_checks_are_told_on_two_channels(production):
    health = production.all("google_monitoring_alert_policy")[
        'google_monitoring_alert_policy.service_level["health_percent"]'
    ]
    assert BASICS["paging_channels"][0] in health["notification_channels"]  # the one that wakes somebody up
    assert production.all("google_monitoring_notification_channel")  # and mail


@pytest.mark.parametrize(
    ("left_out", "reason"), [({"paging_channels": []}, "two channels"), ({"owner": " "}, "Production has an owner")]
)
def test_production_is_refused_without_them_and_staging_is_not(terraform, left_out, reason):
    with pytest.raises(PlanFailed, match=reason):
        terraform.plan("production", **left_out)
    assert terraform.plan("staging", **left_out)
