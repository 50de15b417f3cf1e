"""Secrets: remembered for a while, renewed without a restart, kept while the service is away, never logged."""

import logging
import threading
import time
from typing import Any

import pytest

from shared import secret_manager
from shared.errors import ProviderUnavailable
from shared.secret_manager import SecretManager
from tests.fake_google import FakeSecretManager
from tests.servers import Caller, Servers
from tests.waiting import wait_for

pytestmark = pytest.mark.slow
TTL_SECONDS = 0.1
NAME = "web-auth-api-key-staging"


@pytest.fixture
def api():
    with FakeSecretManager() as running:
        running.versions[NAME] = ["first"]
        yield running


@pytest.fixture
def manager(api):
    return SecretManager(FakeSecretManager.PROJECT, api.url, TTL_SECONDS)


def test_a_secret_is_asked_for_once_while_it_is_fresh(api):
    manager = SecretManager(FakeSecretManager.PROJECT, api.url, 60)
    threads = [threading.Thread(target=manager.get, args=(NAME,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert manager.get(NAME) == "first"
    assert len(api.requests) == 1


def test_a_new_version_is_picked_up(api, manager):
    assert manager.get(NAME) == "first"
    api.versions[NAME].append("second\n")
    wait_for(lambda: manager.get(NAME) == "second")


@pytest.mark.parametrize("status", [403, 429, 500, 503])
def test_the_last_good_value_is_kept_while_the_service_fails(api, manager, status, caplog):
    assert manager.get(NAME) == "first"
    api.status = status
    asked = len(api.requests)
    wait_for(lambda: manager.get(NAME) == "first" and len(api.requests) > asked)
    assert "secret not renewed" in caplog.text
    assert "first" not in caplog.text
    api.status = 200
    api.versions[NAME].append("second")
    wait_for(lambda: manager.get(NAME) == "second")


def test_after_a_failure_it_is_asked_again_soon_however_long_a_value_lives(api, monkeypatch):
    manager = SecretManager(FakeSecretManager.PROJECT, api.url, 3600)
    manager.get(NAME)
    (entry,) = manager._entries.values()
    entry.fresh_until = 0.0  # an hour later
    monkeypatch.setattr(secret_manager, "RETRY_SECONDS", 0.0)
    api.status = 503
    assert manager.get(NAME) == "first"
    api.status = 200
    api.versions[NAME].append("second")
    assert manager.get(NAME) == "second"


def test_the_last_good_value_is_kept_while_nobody_answers():
    with FakeSecretManager() as api:
        api.versions[NAME] = ["first"]
        manager = SecretManager(FakeSecretManager.PROJECT, api.url, TTL_SECONDS)
        assert manager.get(NAME) == "first"
    time.sleep(TTL_SECONDS)  # the value's own time
    assert manager.get(NAME) == "first"


@pytest.mark.parametrize("status", [403, 500])
def test_a_secret_that_was_never_read_is_an_error_that_names_it(api, manager, status):
    api.status = status
    with pytest.raises(ProviderUnavailable, match=NAME):
        manager.get(NAME)


def test_a_secret_without_a_version_is_empty_and_its_name_logged(api, manager, caplog):
    caplog.set_level(logging.WARNING)
    assert manager.get("apple-shared-secret-staging") == ""
    assert caplog.records[-1].secret == "apple-shared-secret-staging"


def test_a_rotation_reaches_a_running_service(database_url, api):
    """The new token opens after at most the time to live, without a deploy; the old one no longer does."""
    name = "operator-token-staging"
    api.versions[name] = ["old"]
    cloud: dict[str, Any] = {
        "GCP_PROJECT_ID": FakeSecretManager.PROJECT,
        "SECRET_MANAGER_ENDPOINT": api.url,
        "SECRET_TTL_SECONDS": "1",
    }
    with Servers(database_url, **cloud, ENVIRONMENT="staging") as servers:
        call = Caller(servers, alone=False)

        def status(token):
            return call("GET", "/metrics/summary", headers={"Authorization": f"Bearer {token}"}).status_code

        assert (status("old"), status("new")) == (200, 401)
        api.versions[name].append("new")
        wait_for(lambda: (status("old"), status("new")) == (401, 200))
        api.status = 503
        wait_for(lambda: status("new") == 200)
        assert call("GET", "/health").status_code == 200


def test_the_environment_wins(database_url, api):
    cloud: dict[str, Any] = {
        "GCP_PROJECT_ID": FakeSecretManager.PROJECT,
        "SECRET_MANAGER_ENDPOINT": api.url,
        "ENVIRONMENT": "staging",
    }
    with Servers(database_url, **cloud, OPERATOR_TOKEN="mine") as servers:
        call = Caller(servers, alone=False)
        assert call("GET", "/metrics", headers={"Authorization": "Bearer mine"}).status_code == 200
    assert api.requests == []


def test_a_secret_that_cannot_be_read_is_a_503_and_nothing_else_suffers(database_url, api):
    api.status = 500
    cloud: dict[str, Any] = {
        "GCP_PROJECT_ID": FakeSecretManager.PROJECT,
        "SECRET_MANAGER_ENDPOINT": api.url,
        "ENVIRONMENT": "staging",
    }
    with Servers(database_url, **cloud) as servers:
        call = Caller(servers, alone=False)
        answer = call("GET", "/metrics")
        assert answer.status_code == 503
        assert answer.json["type"] == "urn:liftlog:problem:provider-unavailable"
        assert call("POST", "/user/create", {}).status_code == 200
