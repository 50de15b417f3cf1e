"""A store that fails does not shut out those whom it has said yes to lately."""

import pytest

from shared import subscriptions
from shared.metrics import Registry, series
from shared.subscriptions import gate, memory
from tests.shared.subscriptions.presenting import FAILURES, REMOTE, know, lets_in, path_of, refused
from tests.stores import customer

HOUR_SECONDS = 3600.0
DAY_SECONDS = 24 * HOUR_SECONDS


@pytest.fixture
def paying(stores, token, pass_time):
    """Return the token of somebody whom RevenueCat has said yes to, when its yes is no longer remembered."""
    know(stores, "RevenueCat", token)
    assert lets_in(f"RevenueCat {token}")
    pass_time(memory.PAID_SECONDS + 1)
    return token


def fail(stores, token):
    stores.customers[token] = FAILURES["403"]


@pytest.mark.parametrize("store", REMOTE)
@pytest.mark.parametrize("failure", FAILURES)
def test_a_subscriber_stays_in_while_the_store_fails(stores, token, outcome, pass_time, store, failure):
    know(stores, store, token)
    assert lets_in(f"{store} {token}")
    pass_time(memory.PAID_SECONDS + 1)
    know(stores, store, token, FAILURES[failure])
    assert lets_in(f"{store} {token}")
    assert outcome() == (store.lower(), "trusted")


def test_a_store_that_nobody_runs_is_one_that_fails(configure, paying, outcome):
    configure(REVENUECAT_BASE_URL="http://127.0.0.1:1")
    assert lets_in(f"RevenueCat {paying}")
    assert outcome() == ("revenuecat", "trusted")


def test_nobody_else_is_let_in(stores, paying):
    fail(stores, f"{paying}2")
    assert not lets_in(f"RevenueCat {paying}2")
    assert not lets_in(f"Google {paying}")


@pytest.mark.parametrize(
    ("setting", "seconds", "is_in"),
    [
        ("", DAY_SECONDS - 1, True),
        ("", DAY_SECONDS, False),
        ("0", 301, False),
        ("48", 2 * DAY_SECONDS - 1, True),
        ("48", 2 * DAY_SECONDS, False),
        ("168", 7 * DAY_SECONDS - 1, True),
        ("168", 7 * DAY_SECONDS, False),
    ],
)
def test_for_a_day_or_as_long_as_a_setting_says(configure, stores, token, pass_time, setting, seconds, is_in):
    configure(STORE_OUTAGE_HOURS=setting)
    know(stores, "RevenueCat", token)
    assert lets_in(f"RevenueCat {token}")
    fail(stores, token)
    pass_time(seconds)
    assert lets_in(f"RevenueCat {token}") == is_in


def test_the_day_is_counted_from_the_stores_last_yes(stores, paying, pass_time):
    fail(stores, paying)
    for _ in range(23):
        assert lets_in(f"RevenueCat {paying}")
        pass_time(HOUR_SECONDS)
    assert lets_in(f"RevenueCat {paying}")
    pass_time(HOUR_SECONDS)
    assert not lets_in(f"RevenueCat {paying}")


def test_who_was_said_no_to_since_is_out(stores, paying, pass_time):
    stores.customers[paying] = customer()
    assert not lets_in(f"RevenueCat {paying}")
    fail(stores, paying)
    pass_time(memory.NOT_PAID_SECONDS + 1)
    assert not lets_in(f"RevenueCat {paying}")


def test_the_store_is_asked_again_after_half_a_minute(stores, paying, pass_time, outcome):
    fail(stores, paying)
    assert lets_in(f"RevenueCat {paying}")
    stores.customers[paying] = customer()
    pass_time(29)
    assert lets_in(f"RevenueCat {paying}")
    assert stores.asked[path_of(paying)] == 2
    pass_time(1.1)
    assert not lets_in(f"RevenueCat {paying}")
    assert outcome() == ("revenuecat", "not_paid")


def test_a_store_that_is_not_configured_any_more_has_no_outage(configure, paying, outcome):
    configure(REVENUECAT_API_KEY="")
    assert not lets_in(f"RevenueCat {paying}")
    assert outcome() == ("revenuecat", "not_configured")


def test_a_subscriber_stays_in_while_the_store_is_asked_too_much(stores, paying, outcome, monkeypatch):
    monkeypatch.setattr(gate, "AT_ONCE", 0)
    assert lets_in(f"RevenueCat {paying}")
    assert outcome() == ("revenuecat", "trusted")
    assert refused(f"RevenueCat {paying}2")


def test_it_is_marked_in_the_metrics(stores, paying, monkeypatch):
    registry = Registry()
    monkeypatch.setattr(subscriptions, "registry", registry)
    fail(stores, paying)
    assert lets_in(f"RevenueCat {paying}")
    (minute,) = registry.buckets()
    assert minute.counts == {series(subscriptions.CHECKS, store="revenuecat", outcome="trusted"): 1}
