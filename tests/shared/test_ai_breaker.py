"""The circuit breaker, on a clock that the tests turn."""

import threading

import pytest

from shared.ai.breaker import Breaker, BreakerState, Counts

PAUSE_SECONDS = 30.0


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def breaker(clock):
    return Breaker(failures_to_open=3, pause_seconds=PAUSE_SECONDS, clock=clock)


def state_of(breaker):
    return breaker.state


def fail(breaker, times):
    for _ in range(times):
        breaker.failed(breaker.admit())


def test_failures_in_a_row_open_it_and_then_nothing_is_let_through(breaker, clock):
    fail(breaker, 2)
    assert state_of(breaker) is BreakerState.CLOSED
    fail(breaker, 1)
    assert state_of(breaker) is BreakerState.OPEN
    clock.now += PAUSE_SECONDS - 0.001
    assert breaker.admit() is None
    assert breaker.counts == Counts(failed=3, refused=1, opened=1)


def test_a_success_between_failures_keeps_it_closed(breaker):
    fail(breaker, 2)
    breaker.succeeded(breaker.admit())
    fail(breaker, 2)
    assert state_of(breaker) is BreakerState.CLOSED


def test_after_the_pause_one_call_probes(breaker, clock):
    fail(breaker, 3)
    clock.now += PAUSE_SECONDS
    assert state_of(breaker) is BreakerState.HALF_OPEN
    probe = breaker.admit()
    assert breaker.admit() is None
    breaker.succeeded(probe)
    assert state_of(breaker) is BreakerState.CLOSED
    assert breaker.admit() is not None


def test_a_probe_that_fails_opens_it_for_another_pause(breaker, clock):
    fail(breaker, 3)
    clock.now += PAUSE_SECONDS
    breaker.failed(breaker.admit())
    assert state_of(breaker) is BreakerState.OPEN
    assert breaker.counts.opened == 2
    clock.now += PAUSE_SECONDS
    assert state_of(breaker) is BreakerState.HALF_OPEN


def test_a_probe_that_nobody_waited_for_leaves_room_for_another(breaker, clock):
    fail(breaker, 3)
    clock.now += PAUSE_SECONDS
    breaker.abandoned(breaker.admit())
    assert state_of(breaker) is BreakerState.HALF_OPEN
    assert breaker.admit() is not None


def test_calls_from_before_say_nothing_about_now(breaker, clock):
    late = [breaker.admit() for _ in range(3)]
    fail(breaker, 3)
    breaker.succeeded(late[0])
    assert state_of(breaker) is BreakerState.OPEN
    clock.now += PAUSE_SECONDS
    probe = breaker.admit()
    breaker.failed(late[1])
    breaker.abandoned(late[2])
    assert breaker.admit() is None, "the probe is still out"
    breaker.succeeded(probe)
    assert state_of(breaker) is BreakerState.CLOSED
    assert breaker.counts == Counts(succeeded=2, failed=4, refused=1, opened=1)


def test_many_threads_get_one_probe(breaker, clock):
    fail(breaker, 3)
    clock.now += PAUSE_SECONDS
    barrier = threading.Barrier(16)
    permits = []

    def ask():
        barrier.wait()
        permits.append(breaker.admit())

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(permit is not None for permit in permits) == 1
    assert breaker.counts.refused == 15
