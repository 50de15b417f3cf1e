"""What a process counts until it is written, on a clock that the tests turn."""

import pytest

from shared.metrics import Registry, observation

DAY_MINUTES = 24 * 60


class Clock:
    def __init__(self):
        self.now = 600_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def registry(clock):
    return Registry(clock)


def counts(registry):
    return [bucket.counts for bucket in registry.buckets()]


def test_minutes_are_counted_apart(registry, clock):
    registry.count("a")
    registry.count("a", 2, kind="b")
    clock.now += 60
    registry.count("a")
    first, second = registry.buckets()
    assert (first.minute, first.counts) == (600_000, {"a": 1, 'a{kind="b"}': 2})
    assert (second.minute, second.counts) == (600_060, {"a": 1})


def test_a_minute_is_kept_until_it_is_over(registry, clock):
    """Its next writing replaces it, so it must be whole."""
    registry.count("a")
    registry.forget(registry.buckets())
    registry.count("a")
    assert counts(registry) == [{"a": 2}]
    clock.now += 60
    registry.forget(registry.buckets())
    assert counts(registry) == []


def test_what_is_counted_while_it_is_written_is_written_later(registry, clock):
    registry.count("a")
    written = registry.buckets()
    registry.count("a")
    clock.now += 60
    registry.forget(written)
    assert counts(registry) == [{"a": 2}]


def test_a_day_is_kept_and_the_oldest_minutes_go_first(registry, clock):
    for minute in range(DAY_MINUTES + 2):
        registry.count("a", minute)
        clock.now += 60
    kept = [bucket["a"] for bucket in counts(registry)]
    assert kept == list(range(2, DAY_MINUTES + 2))


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [(0.0, "0.005"), (0.005, "0.005"), (0.0051, "0.01"), (0.3, "0.3"), (10, "10"), (10.1, "+Inf")],
)
def test_a_duration_is_in_the_bucket_that_it_does_not_pass(seconds, bound):
    assert observation("d", seconds) == {f'd_bucket{{le="{bound}"}}': 1, "d_sum": seconds, "d_count": 1}


def test_a_gauge_is_read_when_it_is_written(registry):
    values = iter([1, 2])
    registry.gauge("g", lambda: next(values), kind="b")
    registry.count("a")
    assert [registry.buckets()[0].gauges for _ in range(2)] == [{'g{kind="b"}': 1}, {'g{kind="b"}': 2}]
