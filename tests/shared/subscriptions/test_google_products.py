"""The product that Google sold once, before there were subscriptions: who bought it is entitled for good."""

import pytest

from shared.subscriptions import google_play
from shared.subscriptions.asking import FOREVER, Inquiry
from tests.shared.subscriptions.presenting import know, lets_in
from tests.stores import HOUR, Reply, ends_in, product, purchase

# What Google says of a product's token where it is asked for a subscription: github.com/awa/go-iap/issues/49,
# github.com/jnbt/candy_check/issues/51, github.com/googlesamples/android-play-publisher-api/issues/21
INVALID_VALUE = {
    "error": {
        "code": 400,
        "message": "Invalid Value",
        "errors": [{"message": "Invalid Value", "domain": "global", "reason": "invalid"}],
    }
}
NOT_FOUND = {
    "error": {
        "code": 404,
        "message": "The purchase token was not found.",
        "errors": [{"domain": "global", "reason": "purchaseTokenNotFound", "location": "token"}],
    }
}


@pytest.mark.parametrize("form", ["{}", "pro:{}"])
@pytest.mark.parametrize("no_subscription", [Reply(400, INVALID_VALUE), Reply(404, NOT_FOUND), Reply(410, {})])
def test_who_bought_the_product_is_let_in(stores, token, outcome, form, no_subscription):
    stores.purchases[token] = no_subscription
    stores.products[token] = product()
    assert lets_in("Google " + form.format(token))
    assert outcome() == ("google", "paid")


def test_for_good(stores, token):
    stores.products[token] = product()
    assert google_play.paid_until(token, Inquiry()) == FOREVER


@pytest.mark.parametrize(
    "known",
    [
        product("CANCELLED"),  # refunded and revoked, too
        product("PENDING"),
        product("PURCHASE_STATE_UNSPECIFIED"),
        product(product_id="coffee"),
        product(productLineItem=[]),
        Reply(404, NOT_FOUND),
    ],
    ids=["cancelled", "pending", "unspecified", "another product", "no product", "unknown"],
)
@pytest.mark.parametrize("form", ["{}", "pro:{}"])
def test_who_did_not_is_not(stores, token, outcome, form, known):
    stores.products[token] = known
    assert not lets_in("Google " + form.format(token))
    assert outcome() == ("google", "not_paid")


def test_another_product_that_is_named_is_not_looked_for_among_those_sold_once(stores, token):
    stores.products[token] = product()
    assert not lets_in(f"Google pro_monthly:{token}")
    assert not any("productsv2" in path and path.endswith(token) for path in stores.asked)


def test_a_subscription_that_ended_is_not_either(stores, token):
    stores.purchases[token] = purchase("EXPIRED", ends_in(-HOUR))
    stores.products[token] = product()
    assert not lets_in(f"Google {token}")


def test_a_subscription_may_have_the_products_name(stores, token):
    stores.purchases[token] = purchase("ACTIVE", ends_in(HOUR), product="pro")
    assert lets_in(f"Google pro:{token}")


def test_the_products_name_is_a_setting(configure, stores, token):
    configure(PRO_PRODUCT_ID="premium")
    stores.products[token] = product(product_id="premium")
    assert lets_in(f"Google {token}")
    stores.products[f"{token}2"] = product()
    assert not lets_in(f"Google {token}2")


@pytest.mark.parametrize(("environment", "is_in"), [("production", False), ("", False), ("staging", True)])
@pytest.mark.parametrize("context", [{"fopType": "TEST"}, {}])
def test_what_a_licence_tester_bought_counts_outside_production_only(
    configure, stores, token, environment, is_in, context
):
    configure(ENVIRONMENT=environment)
    stores.products[token] = product(testPurchaseContext=context)
    assert lets_in(f"Google {token}") == is_in


@pytest.mark.parametrize(
    "body",
    [{}, {"purchaseStateContext": 1}, {"purchaseStateContext": {"purchaseState": "PURCHASED"}, "productLineItem": 1}],
)
def test_an_unexpected_product_lets_nobody_in(stores, token, outcome, body):
    stores.products[token] = Reply(200, body)
    assert not lets_in(f"Google {token}")
    assert outcome() == ("google", "store_failed")


def test_google_failing_after_it_knew_of_no_subscription_is_a_failure(stores, token, outcome):
    stores.products[token] = Reply(503, {})
    assert not lets_in(f"Google {token}")
    assert outcome() == ("google", "store_failed")
    know(stores, "Google", token)
    assert lets_in(f"Google {token}")
