"""Metrics: what all instances together have counted. Operators only.

GET /metrics            → 200 Prometheus text; with `Accept: application/json` totals and figures of each route
GET /metrics/summary    → 200 the figures of the service levels; `?window=5m|1h|24h|all`
GET /metrics/series     → 200 the same figures over time, for the dashboard; `?window=5m|1h|24h`
GET /metrics/dashboard  → 200 a page that draws them
"""

import functions_framework
from flask import Request, Response

from functions.metrics import dashboards, exposition, reports
from shared import operators
from shared.data import database, metric_buckets
from shared.http import Family
from shared.metric_writer import writer

family = Family("metrics")


@family.route("GET", "/metrics", guard=operators.authorize)
def get_metrics() -> Response | dict[str, object]:
    writer().write()  # this instance's own, up to now
    counts = metric_buckets.totals(database())
    if exposition.wants_json():
        return reports.totals(counts)
    return exposition.text(counts, metric_buckets.gauges(database()))


@family.route("GET", "/metrics/summary", guard=operators.authorize)
def get_summary() -> dict[str, object]:
    writer().write()
    return reports.summary(database(), reports.window(default="1h"))


@family.route("GET", "/metrics/series", guard=operators.authorize)
def get_series() -> dict[str, object]:
    writer().write()
    return reports.series(database(), reports.window(default="1h"))


@family.route("GET", "/metrics/dashboard", guard=operators.authorize)
def get_dashboard() -> Response:
    return dashboards.page()


@functions_framework.http
def metrics(request: Request) -> Response:
    return family.handle(request)
