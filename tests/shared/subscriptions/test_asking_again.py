"""A store whose failure may be over in a moment is asked again, once, within its time."""

import time

import pytest

from shared.subscriptions import asking, google_grants
from tests.shared.subscriptions.presenting import know, lets_in
from tests.stores import HOUR, Reply, ends_in, receipt

# RevenueCat's API v2: "Rate Limit" (this example), "Error Handling", "Error Types"
RATE_LIMIT = {
    "type": "rate_limit_error",
    "message": "Rate limit exceeded",
    "retryable": True,
    "doc_url": "https://errors.rev.cat/rate-limit-error",
    "backoff_ms": 1000,
}
LOCKED = RATE_LIMIT | {"type": "resource_locked_error", "backoff_ms": 500}
# google.aip.dev/193: the error model of Google's APIs
GOOGLE_BUSY = {"error": {"code": 503, "message": "The service is currently unavailable.", "status": "UNAVAILABLE"}}
GOOGLE_QUOTA = {"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}
# developer.apple.com: "status" and "is-retryable" of verifyReceipt; the other spelling is one that was answered
# (github.com/alexalok/AppleReceiptVerifier.NET/issues/8)
PASSING = {
    "RevenueCat's rate limit": ("RevenueCat", Reply(429, RATE_LIMIT, headers={"Retry-After": "1000"}), 1.0),
    "a customer that is locked": ("RevenueCat", Reply(423, LOCKED), 0.5),
    "RevenueCat's 500": ("RevenueCat", Reply(500, b"<html>"), 0.3),
    "RevenueCat's 502": ("RevenueCat", Reply(502, {}), 0.3),
    "Google's quota": ("Google", Reply(429, GOOGLE_QUOTA), 0.3),
    "Google's 503": ("Google", Reply(503, GOOGLE_BUSY, headers={"Retry-After": "2"}), 2.0),
    "Apple's 503": ("Apple", Reply(503, b""), 0.3),
    "a temporary issue": ("Apple", Reply(200, {"status": 21002}), 0.3),
    "temporarily unable": ("Apple", Reply(200, {"status": 21005}), 0.3),
    "internal data access error": ("Apple", Reply(200, {"status": 21009}), 0.3),
    "the first of a hundred": ("Apple", Reply(200, {"status": 21100}), 0.3),
    "is-retryable 1": ("Apple", Reply(200, {"status": 21199, "is-retryable": "1"}), 0.3),
    "is-retryable true": ("Apple", Reply(200, {"status": 21104, "is-retryable": True}), 0.3),
    "is_retryable": ("Apple", Reply(200, {"status": 21199, "is_retryable": True}), 0.3),
}
LASTING = {
    "retryable false": ("RevenueCat", Reply(500, RATE_LIMIT | {"retryable": False})),
    "401": ("RevenueCat", Reply(401, {"object": "error", "type": "authentication_error", "retryable": False})),
    "a long pause": ("RevenueCat", Reply(429, RATE_LIMIT | {"backoff_ms": 8000})),
    "a long Retry-After": ("Google", Reply(429, GOOGLE_QUOTA, headers={"Retry-After": "60"})),
    "an endless pause": ("RevenueCat", Reply(429, RATE_LIMIT | {"backoff_ms": 10**4000})),
    "an endless Retry-After": ("RevenueCat", Reply(503, b"", headers={"Retry-After": "9" * 5000})),
    "403": ("Google", Reply(403, {"error": {"code": 403, "status": "PERMISSION_DENIED"}})),
    "is-retryable 0": ("Apple", Reply(200, {"status": 21100, "is-retryable": "0"})),
    "is_retryable false": ("Apple", Reply(200, {"status": 21010, "is_retryable": False})),
    "another password": ("Apple", Reply(200, {"status": 21004})),
}


@pytest.fixture
def slept(monkeypatch, pass_time):
    """Return the pauses that were made, in seconds."""
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        pass_time(seconds)

    monkeypatch.setattr(time, "sleep", sleep)
    return pauses


def asked(stores):
    return sum(count for path, count in stores.asked.items() if path != "/token")


@pytest.mark.parametrize("case", PASSING)
def test_what_may_be_over_in_a_moment_is_asked_again(stores, token, outcome, slept, case):
    store, failure, pause_seconds = PASSING[case]
    know(stores, store, token)
    known = {"RevenueCat": stores.customers, "Google": stores.purchases, "Apple": stores.receipts}[store]
    known[token] = Reply(failure.status, failure.body, headers=failure.headers, then=known[token])
    before = asked(stores)
    assert lets_in(f"{store} {token}")
    assert outcome() == (store.lower(), "paid")
    assert asked(stores) - before == 2
    assert slept == [pause_seconds]


@pytest.mark.parametrize("case", PASSING)
def test_it_is_asked_again_once(stores, token, slept, case):
    store, failure, _ = PASSING[case]
    know(stores, store, token, failure)
    before = asked(stores)
    assert not lets_in(f"{store} {token}")
    assert asked(stores) - before == 2
    assert len(slept) == 1


@pytest.mark.parametrize("case", LASTING)
def test_what_will_last_is_not(stores, token, slept, case):
    store, failure = LASTING[case]
    know(stores, store, token, failure)
    before = asked(stores)
    assert not lets_in(f"{store} {token}")
    assert asked(stores) - before == 1
    assert slept == []


def test_one_question_of_all_is_asked_again(stores, token, slept):
    """Production and the sandbox are asked about one receipt: two failures are one too many."""
    stores.receipts[token] = Reply(200, {"status": 21005}, then=Reply(200, {"status": 21007}))
    busy = Reply(200, {"status": 21005}, then=receipt(ends_in(HOUR), environment="Sandbox"))
    stores.sandbox_receipts[token] = busy
    before = asked(stores)
    assert not lets_in(f"Apple {token}")
    assert asked(stores) - before == 3
    assert lets_in(f"Apple {token}")


def test_a_grant_is_asked_for_again(stores, token, monkeypatch, slept):
    google_grants._grants.clear()
    right = Reply(200, {"access_token": "ya29.a", "expires_in": 3599, "token_type": "Bearer"})
    monkeypatch.setattr(stores, "grant", Reply(503, b"", then=right))
    know(stores, "Google", token)
    assert lets_in(f"Google {token}")
    assert len(slept) == 1


def test_the_pause_is_within_the_time_that_a_store_has(stores, token, pass_time, monkeypatch, slept):
    stores.receipts[token] = Reply(200, {"status": 21005}, then=receipt(ends_in(HOUR)))
    monkeypatch.setattr(asking, "ANSWER_TIMEOUT_SECONDS", asking.REPEAT_SECONDS - 0.01)  # no tie of floats
    assert not lets_in(f"Apple {token}")
    assert slept == []
