"""`make cleanup`, and the hourly one of the development server."""

import subprocess
import sys
from pathlib import Path

import pytest

from local import server
from shared.data.pool import Database
from tests.servers import Servers
from tests.waiting import WAIT_SECONDS, wait_for

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def url(own_url):
    return own_url


def clean(base_url, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "local.cleanup", *arguments],
        cwd=ROOT,
        env={"BASE_URL": base_url} | environment,
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


def test_it_says_what_it_removed(url):
    db = Database(url, 1, 30)
    db.rows("INSERT INTO rate_limit_consumptions VALUES ('key', ARRAY[now() - interval '2 days'])")
    with Servers(url, ENVIRONMENT="production", OPERATOR_TOKEN="a token") as servers:
        base_url = servers["gateway"].url
        assert clean(base_url).stderr == "make cleanup: 401 Operators only.\n"
        counted = clean(base_url, "--dry-run", OPERATOR_TOKEN="a token")
        assert counted.stdout.startswith("would remove 1 rate limits (")
        assert clean(base_url, OPERATOR_TOKEN="a token").stdout.startswith("removed 1 rate limits (")
        assert clean(base_url, OPERATOR_TOKEN="a token").stdout.startswith("removed nothing (")
    db.close()


def test_nobody_there_is_said_in_one_line():
    outcome = clean("http://127.0.0.1:1")
    assert outcome.returncode == 1
    assert outcome.stderr.count("\n") == 1


def test_the_development_server_calls_it_at_its_time(url, monkeypatch):
    db = Database(url, 1, 30)
    with Servers(url, ENVIRONMENT="local") as servers:
        monkeypatch.setattr(server, "CLEANUP_SECONDS", 0.0)
        cleaner = server.Cleaner(servers["gateway"].url)
        cleaner.clean_if_due()
        wait_for(lambda: db.rows("SELECT FROM cleanup_runs"))
        assert cleaner._process is not None
        assert cleaner._process.wait(WAIT_SECONDS) == 0
    db.close()


def test_it_waits_for_its_time(monkeypatch):
    monkeypatch.setattr(server, "CLEANUP_SECONDS", 3600.0)
    cleaner = server.Cleaner("http://127.0.0.1:1")
    cleaner.clean_if_due()
    assert cleaner._process is None
