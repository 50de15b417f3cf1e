"""Before the move: the certificate is there, and nothing alarms about a name that still leads elsewhere."""

import pytest

from tests.terraform.planning import DOMAIN, Plan


@pytest.fixture(scope="module")
def unseen(terraform):
    return Plan(terraform.plan("production", domain=DOMAIN, unseen=True))


def test_every_alert_is_made_and_silent_until_the_move(unseen, production):
    before, after = (plan.all("google_monitoring_alert_policy") for plan in (unseen, production))
    assert before.keys() == after.keys()
    assert {policy["enabled"] for policy in before.values()} == {False}
    assert {policy["enabled"] for policy in after.values()} == {True}


def test_the_uptime_check_asks_seldom_until_the_move(unseen, production):
    assert unseen.one("google_monitoring_uptime_check_config")["period"] == "900s"
    assert production.one("google_monitoring_uptime_check_config")["period"] == "60s"


def test_certificates_need_a_record_and_not_the_name_itself(production, staging):
    """https://cloud.google.com/certificate-manager/docs/domain-authorization: DNS authorisation needs no traffic."""
    authorised = {one["domain"] for one in production.all("google_certificate_manager_dns_authorization").values()}
    assert authorised == {DOMAIN, f"candidate.{DOMAIN}"}
    for track in ("live", "candidate"):
        address = f'google_certificate_manager_certificate.balancer["{track}"]'
        (managed,) = production.all("google_certificate_manager_certificate")[address]["managed"]
        assert managed["domains"][0] in authorised
    named = [
        resource
        for resource in production.document["configuration"]["root_module"]["resources"]
        if resource["type"] == "google_certificate_manager_certificate"
    ]
    assert "dns_authorizations" in str(named[0]["expressions"]["managed"])
    assert production.all("google_compute_managed_ssl_certificate") == {}
    assert staging.all("google_certificate_manager_certificate") == {}


def test_both_names_have_an_entry_in_the_map_that_the_proxy_reads(production):
    entries = production.all("google_certificate_manager_certificate_map_entry").values()
    assert {entry["hostname"] for entry in entries} == {DOMAIN, f"candidate.{DOMAIN}"}
    (proxy,) = production.all("google_compute_target_https_proxy").values()
    assert not proxy["ssl_certificates"]
