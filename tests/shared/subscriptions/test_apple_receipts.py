"""Apple's receipts."""

import pytest

from shared.subscriptions import memory
from tests.shared.subscriptions.presenting import lets_in
from tests.stores import HOUR, Reply, ends_in, receipt


@pytest.mark.parametrize(
    ("known", "is_in"),
    [
        (receipt(ends_in(-HOUR), ends_in(HOUR)), True),
        (receipt(ends_in(-HOUR)), False),
        (receipt(), False),
        (receipt(ends_in(HOUR), refunded=True), False),
        (receipt(ends_in(HOUR), bundle="com.example.other"), False),
        (Reply(200, {"status": 21002}), False),
        (Reply(200, {"status": 21006}), False),
        (Reply(200, {"status": 21010}), False),
    ],
    ids=["renewed", "expired", "never bought", "refunded", "another app's", "malformed", "expired long ago", "deleted"],
)
def test_apple_knows_a_receipt(stores, token, outcome, known, is_in):
    stores.receipts[token] = known
    assert lets_in(f"Apple {token}") == is_in
    assert outcome() == ("apple", "paid" if is_in else "not_paid")


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_a_receipt_of_the_sandbox_is_sent_on_to_it(configure, stores, token, environment, pass_time):
    """TestFlight and app reviewers have such receipts, with the app that production gets."""
    configure(ENVIRONMENT=environment)
    stores.receipts[token] = Reply(200, {"status": 21007})
    assert not lets_in(f"Apple {token}")
    stores.sandbox_receipts[token] = receipt(ends_in(HOUR), environment="Sandbox")
    pass_time(memory.NOT_PAID_SECONDS + 0.1)
    assert lets_in(f"Apple {token}")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "0"},
        {"status": []},
        {"status": 21000},
        {"status": 21004},
        {"status": 21005},
        {"status": 21008},
        {"status": 21009},
        {"status": 21100},
        {"status": 0, "latest_receipt_info": 1},
        {"status": 0, "latest_receipt_info": [{"expires_date_ms": "soon"}]},
    ],
)
def test_an_unexpected_answer_about_a_receipt_lets_nobody_in(stores, token, outcome, body):
    stores.receipts[token] = Reply(200, body)
    assert not lets_in(f"Apple {token}")
    assert outcome() == ("apple", "store_failed")


@pytest.mark.parametrize("info", [None, [], [{"product_id": "pro"}]])
def test_a_receipt_without_a_subscription_lets_nobody_in(stores, token, outcome, info):
    stores.receipts[token] = Reply(200, {"status": 0, "latest_receipt_info": info})
    assert not lets_in(f"Apple {token}")
    assert outcome() == ("apple", "not_paid")


# the billing grace period


@pytest.mark.parametrize(
    ("known", "is_in"),
    [
        (receipt(ends_in(-HOUR), grace=ends_in(HOUR)), True),
        (receipt(ends_in(-2 * HOUR), grace=ends_in(-HOUR)), False),
        (receipt(ends_in(HOUR), grace=ends_in(-HOUR)), True),
        (receipt(ends_in(-HOUR), grace=ends_in(HOUR), bundle="com.example.other"), False),
    ],
    ids=["in it", "past it", "paid since", "another app's"],
)
def test_the_billing_grace_period_counts(stores, token, outcome, known, is_in):
    stores.receipts[token] = known
    assert lets_in(f"Apple {token}") == is_in
    assert outcome() == ("apple", "paid" if is_in else "not_paid")


@pytest.mark.parametrize(("end", "verdict"), [(None, "not_paid"), ("", "not_paid"), ("soon", "store_failed")])
def test_a_grace_period_without_an_end_lets_nobody_in(stores, token, outcome, end, verdict):
    """Apple's notifications hold the field with nothing in it."""
    reply = receipt(ends_in(-HOUR), grace=ends_in(HOUR))
    reply.body["pending_renewal_info"][0]["grace_period_expires_date_ms"] = end
    stores.receipts[token] = reply
    assert not lets_in(f"Apple {token}")
    assert outcome() == ("apple", verdict)
