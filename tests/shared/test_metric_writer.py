"""When a process writes what it counted, and what it forgets then."""

import pytest

from shared import metric_writer
from shared.data import metric_buckets
from shared.data.pool import Database
from shared.metric_writer import MetricWriter
from shared.metrics import Registry

NOW = 1_700_000_000.0


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def registry(monkeypatch, clock, own_db):
    """Return what the writer writes, to a database of its own."""
    registry = Registry(clock)
    monkeypatch.setattr(metric_writer, "registry", registry)
    monkeypatch.setattr(metric_writer, "database", lambda: own_db)
    return registry


def test_what_was_written_is_forgotten_when_its_minute_is_over(registry, clock, own_db):
    registry.count("a")
    writer = MetricWriter(3600)
    writer.write()
    assert len(registry.buckets()) == 1
    clock.now += 60
    writer.write()
    assert registry.buckets() == []
    assert metric_buckets.totals(own_db) == {"a": 1}


def test_it_writes_when_it_is_due_and_not_before(registry, own_db):
    registry.count("a")
    MetricWriter(3600).write_if_due()
    assert metric_buckets.totals(own_db) == {}
    MetricWriter(0).write_if_due()
    assert metric_buckets.totals(own_db) == {"a": 1}


def test_what_cannot_be_written_is_kept(registry, monkeypatch, own_db):
    monkeypatch.setattr(metric_writer, "database", lambda: Database("postgresql://u@/d?host=/nowhere", 1, 1))
    registry.count("a")
    writer = MetricWriter(0)
    writer.write()
    monkeypatch.setattr(metric_writer, "database", lambda: own_db)
    writer.write_if_due()  # half a minute after a failure, not at once
    assert metric_buckets.totals(own_db) == {}
    writer.write()
    assert metric_buckets.totals(own_db) == {"a": 1}
