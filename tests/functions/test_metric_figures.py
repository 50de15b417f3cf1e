"""What the metrics come to: percentiles, rates, gauges of several instances, and where a window ends."""

import time
from uuid import uuid4

import pytest
from prometheus_client.parser import text_string_to_metric_families

from functions.metrics import exposition, reports, summaries
from functions.metrics.summaries import Latencies
from shared.data import metric_buckets
from shared.metrics import Bucket, observation

EVENT = {"function": "event", "method": "PUT", "route": "/event"}
MEMORY, IN_USE = reports.MEMORY, "liftlog_database_pool_in_use"


def requests_total(count, status="200"):
    labels = f'function="event",method="PUT",route="/event",status="{status}"'
    return {f"liftlog_http_requests_total{{{labels}}}": float(count)}


def put(db, minutes_ago, counts=None, instance=None, **gauges):
    """Write a minute of an instance, of a new one unless it is given."""
    minute = (int(time.time()) // 60 - minutes_ago) * 60
    metric_buckets.put(db, instance or uuid4(), [Bucket(minute, counts or {}, gauges)])


@pytest.mark.parametrize(
    ("buckets", "percent", "milliseconds"),
    [
        ({"0.1": 50, "0.2": 50}, 50, 100),
        ({"0.1": 50, "0.2": 50}, 95, 190),
        ({"0.1": 50, "0.2": 50}, 25, 87.5),
        ({"0.005": 100}, 50, 2.5),
        ({"0.005": 90, "0.2": 10}, 95, 150),  # nothing is between
        ({"0.1": 90, "+Inf": 10}, 99, 10_000),  # as much as is known
        ({}, 95, 0),
    ],
)
def test_a_percentile_is_interpolated_in_its_bucket(buckets, percent, milliseconds):
    found = Latencies(buckets, count=sum(buckets.values()))
    assert found.percentile_ms(percent) == pytest.approx(milliseconds)


def test_an_error_of_a_client_is_none_of_the_service():
    assert summaries.error_rate_percent({"200": 90, "404": 5, "499": 4, "500": 1}) == 1
    assert summaries.error_rate_percent({}) == 0


def test_prometheus_gets_buckets_that_add_up():
    counts: dict[str, float] = {}
    for milliseconds in (4, 5, 6, 80, 20_000):
        for name, value in observation(summaries.DURATION, milliseconds / 1000, **EVENT).items():
            counts[name] = counts.get(name, 0) + value
    text = exposition.text(counts, {}).get_data(as_text=True)
    (family,) = text_string_to_metric_families(text)
    buckets = {sample.labels["le"]: sample.value for sample in family.samples if sample.name.endswith("_bucket")}
    wanted = {"0.005": 2, "0.01": 3, "0.075": 3, "0.1": 4, "10": 4, "+Inf": 5}
    assert {bound: buckets[bound] for bound in wanted} == wanted


def test_a_gauge_is_the_greatest_of_all_instances_or_their_sum(own_db):
    put(own_db, 0, **{MEMORY: 40, IN_USE: 2})
    put(own_db, 0, **{MEMORY: 60, IN_USE: 3})
    found = metric_buckets.gauges(own_db)
    assert (found[MEMORY], found[IN_USE], found["liftlog_instances"]) == (60, 5, 2)
    (step,) = reports.series(own_db, reports.WINDOWS["24h"])["steps"]
    assert (step["memory_percent"], step["instances"]) == (60, 2)


def test_an_instance_that_ended_is_not_counted(own_db):
    put(own_db, 4, **{MEMORY: 90})
    put(own_db, 0, **{MEMORY: 40})
    found = metric_buckets.gauges(own_db)
    assert (found[MEMORY], found["liftlog_instances"]) == (40, 1)


def test_the_summary_has_the_newest_gauges(own_db):
    put(own_db, 30, **{MEMORY: 90})
    put(own_db, 0, **{MEMORY: 40})
    assert reports.summary(own_db, reports.WINDOWS["1h"])["memory_percent"] == 40


@pytest.mark.parametrize(
    ("window", "minutes", "requests"),
    [("5m", 5, 1), ("1h", 60, 3), ("24h", 24 * 60, 7), ("all", 90 * 24 * 60, 15)],
)
def test_a_window_ends_where_it_says(own_db, window, minutes, requests):
    """Requests of now, of half an hour ago, of half a day ago, and of half a year ago, which only totals have."""
    for minutes_ago, count in ((0, 1), (30, 2), (13 * 60, 4), (180 * 24 * 60, 8)):
        put(own_db, minutes_ago, requests_total(count))
    found = reports.summary(own_db, reports.WINDOWS[window])
    assert (found["window_seconds"], found["total_requests"]) == (60 * minutes, requests)


def test_a_slow_route_is_named(own_db):
    put(own_db, 0, observation(summaries.DURATION, 3.0, **EVENT))
    assert reports.summary(own_db, reports.WINDOWS["1h"])["slowest_endpoint"] == {
        "endpoint": "PUT /event", "avg_duration_ms": 3000,
    }  # fmt: skip
