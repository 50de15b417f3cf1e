"""Google's purchases."""

import pytest

from tests.shared.subscriptions.presenting import lets_in
from tests.stores import HOUR, Reply, ends_in, purchase


@pytest.mark.parametrize(
    ("state", "end", "is_in"),
    [
        ("ACTIVE", HOUR, True),
        ("IN_GRACE_PERIOD", HOUR, True),
        ("CANCELED", HOUR, True),
        ("CANCELED", -HOUR, False),
        ("EXPIRED", -HOUR, False),
        ("EXPIRED", HOUR, False),  # revoked, and refunded
        ("ON_HOLD", HOUR, False),
        ("PAUSED", HOUR, False),
        ("PENDING", HOUR, False),
        ("PENDING_PURCHASE_CANCELED", HOUR, False),
        ("UNSPECIFIED", HOUR, False),
    ],
)
@pytest.mark.parametrize("form", ["{}", "pro_monthly:{}"])
def test_google_knows_active_grace_and_cancelled_until_the_end(stores, token, outcome, state, end, is_in, form):
    stores.purchases[token] = purchase(state, ends_in(end))
    assert lets_in("Google " + form.format(token)) == is_in
    assert outcome() == ("google", "paid" if is_in else "not_paid")


def test_the_product_that_is_named_must_be_the_one_that_was_bought(stores, token):
    stores.purchases[token] = purchase("ACTIVE", ends_in(HOUR), product="pro_yearly")
    assert not lets_in(f"Google pro_monthly:{token}")
    assert lets_in(f"Google pro_yearly:{token}")


@pytest.mark.parametrize("status", [400, 404, 410])
def test_google_says_in_three_ways_that_there_is_no_such_purchase(stores, token, outcome, status):
    stores.purchases[token] = Reply(status, {"error": {"code": status}})
    assert not lets_in(f"Google {token}")
    assert outcome() == ("google", "not_paid")


@pytest.mark.parametrize(("environment", "is_in"), [("production", False), ("", False), ("staging", True)])
def test_a_test_purchase_counts_outside_production_only(configure, stores, token, environment, is_in):
    configure(ENVIRONMENT=environment)
    stores.purchases[token] = purchase("ACTIVE", ends_in(HOUR), testPurchase={})
    assert lets_in(f"Google {token}") == is_in


@pytest.mark.parametrize("expiry", [None, 5, "soon", "2999-01-01T00:00:00", []])
def test_an_unexpected_purchase_lets_nobody_in(stores, token, outcome, expiry):
    reply = purchase("ACTIVE", ends_in(HOUR))
    reply.body["lineItems"][0]["expiryTime"] = expiry
    stores.purchases[token] = reply
    assert not lets_in(f"Google {token}")
    assert outcome() == ("google", "store_failed")


def test_nanoseconds_of_google_are_read(stores, token):
    reply = purchase("ACTIVE", ends_in(HOUR))
    reply.body["lineItems"][0]["expiryTime"] = "2999-01-01T00:00:00.123456789Z"
    stores.purchases[token] = reply
    assert lets_in(f"Google {token}")


# A second line without expiryTime: github.com/imdhemy/google-play-billing/issues/304 and
# github.com/android/play-billing-samples/issues/624; "Handle deferred replacement" in Google's documentation
DEFERRED = [
    {
        "productId": "pro_yearly",
        "expiryTime": "2999-01-01T00:00:00.123Z",
        "latestSuccessfulOrderId": "GPA.1234-5678-9012-34567",
        "autoRenewingPlan": {},
        "offerDetails": {"basePlanId": "yearly"},
        "deferredItemReplacement": {"productId": "pro_monthly"},
    },
    {
        "productId": "pro_monthly",
        "autoRenewingPlan": {"autoRenewEnabled": True},
        "offerDetails": {"basePlanId": "monthly"},
    },
]


@pytest.mark.parametrize("form", ["{}", "pro_monthly:{}", "pro_yearly:{}"])
@pytest.mark.parametrize("lines", [DEFERRED, DEFERRED[::-1]], ids=["old first", "new first"])
def test_a_product_that_will_replace_another_does_not_hide_it(stores, token, form, lines):
    stores.purchases[token] = purchase("ACTIVE", ends_in(HOUR), lineItems=lines)
    assert lets_in("Google " + form.format(token))


def test_a_product_that_will_replace_one_that_has_ended_lets_nobody_in(stores, token, outcome):
    ended = DEFERRED[0] | {"expiryTime": "2025-01-01T00:00:00Z"}
    stores.purchases[token] = purchase("ACTIVE", ends_in(HOUR), lineItems=[ended, DEFERRED[1]])
    assert not lets_in(f"Google {token}")
    assert outcome() == ("google", "not_paid")


@pytest.mark.parametrize("lines", [[], [DEFERRED[1]]])
def test_a_purchase_in_which_nothing_has_begun_lets_nobody_in(stores, token, lines):
    stores.purchases[token] = purchase("ACTIVE", ends_in(HOUR), lineItems=lines)
    assert not lets_in(f"Google {token}")
