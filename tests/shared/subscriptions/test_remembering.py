"""What stores have said is remembered for a while."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.subscriptions import gate, memory
from shared.subscriptions.subscribers import Subscriber
from tests import stores as fake
from tests.shared.subscriptions.presenting import FAILURES, know, lets_in, path_of
from tests.stores import ends_in


def test_a_yes_is_remembered(stores, token):
    know(stores, "RevenueCat", token)
    assert lets_in(f"RevenueCat {token}")
    stores.customers.clear()
    assert lets_in(f"RevenueCat {token}")
    assert stores.asked[path_of(token)] == 1


def test_a_no_is_remembered_for_ten_seconds_so_that_a_purchase_counts_soon(stores, token, pass_time):
    assert not lets_in(f"RevenueCat {token}")
    know(stores, "RevenueCat", token)
    pass_time(9)
    assert not lets_in(f"RevenueCat {token}")
    assert stores.asked[path_of(token)] == 1
    pass_time(1.1)
    assert lets_in(f"RevenueCat {token}")
    assert stores.asked[path_of(token)] == 2


def test_a_no_of_one_store_is_none_of_another(stores, token):
    know(stores, "Google", token)
    assert not lets_in(f"RevenueCat {token}")
    assert lets_in(f"Google {token}")


def test_that_a_store_failed_is_not_remembered(stores, token):
    stores.customers[token] = FAILURES["503"]
    assert not lets_in(f"RevenueCat {token}")
    know(stores, "RevenueCat", token)
    assert lets_in(f"RevenueCat {token}")


def test_that_a_store_is_not_configured_is_not_remembered(configure, stores, token):
    know(stores, "RevenueCat", token)
    configure(REVENUECAT_API_KEY="")
    assert not lets_in(f"RevenueCat {token}")
    configure(REVENUECAT_API_KEY=fake.REVENUECAT_KEY)
    assert lets_in(f"RevenueCat {token}")


def test_a_web_key_counts_at_once_and_wrong_ones_are_answered_however_many_there_are(configure, token):
    assert not any(lets_in(f"Web {token}{number}") for number in range(3 * int(gate.BURST)))
    assert not lets_in(f"Web {token}")
    configure(WEB_AUTH_API_KEY=token)
    assert lets_in(f"Web {token}")


def test_a_yes_of_one_store_is_none_of_another(stores, token):
    know(stores, "RevenueCat", token)
    assert lets_in(f"RevenueCat {token}")
    assert not lets_in(f"Google {token}")


@pytest.mark.parametrize(
    ("paid_for", "age", "held"),
    [
        (timedelta(days=30), 299, True),
        (timedelta(days=30), 301, False),
        (timedelta(seconds=60), 59, True),
        (timedelta(seconds=60), 61, False),
        (timedelta(days=365_000), 301, False),
        (timedelta(seconds=-1), 0, False),
    ],
)
def test_a_yes_is_remembered_for_five_minutes_and_never_past_the_end(pass_time, paid_for, age, held):
    remembered, subscriber = memory.Memory(), Subscriber("web", "A")
    assert not remembered.is_paid(subscriber)
    remembered.add_paid(subscriber, datetime.now(UTC) + paid_for)
    pass_time(age)
    assert remembered.is_paid(subscriber) == held


def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(memory, "MOST_SUBSCRIBERS", 3)
    remembered, tomorrow = memory.Memory(), ends_in(timedelta(days=1))
    for key in "ABCAD":  # A is renewed, so that B is the oldest
        remembered.add_not_paid(Subscriber("web", key))  # a no is the last word until the next yes
        remembered.add_paid(Subscriber("web", key), tomorrow)
    subscribers = [Subscriber("web", key) for key in "ABCD"]
    for holds in (remembered.is_paid, remembered.is_not_paid, remembered.knows):
        assert [subscriber.key for subscriber in subscribers if holds(subscriber)] == ["A", "C", "D"]
