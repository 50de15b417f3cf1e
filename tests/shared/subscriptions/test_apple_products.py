"""The product that Apple sold once, before there were subscriptions: who bought it is entitled for good."""

import pytest

from shared.subscriptions import apple
from shared.subscriptions.asking import FOREVER, Inquiry
from tests.shared.subscriptions.presenting import lets_in
from tests.stores import HOUR, Reply, ends_in, receipt, receipt_of, receipt_of_ios_6, transaction

# developer.apple.com, "cancellation_date_ms": "the App Store refunds a transaction or revokes it from Family Sharing"
REFUND = {"cancellation_date_ms": "1522134672000", "cancellation_reason": "0"}


def beside(*newest, in_app):
    """A receipt that holds subscriptions too: then Apple sends what it knows today beside what the app was given."""
    reply = receipt_of(*in_app)
    reply.body["latest_receipt_info"] = list(newest)
    return reply


@pytest.mark.parametrize(
    "known",
    [
        receipt_of(transaction()),
        receipt_of(transaction("coffee"), transaction()),
        receipt_of(transaction(in_app_ownership_type="FAMILY_SHARED")),
        receipt_of_ios_6(),
        beside(transaction(), in_app=[]),
        beside(transaction("pro_monthly", expires_date_ms="1521150382000"), in_app=[transaction()]),
        receipt_of(transaction(**REFUND), transaction(transaction_id="2", original_transaction_id="2")),
    ],
    ids=[
        "in_app", "beside another", "of the family", "as of iOS 6", "found since", "an expired subscription, too",
        "bought again after a refund",
    ],
)  # fmt: skip
def test_who_bought_the_product_is_let_in(stores, token, outcome, known):
    stores.receipts[token] = known
    assert lets_in(f"Apple {token}")
    assert outcome() == ("apple", "paid")
    assert apple.paid_until(token, Inquiry()) == FOREVER


@pytest.mark.parametrize(
    "known",
    [
        receipt_of(),
        receipt_of(transaction("coffee")),
        receipt_of(transaction(**REFUND)),
        beside(transaction(**REFUND), in_app=[transaction()]),
        beside(transaction(**REFUND), in_app=[transaction(transaction_id="restored")]),
        receipt_of(transaction(), bundle="com.example.other"),
        receipt_of(transaction(), bundle=""),
        receipt_of_ios_6(bid="com.example.other"),
        receipt_of_ios_6(bid=None),
        receipt_of_ios_6(product_id="coffee"),
        receipt_of_ios_6(cancellation_date="2018-03-27 07:11:12 Etc/GMT"),
        Reply(200, {"status": 0, "receipt": [transaction()]}),
        Reply(200, {"status": 0}),
    ],
    ids=[
        "nothing bought", "another product", "refunded", "refunded since", "restored and refunded", "another app's",
        "no app's", "another app's as of iOS 6", "no app's as of iOS 6", "another product as of iOS 6",
        "refunded as of iOS 6", "no receipt", "nothing",
    ],
)  # fmt: skip
def test_who_did_not_is_not(stores, token, outcome, known):
    stores.receipts[token] = known
    assert not lets_in(f"Apple {token}")
    assert outcome() == ("apple", "not_paid")


def test_a_refunded_product_does_not_hide_a_subscription(stores, token):
    reply = receipt(ends_in(HOUR))
    reply.body["receipt"]["in_app"].append(transaction(**REFUND))
    stores.receipts[token] = reply
    assert lets_in(f"Apple {token}")


def test_the_products_name_is_a_setting(configure, stores, token):
    configure(PRO_PRODUCT_ID="premium")
    stores.receipts[token] = receipt_of(transaction("premium"))
    stores.receipts[f"{token}2"] = receipt_of(transaction())
    assert lets_in(f"Apple {token}")
    assert not lets_in(f"Apple {token}2")


def test_a_product_of_the_sandbox_counts_where_production_sends_it_on(stores, token):
    stores.receipts[token] = Reply(200, {"status": 21007})
    stores.sandbox_receipts[token] = receipt_of(transaction(), environment="Sandbox")
    assert lets_in(f"Apple {token}")


def test_an_unexpected_list_of_transactions_lets_nobody_in(stores, token, outcome):
    reply = receipt_of(transaction())
    reply.body["receipt"]["in_app"] = {"product_id": "pro"}
    stores.receipts[token] = reply
    assert not lets_in(f"Apple {token}")
    assert outcome() == ("apple", "store_failed")
