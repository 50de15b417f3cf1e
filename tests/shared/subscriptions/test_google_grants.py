"""The access tokens with which Google is asked, and the service account that they are granted to."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from shared.subscriptions import google_grants
from tests import stores as fake
from tests.shared.subscriptions.presenting import know, lets_in
from tests.stores import HOUR, Reply, ends_in, purchase


def test_a_grant_is_used_until_it_is_about_to_end(stores, token, monkeypatch):
    google_grants._grants.clear()
    before = stores.asked["/token"]
    for number in range(3):
        stores.purchases[f"{token}{number}"] = purchase("ACTIVE", ends_in(HOUR))
        assert lets_in(f"Google {token}{number}")
    assert stores.asked["/token"] == before + 1
    monkeypatch.setattr(google_grants, "SPARE_SECONDS", 3600)
    google_grants._grants.clear()
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
    google_grants._grants.clear()
    know(stores, "Google", token)
    assert not lets_in(f"Google {token}")
    assert outcome() == ("google", "store_failed")


def pkcs12_key():
    return pkcs12.serialize_key_and_certificates(
        None, fake.rsa_key(), None, None, BestAvailableEncryption(b"notasecret")
    )


@pytest.mark.parametrize("content", [lambda: fake.pem(fake.rsa_key()), pkcs12_key], ids=["PEM", "PKCS#12"])
def test_the_key_may_come_apart_from_the_account(configure, stores, token, outcome, content):
    google_grants._grants.clear()
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


# github.com/googleapis/google-api-java-client/issues/548 has the 401; a key that was revoked in the console has it, too
def test_an_access_token_that_google_refuses_is_renewed_once(stores, token, outcome, monkeypatch):
    know(stores, "Google", token)
    know(stores, "Google", f"{token}2")
    assert lets_in(f"Google {token}")
    monkeypatch.setattr(stores, "access_token", "ya29.a-new")
    before = stores.asked["/token"]
    assert lets_in(f"Google {token}2")
    assert stores.asked["/token"] == before + 1
    know(stores, "Google", f"{token}3")
    assert lets_in(f"Google {token}3")
    assert stores.asked["/token"] == before + 1, "the new one is kept"


def test_a_new_access_token_that_google_refuses_too_is_not_renewed_again(stores, token, outcome, monkeypatch):
    google_grants._grants.clear()
    know(stores, "Google", token)
    monkeypatch.setattr(stores, "grant", Reply(200, {"access_token": "ya29.a-bad", "expires_in": 3599}))
    before = stores.asked.copy()
    assert not lets_in(f"Google {token}")
    assert outcome() == ("google", "store_failed")
    assert sorted((stores.asked - before).values()) == [2, 2]
    google_grants._grants.clear()
