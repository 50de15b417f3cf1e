"""The dashboard in a real browser: seven panels with what a real load left, in both colours, on a phone too."""

import re
import time
from uuid import uuid4

import pytest

import migrations
from functions.metrics import dashboards
from shared.data import metric_buckets
from shared.metrics import Bucket
from tests.browsers import look
from tests.servers import Caller, Servers

pytestmark = pytest.mark.slow
PANELS = ["requests", "errors", "latency", "instances", "memory", "cpu", "connections"]


@pytest.fixture(scope="module")
def dashboard(new_database):
    """Return the URL of a dashboard of a service that has had some requests."""
    url = new_database(migrated=True)
    with Servers(url, ENVIRONMENT="local", METRICS_FLUSH_SECONDS="0.1") as servers:
        call = Caller(servers, alone=False)
        for _ in range(50):
            created = call("POST", "/user/create", {}).json
            call("GET", f"/user/{created['lookup']}")
        yield f"{servers['gateway'].url}/metrics/dashboard"


@pytest.mark.parametrize(
    ("width", "height", "dark"), [(1200, 1100, False), (1200, 1100, True), (390, 2600, False)],
    ids=["light", "dark", "phone"],
)  # fmt: skip
def test_every_panel_shows_what_was_counted(dashboard, tmp_path, width, height, dark):
    document, picture = look(dashboard, tmp_path, width=width, height=height, dark=dark)
    assert picture.startswith(b"\x89PNG")
    assert re.search(r'<span id="state"[^>]*>last hour', document)
    assert re.findall(r'<section id="(\w+)"', document) == PANELS
    assert document.count("<canvas") == len(PANELS)
    for panel in PANELS:
        section = re.search(rf'<section id="{panel}".*?</section>', document, re.DOTALL)
        assert section is not None
        value = re.search(r'class="value">([\d.]+)<', section[0])
        assert value is not None, panel
        assert float(value[1]) >= (1 if panel in {"instances", "connections"} else 0)
    states = re.findall(r'data-state="(\w+)"', document)
    assert len(states) == 5
    assert states[0] == "normal"  # no errors
    assert "normal below 200, alert above 500 ms" in document


def test_slow_answers_are_told_in_seconds_and_little_is_seen(new_database, tmp_path):
    """1.5 s rather than 1500 ms, and a rate far below one has a scale of its own."""
    url = new_database(migrated=True)
    with Servers(url, ENVIRONMENT="local") as servers:
        labels = '{function="user",method="GET",route="/user/{id_or_lookup}"'
        counts = {
            f'liftlog_http_requests_total{labels},status="200"}}': 9,
            f'liftlog_http_request_duration_seconds_bucket{labels},le="2.5"}}': 9,
            f"liftlog_http_request_duration_seconds_count{labels}}}": 9.0,
        }
        metric_buckets.put(servers.db, uuid4(), [Bucket(int(time.time()) // 60 * 60 - 120, counts, {})])
        document, picture = look(f"{servers['gateway'].url}/metrics/dashboard", tmp_path, height=1300)
    latency = re.search(r'<section id="latency".*?</section>', document, re.DOTALL)
    assert latency is not None
    assert re.search(r'class="value">2\.\d+</span><small> s</small>', latency[0])
    assert "requests/s" in document
    assert picture.startswith(b"\x89PNG")


def test_errors_turn_their_panel_to_alert(new_database, tmp_path):
    url = new_database()
    with Servers(url, ENVIRONMENT="local") as servers:  # without tables every write is a 503
        call = Caller(servers, alone=False)
        call("POST", "/user/create", {})
        migrations.upgrade(url)
        for _ in range(3):
            call("POST", "/user/create", {})
        document, _picture = look(f"{servers['gateway'].url}/metrics/dashboard", tmp_path)
    assert re.search(r'<section id="errors" data-state="alert"', document)


def test_the_page_asks_nobody_else(dashboard):
    """The browser enforces it: nothing may be loaded but from this service."""
    page = dashboards.page()
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    html = page.get_data(as_text=True)
    own = html.replace((dashboards.CHARTS / "uPlot.iife.min.js").read_text(), "")
    assert not re.search(r"(src|href)=|https?://|@import|url\(", own)
