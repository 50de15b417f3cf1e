"""How much stores are asked."""

from contextlib import ExitStack

import pytest

from shared.errors import Overloaded
from shared.subscriptions import asking, gate, memory
from tests.shared.subscriptions.presenting import FAILURES, know, lets_in, refused


def test_tokens_that_nobody_was_sold_do_not_use_up_what_a_store_answers(stores, token, pass_time):
    know(stores, "RevenueCat", token)
    assert lets_in(f"RevenueCat {token}")
    pass_time(memory.PAID_SECONDS + 1)
    before = sum(stores.asked.values())
    assert [refused(f"RevenueCat {token}{number}") for number in range(500)] == [False] * 30 + [True] * 470
    assert sum(stores.asked.values()) - before == 30
    assert lets_in(f"RevenueCat {token}"), "who was let in before has a part of it"
    assert not refused(f"Google {token}"), "another store is asked as ever"
    pass_time(60)
    assert not refused(f"RevenueCat {token}new")


def test_an_address_that_was_said_no_to_often_is_refused_before_it_uses_up_what_others_need(stores, token, pass_time):
    know(stores, "RevenueCat", token)
    assert not refused(f"RevenueCat {token}", "192.0.2.1")
    pass_time(memory.PAID_SECONDS + 1)
    asked = [not refused(f"RevenueCat {token}{number}", "192.0.2.1") for number in range(100)]
    assert asked == [True] * 20 + [False] * 80
    assert not refused(f"RevenueCat {token}", "192.0.2.1"), "who was let in before shares the address"
    assert not refused(f"RevenueCat {token}new", "192.0.2.2")
    assert not refused(f"RevenueCat {token}newer", None)
    pass_time(6.1)
    assert [refused(f"RevenueCat {token}newest{number}", "192.0.2.1") for number in range(2)] == [False, True]


def test_a_store_that_fails_counts_against_no_address(stores, token):
    stores.customers.update({f"{token}{number}": FAILURES["403"] for number in range(25)})
    assert not any(refused(f"RevenueCat {token}{number}", "192.0.2.1") for number in range(25))


def test_asking_again_counts_as_asking(stores, token, monkeypatch):
    monkeypatch.setattr(asking, "REPEAT_SECONDS", 0.0)
    stores.customers.update({f"{token}{number}": FAILURES["503"] for number in range(20)})
    before = sum(stores.asked.values())
    assert [refused(f"RevenueCat {token}{number}") for number in range(20)] == [False] * 15 + [True] * 5
    assert sum(stores.asked.values()) - before == 30


def test_a_store_is_not_asked_again_with_the_last_question(stores, token, monkeypatch):
    monkeypatch.setattr(asking, "REPEAT_SECONDS", 0.0)
    know(stores, "RevenueCat", token)
    assert not refused(f"RevenueCat {token}")
    stores.customers.update({f"{token}{number}": FAILURES["503"] for number in range(15)})
    before = sum(stores.asked.values())
    assert not any(refused(f"RevenueCat {token}{number}") for number in range(15))
    assert sum(stores.asked.values()) - before == 29


def test_a_store_is_asked_so_much_and_no_more():
    now = [0.0]
    gates = gate.StoreGate(lambda: now[0])

    def asked():
        try:
            with gates.question(is_known=True):
                return True
        except Overloaded:
            return False

    assert sum(asked() for _ in range(100)) == gate.BURST
    for _ in range(20):
        now[0] += 0.25
        assert (asked(), asked()) == (True, False)
    now[0] += 3600
    assert sum(asked() for _ in range(100)) == gate.BURST


def test_a_store_is_asked_few_questions_at_once_and_the_last_place_is_for_those_who_were_let_in_before():
    way = gate.StoreGate()
    for _ in range(2):  # the places are given back
        with ExitStack() as under_way:
            for is_known in (False, False, False):
                under_way.enter_context(way.question(is_known=is_known))
            with pytest.raises(Overloaded):
                under_way.enter_context(way.question(is_known=False))
            under_way.enter_context(way.question(is_known=True))
            with pytest.raises(Overloaded):
                under_way.enter_context(way.question(is_known=True))
