"""Stores that play RevenueCat, Google and Apple, settings that name them, and a clock that tests move."""

import logging
import time
from uuid import uuid4

import pytest

from shared import subscriptions
from shared.settings.environment import environment_settings
from shared.settings.stores import store_settings
from shared.subscriptions import gate, memory
from tests import stores as fake
from tests.stores import Stores

SECRET_PARTS = ["web-key", fake.REVENUECAT_KEY, fake.APPLE_SECRET, "ya29.a", "PRIVATE KEY"]


@pytest.fixture(scope="module")
def stores():
    with Stores() as running:
        yield running


@pytest.fixture(autouse=True)
def configure(stores, monkeypatch):
    """Return a function that changes settings; every store is configured, in production, before."""

    def change(**changes):
        for name, value in changes.items():
            monkeypatch.setenv(name, value)
        environment_settings.cache_clear()
        store_settings.cache_clear()

    change(**stores.environment)
    yield change
    monkeypatch.undo()
    environment_settings.cache_clear()
    store_settings.cache_clear()


@pytest.fixture
def pass_time(monkeypatch):
    """Return a function that lets seconds pass by the monotonic clock, as a sleep does; else it stands still."""
    now = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def let(seconds):
        now[0] += seconds

    monkeypatch.setattr(time, "sleep", let)
    return let


@pytest.fixture(autouse=True)
def fresh(monkeypatch, pass_time):
    """Let each test ask as if it were the first."""
    monkeypatch.setattr(subscriptions, "_memory", memory.Memory())
    gates = {store: gate.StoreGate(time.monotonic) for store in subscriptions._gates}
    monkeypatch.setattr(subscriptions, "_gates", gates)
    monkeypatch.setattr(subscriptions, "_noes", gate.Noes(time.monotonic))


@pytest.fixture
def token():
    """Return a token that no other test has."""
    return f"token-{uuid4()}"


@pytest.fixture(autouse=True)
def outcome(caplog, token):
    """Return a function that says what the store's last answer is called in the log; no token is ever in it."""
    caplog.set_level(logging.INFO, "shared.subscriptions")
    yield lambda: (caplog.records[-1].store, caplog.records[-1].outcome)
    for record in caplog.records:
        for part in [token, *SECRET_PARTS]:
            assert part not in str(record.__dict__)
