"""The budget of memory: who must wait, who must come back, and what is given back."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared import memory
from shared.errors import Overloaded
from shared.memory import LARGE_BYTES, Budget

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(memory, "WAIT_SECONDS", 0.2)


@pytest.fixture
def other():
    """A thread beside this one."""
    with ThreadPoolExecutor(1) as executor:
        yield lambda *call, **options: executor.submit(*call, **options).result()


def test_who_finds_no_room_is_refused_after_a_while_and_let_in_when_there_is(other):
    budget = Budget(10 * MIB)
    budget.begin()
    budget.reserve(8 * MIB)
    other(budget.begin)
    with pytest.raises(Overloaded):
        other(budget.reserve, 4 * MIB)
    assert budget.end(0) == 0
    other(budget.reserve, 4 * MIB)
    assert budget.used_bytes == 4 * MIB


def test_the_only_one_may_have_more_than_there_is(other):
    budget = Budget(MIB)
    budget.begin()
    budget.reserve(4 * MIB)
    budget.reserve(4 * MIB)
    assert budget.used_bytes == 8 * MIB


def test_what_cannot_be_refused_waits_and_goes_on(other):
    budget = Budget(MIB)
    budget.begin()
    budget.reserve(MIB)
    other(budget.begin)
    other(budget.reserve, MIB, may_refuse=False)
    assert budget.used_bytes == 2 * MIB


def test_what_is_still_to_be_sent_stays_counted():
    budget = Budget(10 * MIB)
    budget.begin()
    budget.reserve(8 * MIB)
    assert budget.end(3 * MIB) == 3 * MIB
    assert budget.used_bytes == 3 * MIB
    budget.give_back(3 * MIB)
    assert budget.used_bytes == 0


def test_what_is_small_and_what_no_request_needs_is_not_counted():
    budget = Budget(10 * MIB)
    budget.reserve(MIB)
    budget.begin()
    budget.reserve(LARGE_BYTES - 1)
    assert budget.used_bytes == 0
    assert budget.end(MIB) == 0
