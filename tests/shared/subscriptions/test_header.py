"""The Authorization header: a store and a token."""

import hashlib

import pytest

from shared import subscriptions
from shared.subscriptions.subscribers import Subscriber
from tests.shared.subscriptions.presenting import lets_in


@pytest.mark.parametrize(
    "authorization",
    [
        "Web web-key",
        "web web-key",
        "WEB web-key",
        "Bearer Web web-key",
        "bearer wEB web-key",
        "  Bearer   Web   web-key  ",
    ],
)
def test_a_header_is_a_store_and_a_token_perhaps_behind_bearer(authorization):
    assert subscriptions.authenticate(authorization) == Subscriber(
        "web", hashlib.sha256(b"web-key").hexdigest().upper()
    )


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        " ",
        "web-key",
        "Web",
        "Bearer",
        "Bearer web-key",
        "Bearer Web",
        "Bearer Bearer Web web-key",
        "Web web-key more",
        "Bearer Web web-key more",
        "Basic web-key",
        "Basic Web web-key",
        "Web\tweb-key",
        "Web:web-key",
        "Web WEB-KEY",
        "Web web-ke",
        "Web web-key2",
        "Web ke\u00ff",
        "Web web-key,Web web-key",
        "Amazon web-key",
    ],
)
def test_any_other_header_lets_nobody_in(authorization):
    assert not lets_in(authorization)


@pytest.mark.parametrize(("store", "requests"), [("web", 100), ("revenuecat", 20), ("google", 20), ("apple", 20)])
def test_a_store_decides_how_many_requests_a_day(store, requests):
    assert Subscriber(store, "").daily_requests == requests
