"""Apple's signed transactions."""

import hashlib
import json
from base64 import b64encode
from datetime import timedelta

import pytest

from shared.subscriptions import apple, apple_root_ca_g3, outcomes
from shared.subscriptions.asking import FOREVER, Inquiry
from tests.shared.subscriptions.presenting import lets_in
from tests.stores import HOUR, Apple, ends_in


@pytest.fixture(scope="module")
def signer():
    return Apple()


def is_paid(jws, root):
    try:
        apple.paid_until(jws, Inquiry(), root_certificate=root)
    except outcomes.NotPaid:
        return False
    return True


def test_the_root_is_apples():
    digest = hashlib.sha256(apple_root_ca_g3.CERTIFICATE).hexdigest()
    assert digest == "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179"


def test_a_signed_transaction_ends_when_it_says(signer):
    end = ends_in(HOUR)
    found = apple.paid_until(signer.sign(end), Inquiry(), root_certificate=signer.root)
    assert abs(found - end) < timedelta(milliseconds=1)


def test_a_transaction_of_anybody_elses_authority_lets_nobody_in(signer, outcome):
    assert not lets_in(f"Apple {signer.sign(ends_in(HOUR))}")
    assert outcome() == ("apple", "not_paid")
    assert not is_paid(Apple().sign(ends_in(HOUR)), signer.root)


@pytest.mark.parametrize(
    ("end", "changes"),
    [
        (-HOUR, {}),
        (None, {}),
        (HOUR, {"revocationDate": 1_767_225_600_000, "revocationReason": 0}),
        (HOUR, {"bundleId": "com.example.other"}),
        (HOUR, {"environment": "Sandbox"}),
        (HOUR, {"environment": "Xcode"}),
        (HOUR, {"environment": "LocalTesting"}),
    ],
    ids=["expired", "not a subscription", "refunded", "another app's", "sandbox", "Xcode", "local testing"],
)
def test_a_transaction_that_is_not_of_a_paid_subscription_lets_nobody_in(signer, end, changes):
    jws = signer.sign(None if end is None else ends_in(end), **changes)
    assert not is_paid(jws, signer.root)


@pytest.mark.parametrize(("environment", "paid"), [("production", False), ("staging", True), ("local", True)])
def test_a_transaction_of_the_sandbox_counts_outside_production_only(configure, signer, environment, paid):
    configure(ENVIRONMENT=environment)
    assert is_paid(signer.sign(ends_in(HOUR), environment="Sandbox"), signer.root) == paid
    assert not is_paid(signer.sign(ends_in(HOUR), environment="Xcode"), signer.root)


def test_a_transaction_that_was_changed_lets_nobody_in(signer):
    header, _, signature = signer.sign(ends_in(-HOUR)).split(".")
    _, later, _ = signer.sign(ends_in(HOUR)).split(".")
    assert not is_paid(f"{header}.{later}.{signature}", signer.root)
    unsigned = b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).decode().rstrip("=")
    assert not is_paid(f"{unsigned}.{later}.", signer.root)


@pytest.mark.parametrize("jws", ["..", "a.b.c", "e30.e30.e30", "\u00ff.\u00ff.\u00ff"])
def test_what_is_no_transaction_lets_nobody_in(jws):
    assert not lets_in(f"Apple {jws}")


def test_the_bundle_id_can_be_another(configure, signer):
    configure(APPLE_BUNDLE_ID="com.example.other")
    assert is_paid(signer.sign(ends_in(HOUR), bundleId="com.example.other"), signer.root)


def test_a_transaction_of_the_product_that_was_sold_once_has_no_end(signer):
    """developer.apple.com, JWSTransactionDecodedPayload: `expiresDate` is of subscriptions only."""
    jws = signer.sign(None, productId="pro", type="Non-Consumable")
    assert apple.paid_until(jws, Inquiry(), root_certificate=signer.root) == FOREVER
    assert not is_paid(signer.sign(None, productId="pro", revocationDate=1_767_225_600_000), signer.root)
    assert not is_paid(signer.sign(None, productId="coffee", type="Non-Consumable"), signer.root)
    assert not is_paid(signer.sign(None, productId="pro", bundleId="com.example.other"), signer.root)
