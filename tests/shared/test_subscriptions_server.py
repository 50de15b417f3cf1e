"""Subscriptions as phones present them: to a running server that asks the stores, with the header that they send."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import uuid4

import pytest
import requests

from client.model_server import ModelServer
from tests import stores as fake
from tests.servers import Servers
from tests.stores import ENTITLEMENT, HOUR, Stores, customer, ends_in, purchase, receipt
from tests.waiting import WAIT_SECONDS

WISHES = {
    "age": 30,
    "gender": "any",
    "weight_kg": 80,
    "experience_level": "beginner",
    "goals": "strength",
    "days_per_week": 3,
}


@pytest.fixture(scope="module")
def stores():
    with Stores() as running:
        yield running


@pytest.fixture(scope="module")
def running(database_url, stores):
    """Return servers whose stores and model are ours."""
    with (
        ModelServer() as model,
        Servers(database_url, **stores.environment, OPENAI_BASE_URL=model.base_url, THREADS="80") as servers,
    ):
        yield servers


@pytest.fixture(params=["ai", "gateway"])
def post(request, running):
    """Return a function that asks for a plan with an Authorization header."""

    def send(authorization):
        return requests.post(
            f"{running[request.param].url}/ai/workout",
            json=WISHES,
            headers={"Authorization": authorization},
            timeout=WAIT_SECONDS,
        )

    return send


def test_each_store_opens_the_door(post, stores):
    token = uuid4().hex
    stores.customers[f"$RCAnonymousID:{token}"] = customer((ENTITLEMENT, ends_in(HOUR)))
    stores.purchases[token] = purchase("ACTIVE", ends_in(HOUR))
    stores.receipts[token] = receipt(ends_in(HOUR))
    for authorization in (
        "Web web-key",
        f"Bearer RevenueCat $RCAnonymousID:{token}",
        f"Google pro_monthly:{token}",
        f"Bearer Apple {token}",
    ):
        answer = post(authorization)
        assert (authorization, answer.status_code) == (authorization, 200)
        assert [session["name"] for session in answer.json()["sessions"]] == ["Push", "Pull", "Legs"]


@pytest.mark.parametrize("size_bytes", [5_000, 20_000, 45_000])
def test_a_receipt_may_be_longer_than_headers_usually_are(post, stores, size_bytes):
    token = b64encode(uuid4().bytes + bytes(size_bytes)).decode()
    assert post(f"Apple {token}").status_code == 401
    stores.receipts[token] = receipt(ends_in(HOUR))
    assert post(f"Bearer Apple {token}").status_code == 200


def test_a_refusal_says_no_more_than_that(post):
    for authorization in ("", "Web other", f"RevenueCat {uuid4().hex}", "Google x", "Apple x", "Nobody x"):
        answer = post(authorization)
        assert answer.status_code == 401
        assert answer.json()["type"] == "urn:liftlog:problem:not-subscribed"
        assert answer.json() == post("Web other").json()


def test_the_twenty_first_request_of_a_day_must_wait(post, stores, db):
    token = uuid4().hex
    stores.customers[token] = customer((ENTITLEMENT, ends_in(HOUR)))
    instants = [datetime.now(UTC) - timedelta(hours=hours) for hours in range(1, 20)]
    key = fake.key_of(token)
    db.rows(
        "INSERT INTO rate_limit_consumptions (key, requests) VALUES (:key, CAST(:requests AS timestamptz[]))",
        key=key, requests=instants,
    )  # fmt: skip
    assert post(f"RevenueCat {token}").status_code == 200
    answer = post(f"RevenueCat {token}")
    assert (answer.status_code, answer.json()["type"]) == (429, "urn:liftlog:problem:rate-limited")
    wait = parsedate_to_datetime(answer.headers["Retry-After"]) - (min(instants) + timedelta(hours=24))
    assert timedelta(0) <= wait < timedelta(seconds=1)
