"""RevenueCat's customers."""

import pytest

from tests.shared.subscriptions.presenting import know, lets_in
from tests.stores import ENTITLEMENT, HOUR, Reply, customer, ends_in


@pytest.mark.parametrize(
    ("known", "is_in"),
    [
        (customer((ENTITLEMENT, None)), True),
        (customer(("entlother", None), (ENTITLEMENT, ends_in(HOUR))), True),
        (customer((ENTITLEMENT, ends_in(-HOUR)), (ENTITLEMENT, ends_in(HOUR))), True),
        (customer(("entlother", None)), False),
        (customer((ENTITLEMENT, ends_in(-HOUR))), False),
        (customer(), False),
    ],
    ids=["for life", "beside another", "renewed", "another's", "expired", "refunded"],
)
def test_revenuecat_knows_the_pro_entitlement(stores, token, outcome, known, is_in):
    stores.customers[token] = known
    assert lets_in(f"RevenueCat {token}") == is_in
    assert outcome() == ("revenuecat", "paid" if is_in else "not_paid")


def test_an_anonymous_customer_is_found_by_the_encoded_id(stores):
    stores.customers["$RCAnonymousID:0a1b/2c"] = customer((ENTITLEMENT, None))
    assert lets_in("RevenueCat $RCAnonymousID:0a1b/2c")


@pytest.mark.parametrize("environment", ["local", "staging"])
def test_any_entitlement_counts_where_none_is_named_outside_production(configure, stores, token, environment):
    configure(REVENUECAT_ENTITLEMENT_ID="", ENVIRONMENT=environment)
    stores.customers[token] = customer(("entlother", None))
    assert lets_in(f"RevenueCat {token}")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"active_entitlements": None},
        {"active_entitlements": []},
        {"active_entitlements": {"items": {}}, "x": {"items": 1}},
        {"active_entitlements": {"items": [1]}},
        {"active_entitlements": {"items": "none"}},
        {"active_entitlements": {"items": [{"entitlement_id": ENTITLEMENT, "expires_at": "soon"}]}},
        {"active_entitlements": {"items": [{"entitlement_id": ENTITLEMENT, "expires_at": 10**30}]}},
        {"active_entitlements": {"items": [{"entitlement_id": ENTITLEMENT, "expires_at": []}]}},
    ],
)
def test_an_unexpected_customer_lets_nobody_in(stores, token, body):
    stores.customers[token] = Reply(200, body)
    assert not lets_in(f"RevenueCat {token}")


def test_a_wrong_key_lets_nobody_in(configure, stores, token, outcome):
    know(stores, "RevenueCat", token)
    configure(REVENUECAT_API_KEY="sk_old")
    assert not lets_in(f"RevenueCat {token}")
    assert outcome() == ("revenuecat", "store_failed")
