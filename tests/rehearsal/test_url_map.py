"""The URL map of a plan, where it differs from ours."""

import copy

import pytest

from rehearsal.terraform import Plan
from rehearsal.url_map import UrlMap
from tests.terraform.planning import DOMAIN


@pytest.fixture
def document(production):
    """Return a plan's document that a test may change."""
    return copy.deepcopy(production.document)


def rules_of(document):
    """The rules of the domain's paths, in a document."""
    (url_map,) = Plan(document).all("google_compute_url_map").values()
    (live,) = [matcher for matcher in url_map["path_matcher"] if matcher["name"] == "live"]
    return live["route_rules"]


def test_rules_are_tried_by_their_priority_wherever_they_stand(document):
    """Here every path is also covered by the last rule, which stands first."""
    rules = rules_of(document)
    everything = copy.deepcopy(rules[-1])
    everything |= {
        "priority": 999,
        "match_rules": [
            rules[-1]["match_rules"][0] | {"full_path_match": None, "prefix_match": "/", "ignore_case": True}
        ],
    }
    rules.insert(0, everything)
    found = UrlMap(Plan(document))
    assert found.find(DOMAIN, "/event") == "liftlog-event-production"
    assert found.find(DOMAIN, "/nothing") == found.find(DOMAIN, "/user/create") == "liftlog-user-production"


def test_case_counts_where_a_rule_says_so(document):
    for rule in rules_of(document):
        for match in rule["match_rules"]:
            match["ignore_case"] = False
    found = UrlMap(Plan(document))
    assert found.find(DOMAIN, "/event") == "liftlog-event-production"
    assert found.find(DOMAIN, "/Event") == 503


def test_an_abort_of_some_requests_is_none_of_all(document):
    """What is not aborted reaches a service without backends, which is a 503."""
    (url_map,) = Plan(document).all("google_compute_url_map").values()
    for part in (url_map, *url_map["path_matcher"]):
        abort = part["default_route_action"][0]["fault_injection_policy"][0]["abort"][0]
        abort |= {"http_status": 404, "percentage": 50}
    found = UrlMap(Plan(document))
    assert found.find(DOMAIN, "/nothing") == found.find("elsewhere.example", "/") == 503
