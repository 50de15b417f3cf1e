"""The page at `/` of a server of one's own: what works, what is not set up yet, and the line that does it."""

import html
import re

import pytest
import requests

from tests.servers import Server
from tests.waiting import WAIT_SECONDS

ALL = {
    "OPENAI_BASE_URL": "http://models.home:11434/v1", "OPENAI_MODEL": "<coach>", "WEB_AUTH_API_KEY": "k",
    "REVENUECAT_PROJECT_ID": "p", "REVENUECAT_API_KEY": "k", "GOOGLE_PLAY_PACKAGE": "p", "GOOGLE_PLAY_KEY": "k",
    "APPLE_SHARED_SECRET": "s",
}  # fmt: skip
NONE = dict.fromkeys([*ALL, "OPENAI_API_KEY", "BACKUP_STORE"], "")


@pytest.fixture
def page(database_url):
    """Return a function that gives the page of a gateway with some settings."""
    started = []

    def of(**settings):
        started.append(Server("gateway", DATABASE_URL=database_url, **({"ENVIRONMENT": "local"} | NONE | settings)))
        answer = requests.get(started[-1].url, timeout=WAIT_SECONDS)
        assert answer.status_code == 200
        return answer.text

    yield of
    for server in started:
        server.stop()


def parts(page):
    """Return what the page says of each part, as a person reads it."""
    rows = re.findall(r"<li><strong>(.*?)</strong>: (.*?)</li>", page)
    return {name: html.unescape(re.sub(r"</?code>", "`", state)) for name, state in rows}


def test_what_is_missing_is_told_with_the_line_that_sets_it_up(page):
    shown = page()
    assert set(re.findall(r'href="(/\w[^"]*)"', shown)) >= {"/chat", "/admin", "/docs", "/metrics/dashboard"}
    said = parts(shown)
    assert "`OPENAI_API_KEY=… make serve`" in said["The planner"]
    assert "`make chat ARGS=--fake`" in said["The planner"]
    assert "`WEB_AUTH_API_KEY=… make serve`" in said["Subscriptions"]
    assert said["Backups of phones"].startswith("off.")


def test_what_is_there_is_told_without_a_secret(page, tmp_path):
    shown = page(BACKUP_STORE=tmp_path.as_uri(), **ALL)
    said = parts(shown)
    assert said["The planner"] == "asks <coach> at models.home"
    assert said["Subscriptions"] == "asked of Web (its key), RevenueCat, Google Play, the App Store"
    assert "`make backup-key USER=ann`" in said["Backups of phones"]
    assert str(tmp_path) not in shown


def test_elsewhere_it_is_nobodys_business(page):
    assert parts(page(ENVIRONMENT="staging")) == {}
