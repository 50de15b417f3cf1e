"""Google's purchases."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from shared.subscriptions import google_play
from tests import stores as fake
from tests.shared.subscriptions.presenting import know, lets_in
from tests.stores import HOUR, Reply, ends_in, purchase


@pytest.mark.parametrize(
    ("state", "end", "is_in"),
    [
        ("ACTIVE", HOUR, True),
        ("IN_GRACE_PERIOD", HOUR, True),
        ("CANCELED", HOUR, True),
        ("CANCELED", -HOUR, False),
        ("EXPIRED", -HOUR, False),
        ("EXPIRED", HOUR, False),  # revoked, and refunded
        ("ON_HOLD", HOUR, False),
        ("PAUSED", HOUR, False),
        ("PENDING", HOUR, False),
        ("PENDING_PURCHASE_CANCELED", HOUR, False),
        ("UNSPECIFIED", HOUR, False),
    ],
)
@pytest.mark.parametrize("form", ["{}", "pro_monthly:{}"])
def test_google_knows_active_grace_and_cancelled_until_the_end(stores, token, outcome, state, end, is_in, form):
    stores.purchases[token] = purchase(state, ends_in(end))
    assert lets_in("Google " + form.format(token)) == is_in
    assert outcome() == ("google", "paid" if is_in else "not_paid")


def test_the_product_that_is_named_must_be_the_one_that_was_bought(stores, token):
    stores.purchases[token] = purchase("ACTIVE", ends_in(HOUR), product="pro_yearly")
    assert not lets_in(f"Google pro_monthly:{token}")
    assert lets_in(f"Google pro_yearly:{token}")


@pytest.mark.parametrize("status", [400, 404, 410])
def test_google_says_in_three_ways_that_there_is_no_such_purchase(stores, token, outcome, status):
    stores.purchases[token] = Reply(status, {"error": {"code": status}})
    assert not lets_in(f"Google {token}")
    assert outcome() == ("google", "not_paid")


@pytest.mark.parametrize(("environment", "is_in"), [("production", False), ("", False), ("staging", True)])
def test_a_test_purchase_counts_outside_production_only(configure, stores, token, environment, is_in):
    configure(ENVIRONMENT=environment)
    stores.purchases[token] = purchase("ACTIVE", ends_in(HOUR), testPurchase={})
    assert lets_in(f"Google {token}") == is_in


@pytest.mark.parametrize("expiry", [None, 5, "soon", "2999-01-01T00:00:00", []])
def test_an_unexpected_purchase_lets_nobody_in(stores, token, outcome, expiry):
    reply = purchase("ACTIVE", ends_in(HOUR))
    reply.body["lineItems"][0]["expiryTime"] = expiry
    stores.purchases[token] = reply
    assert not lets_in(f"Google {token}")
    assert outcome() == ("google", "store_failed")


def test_nanoseconds_of_google_are_read(stores, token):
    reply = purchase("ACTIVE", ends_in(HOUR))
    reply.body["lineItems"][0]["expiryTime"] = "2999-01-01T00:00:00.123456789Z"
    stores.purchases[token] = reply
    assert lets_in(f"Google {token}")


def test_a_grant_is_used_until_it_is_about_to_end(stores, token, monkeypatch):
    google_play._grants.clear()
    before = stores.asked["/token"]
    for number in range(3):
        stores.purchases[f"{token}{number}"] = purchase("ACTIVE", ends_in(HOUR))
        assert lets_in(f"Google {token}{number}")
    assert stores.asked["/token"] == before + 1
    monkeypatch.setattr(google_play, "SPARE_SECONDS", 3600)
    google_play._grants.clear()
    assert lets_in(f"Google {token}0")  # remembered
    for number in (3, 4):
        stores.purchases[f"{token}{number}"] = purchase("ACTIVE", ends_in(HOUR))
        assert lets_in(f"Google {token}{number}")
    assert stores.asked["/token"] == before + 3


@pytest.mark.parametrize(
    "grant",
    [
        Reply(400, {"error": "invalid_grant"}),
        Reply(500, {}),
        Reply(200, {}),
        Reply(200, {"access_token": 1, "expires_in": 1}),
        Reply(200, {"access_token": "ya29.a", "expires_in": "later"}),
        Reply(200, b"nonsense"),
    ],
)
def test_without_a_grant_nobody_is_let_in(stores, token, outcome, monkeypatch, grant):
    monkeypatch.setattr(stores, "grant", grant)
    google_play._grants.clear()
    know(stores, "Google", token)
    assert not lets_in(f"Google {token}")
    assert outcome() == ("google", "store_failed")


def pkcs12_key():
    return pkcs12.serialize_key_and_certificates(
        None, fake.rsa_key(), None, None, BestAvailableEncryption(b"notasecret")
    )


@pytest.mark.parametrize("content", [lambda: fake.pem(fake.rsa_key()), pkcs12_key], ids=["PEM", "PKCS#12"])
def test_the_key_may_come_apart_from_the_account(configure, stores, token, outcome, content):
    google_play._grants.clear()
    know(stores, "Google", token)
    key = b64encode(content()).decode()
    configure(GOOGLE_PLAY_KEY=key, GOOGLE_PLAY_EMAIL="")
    assert not lets_in(f"Google {token}")
    assert outcome() == ("google", "not_configured")
    configure(GOOGLE_PLAY_EMAIL=fake.ACCOUNT)
    assert lets_in(f"Google {token}")


@pytest.mark.parametrize(
    "key",
    [
        "not base64!",
        "AAAA",
        b64encode(b"{").decode(),
        b64encode(b"{}").decode(),
        b64encode(b'{"client_email": "a", "private_key": "b"}').decode(),
        b64encode(b'{"client_email": 1, "private_key": null}').decode(),
        b64encode(b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----").decode(),
        b64encode(b"-----BEGIN \xff").decode(),
    ],
)
def test_a_key_that_cannot_be_read_denies(configure, stores, token, outcome, key):
    know(stores, "Google", token)
    configure(GOOGLE_PLAY_KEY=key, GOOGLE_PLAY_EMAIL=fake.ACCOUNT)
    assert not lets_in(f"Google {token}")
    assert outcome() == ("google", "not_configured")
