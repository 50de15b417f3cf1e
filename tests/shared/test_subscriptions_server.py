"""Subscriptions as phones present them: to a running server that asks the stores, with the header that they send."""

from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from uuid import uuid4

import pytest
import requests

from client.model_server import ModelServer
from shared.subscriptions import gate
from tests import stores as fake
from tests.servers import Servers
from tests.stores import ENTITLEMENT, HOUR, Reply, Stores, customer, ends_in, purchase, receipt
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
    token, unknown = (b64encode(uuid4().bytes + bytes(size_bytes)).decode() for _ in range(2))
    stores.receipts[token] = receipt(ends_in(HOUR))
    assert post(f"Apple {unknown}").status_code == 401
    assert post(f"Bearer Apple {token}").status_code == 200


def test_a_refusal_says_no_more_than_that(post):
    for authorization in ("", "Web other", f"RevenueCat {uuid4().hex}", "Google x", "Apple x", "Nobody x"):
        answer = post(authorization)
        assert answer.status_code == 401
        assert answer.json()["type"] == "urn:liftlog:problem:not-subscribed"
        assert answer.json() == post("Web other").json()


def test_bogus_tokens_and_a_silent_store_take_no_thread_from_anybody_else(running, stores):
    """Eighty requests at once to a process of eighty threads: few wait for the store, the others are told so."""
    gateway = running["gateway"].url
    tokens = [uuid4().hex for _ in range(80)]
    stores.customers.update({token: Reply(stalls=True) for token in tokens})
    stores.most_stalled = 0

    def present(token):
        authorization = {"Authorization": f"RevenueCat {token}"}
        return requests.post(f"{gateway}/ai/workout", json=WISHES, headers=authorization, timeout=WAIT_SECONDS)

    with ThreadPoolExecutor(80) as threads:
        presented = [threads.submit(present, token) for token in tokens]
        next(as_completed(presented))
        assert requests.get(f"{gateway}/health", timeout=WAIT_SECONDS).status_code == 200
        answers = [future.result() for future in presented]
    assert {answer.status_code for answer in answers} == {401, 503}  # a store that was asked and failed is a 401
    told = next(answer for answer in answers if answer.status_code == 503)
    assert told.json()["type"] == "urn:liftlog:problem:overloaded"
    assert int(told.headers["Retry-After"]) > 0
    assert stores.most_stalled == gate.AT_ONCE - 1


def test_noes_count_against_the_address_that_a_trusted_proxy_names(database_url, stores):
    with Servers(database_url, **stores.environment, TRUSTED_PROXIES="127.0.0.0/8") as servers:

        def status_from(address):
            headers = {"Authorization": f"RevenueCat {uuid4().hex}", "X-Forwarded-For": address}
            url = f"{servers['ai'].url}/ai/workout"
            return requests.post(url, json=WISHES, headers=headers, timeout=WAIT_SECONDS).status_code

        assert {status_from("192.0.2.1") for _ in range(25)} == {401, 503}
        assert status_from("192.0.2.2") == 401


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
