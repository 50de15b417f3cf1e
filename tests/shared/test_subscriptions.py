"""Subscriptions: what each store's word is worth, and that nothing but its yes lets anybody in."""

import hashlib
import json
import logging
import socket
import threading
import time
from base64 import b64encode
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from shared import subscriptions
from shared.errors import InvalidSetting, NotSubscribed, Overloaded
from shared.settings.environment import environment_settings
from shared.settings.stores import store_settings
from shared.subscriptions import apple, apple_root_ca_g3, asking, gate, google_play, memory, outcomes
from shared.subscriptions.subscribers import Subscriber
from tests import stores as fake
from tests.stores import ENTITLEMENT, HOUR, Apple, Reply, Stores, customer, ends_in, purchase, receipt

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
    """Return a function that lets seconds pass by the monotonic clock, which stands still otherwise."""
    now = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def let(seconds):
        now[0] += seconds

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


def lets_in(authorization):
    try:
        subscriptions.authenticate(authorization)
    except NotSubscribed:
        return False
    return True


@contextmanager
def listening(answer):
    """A server that answers one connection with bytes, whatever it is asked, and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


# the header


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


# every store


UNCONFIGURED = [
    ("Web", "WEB_AUTH_API_KEY"),
    ("RevenueCat", "REVENUECAT_API_KEY"),
    ("RevenueCat", "REVENUECAT_PROJECT_ID"),
    ("RevenueCat", "REVENUECAT_ENTITLEMENT_ID"),
    ("Google", "GOOGLE_PLAY_KEY"),
    ("Google", "GOOGLE_PLAY_PACKAGE"),
    ("Apple", "APPLE_SHARED_SECRET"),
]


@pytest.mark.parametrize(("store", "setting"), UNCONFIGURED)
def test_a_store_that_is_not_configured_denies(configure, stores, token, outcome, store, setting):
    know(stores, store, token)
    asked = sum(stores.asked.values())
    configure(**{setting: ""})
    assert not lets_in(f"{store} {token}")
    assert outcome() == (store.lower(), "not_configured")
    assert sum(stores.asked.values()) == asked


def test_an_unset_web_key_denies_an_empty_one_too(configure):
    configure(WEB_AUTH_API_KEY="")
    assert not lets_in("Web ")


def know(stores, store, token, reply=None):
    """Let a store know a token: with a good subscription, or with another reply."""
    if store == "RevenueCat":
        stores.customers[token] = reply or customer((ENTITLEMENT, ends_in(HOUR)))
    elif store == "Google":
        stores.purchases[token] = reply or purchase("ACTIVE", ends_in(HOUR))
    else:
        stores.receipts[token] = reply or receipt(ends_in(HOUR))


REMOTE = ["RevenueCat", "Google", "Apple"]
FAILURES = {
    "401": Reply(401, {"error": "unauthorized"}),
    "403": Reply(403, {"error": "forbidden"}),
    "429": Reply(429, {"error": "slow down"}),
    "500": Reply(500, b"<html>oops"),
    "503": Reply(503, {}),
    "redirect": Reply(302, {}),
    "empty": Reply(200, b""),
    "no JSON": Reply(200, b"<html>"),
    "no UTF-8": Reply(200, b'{"\xff": 1}'),
    "no object": Reply(200, [1]),
    "deeply nested": Reply(200, b"[" * 100_000),
    "endless": Reply(200, b'{"a":"' + b"x" * asking.LARGEST_ANSWER_BYTES + b'"}'),
}


@pytest.mark.parametrize("store", REMOTE)
def test_a_good_subscription_lets_in(stores, token, outcome, store):
    know(stores, store, token)
    assert subscriptions.authenticate(f"Bearer {store} {token}") == Subscriber(
        store.lower(), hashlib.sha256(token.encode()).hexdigest().upper()
    )
    assert outcome() == (store.lower(), "paid")


@pytest.mark.parametrize("store", REMOTE)
def test_an_unknown_token_does_not(token, outcome, store):
    assert not lets_in(f"{store} {token}")
    assert outcome() == (store.lower(), "not_paid")


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("store", REMOTE)
def test_a_failing_store_lets_nobody_in_and_is_told_apart(stores, token, outcome, store, failure):
    know(stores, store, token, FAILURES[failure])
    assert not lets_in(f"{store} {token}")
    assert outcome() == (store.lower(), "store_failed")


@pytest.mark.parametrize("store", REMOTE)
def test_a_store_that_says_nothing_is_given_up(stores, token, outcome, monkeypatch, store):
    monkeypatch.setattr(asking, "SILENCE_TIMEOUT_SECONDS", 0.2)
    know(stores, store, token, Reply(stalls=True))
    assert not lets_in(f"{store} {token}")
    assert outcome() == (store.lower(), "store_failed")


def yes():
    """RevenueCat's yes, as bytes."""
    items = [{"entitlement_id": ENTITLEMENT, "expires_at": None}]
    body = json.dumps({"active_entitlements": {"items": items}}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(("seconds", "verdict"), [(8.0, "paid"), (-1.0, "store_failed")])
def test_a_store_that_drips_is_given_up(configure, token, outcome, monkeypatch, seconds, verdict):
    monkeypatch.setattr(asking, "ANSWER_TIMEOUT_SECONDS", seconds)
    with listening(yes()) as url:
        configure(REVENUECAT_BASE_URL=url)
        assert lets_in(f"RevenueCat {token}") == (verdict == "paid")
    assert outcome() == ("revenuecat", verdict)


def test_a_store_leads_nowhere_else(configure, token, outcome):
    """Only the store that is configured is believed, whatever it answers."""
    with listening(yes()) as elsewhere:
        found = f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}/yes\r\nContent-Length: 0\r\n\r\n".encode()
        with listening(found) as url:
            configure(REVENUECAT_BASE_URL=url)
            assert not lets_in(f"RevenueCat {token}")
        assert outcome() == ("revenuecat", "store_failed")
        configure(REVENUECAT_BASE_URL=elsewhere)
        assert lets_in(f"RevenueCat {token}")


@pytest.mark.parametrize("answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
def test_a_store_that_breaks_off_lets_nobody_in(configure, token, outcome, answer):
    with listening(answer) as url:
        configure(REVENUECAT_BASE_URL=url)
        assert not lets_in(f"RevenueCat {token}")
    assert outcome() == ("revenuecat", "store_failed")


def test_a_store_that_nobody_runs_lets_nobody_in(configure, token, outcome):
    configure(REVENUECAT_BASE_URL="http://127.0.0.1:1")
    assert not lets_in(f"RevenueCat {token}")
    assert outcome() == ("revenuecat", "store_failed")


@pytest.mark.parametrize("store", ["RevenueCat", "Google"])
@pytest.mark.parametrize("evil", [".", "..", "../..", "a/b", "a?b=c", "a#b", "%2e%2e", "a%2Fb"])
def test_a_token_is_one_segment_of_a_path(stores, store, evil):
    know(stores, store, evil)
    before = set(stores.asked)
    assert lets_in(f"{store} {evil}") == (evil not in {".", ".."})
    for path in set(stores.asked) - before:
        assert path.endswith((f"/customers/{evil}", f"/tokens/{evil}", "/token"))


# what is remembered


def path_of(token):
    return f"/v2/projects/{fake.PROJECT}/customers/{token}"


def test_a_yes_is_remembered(stores, token):
    know(stores, "RevenueCat", token)
    assert lets_in(f"RevenueCat {token}")
    stores.customers.clear()
    assert lets_in(f"RevenueCat {token}")
    assert stores.asked[path_of(token)] == 1


def test_a_no_is_remembered_for_ten_seconds_so_that_a_purchase_counts_soon(stores, token, pass_time):
    assert not lets_in(f"RevenueCat {token}")
    know(stores, "RevenueCat", token)
    pass_time(9)
    assert not lets_in(f"RevenueCat {token}")
    assert stores.asked[path_of(token)] == 1
    pass_time(1.1)
    assert lets_in(f"RevenueCat {token}")
    assert stores.asked[path_of(token)] == 2


def test_a_no_of_one_store_is_none_of_another(stores, token):
    know(stores, "Google", token)
    assert not lets_in(f"RevenueCat {token}")
    assert lets_in(f"Google {token}")


def test_that_a_store_failed_is_not_remembered(stores, token):
    stores.customers[token] = FAILURES["503"]
    assert not lets_in(f"RevenueCat {token}")
    know(stores, "RevenueCat", token)
    assert lets_in(f"RevenueCat {token}")


def test_that_a_store_is_not_configured_is_not_remembered(configure, stores, token):
    know(stores, "RevenueCat", token)
    configure(REVENUECAT_API_KEY="")
    assert not lets_in(f"RevenueCat {token}")
    configure(REVENUECAT_API_KEY=fake.REVENUECAT_KEY)
    assert lets_in(f"RevenueCat {token}")


def test_a_web_key_counts_at_once_and_wrong_ones_are_answered_however_many_there_are(configure, token):
    assert not any(lets_in(f"Web {token}{number}") for number in range(3 * int(gate.BURST)))
    assert not lets_in(f"Web {token}")
    configure(WEB_AUTH_API_KEY=token)
    assert lets_in(f"Web {token}")


def test_a_yes_of_one_store_is_none_of_another(stores, token):
    know(stores, "RevenueCat", token)
    assert lets_in(f"RevenueCat {token}")
    assert not lets_in(f"Google {token}")


@pytest.mark.parametrize(
    ("paid_for", "age", "held"),
    [
        (timedelta(days=30), 299, True),
        (timedelta(days=30), 301, False),
        (timedelta(seconds=60), 59, True),
        (timedelta(seconds=60), 61, False),
        (timedelta(days=365_000), 301, False),
        (timedelta(seconds=-1), 0, False),
    ],
)
def test_a_yes_is_remembered_for_five_minutes_and_never_past_the_end(pass_time, paid_for, age, held):
    remembered, subscriber = memory.Memory(), Subscriber("web", "A")
    assert not remembered.is_paid(subscriber)
    remembered.add_paid(subscriber, datetime.now(UTC) + paid_for)
    pass_time(age)
    assert remembered.is_paid(subscriber) == held


def test_the_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(memory, "MOST_SUBSCRIBERS", 3)
    remembered, tomorrow = memory.Memory(), ends_in(timedelta(days=1))
    for key in "ABCAD":  # A is renewed, so that B is the oldest
        remembered.add_paid(Subscriber("web", key), tomorrow)
        remembered.add_not_paid(Subscriber("web", key))
    subscribers = [Subscriber("web", key) for key in "ABCD"]
    for holds in (remembered.is_paid, remembered.is_not_paid, remembered.knows):
        assert [subscriber.key for subscriber in subscribers if holds(subscriber)] == ["A", "C", "D"]


# how much a store is asked


def refused(authorization, address=None):
    """Tell whether nobody asks the store for us now."""
    try:
        subscriptions.authenticate(authorization, address)
    except NotSubscribed:
        return False
    except Overloaded:
        return True
    return False


def test_tokens_that_nobody_was_sold_do_not_use_up_what_a_store_answers(stores, token, pass_time):
    know(stores, "RevenueCat", token)
    assert lets_in(f"RevenueCat {token}")
    pass_time(memory.PAID_SECONDS + 1)
    before = sum(stores.asked.values())
    assert [refused(f"RevenueCat {token}{number}") for number in range(500)] == [False] * 30 + [True] * 470
    assert sum(stores.asked.values()) - before == 30
    assert lets_in(f"RevenueCat {token}"), "who was let in before has a part of it"
    assert not refused(f"Google {token}"), "another store is asked as ever"
    pass_time(60)
    assert not refused(f"RevenueCat {token}new")


def test_an_address_that_was_said_no_to_often_is_refused_before_it_uses_up_what_others_need(stores, token, pass_time):
    know(stores, "RevenueCat", token)
    assert not refused(f"RevenueCat {token}", "192.0.2.1")
    pass_time(memory.PAID_SECONDS + 1)
    asked = [not refused(f"RevenueCat {token}{number}", "192.0.2.1") for number in range(100)]
    assert asked == [True] * 20 + [False] * 80
    assert not refused(f"RevenueCat {token}", "192.0.2.1"), "who was let in before shares the address"
    assert not refused(f"RevenueCat {token}new", "192.0.2.2")
    assert not refused(f"RevenueCat {token}newer", None)
    pass_time(6.1)
    assert [refused(f"RevenueCat {token}newest{number}", "192.0.2.1") for number in range(2)] == [False, True]


def test_a_store_that_fails_counts_against_no_address(stores, token):
    stores.customers.update({f"{token}{number}": FAILURES["503"] for number in range(25)})
    assert not any(refused(f"RevenueCat {token}{number}", "192.0.2.1") for number in range(25))


def test_a_store_is_asked_so_much_and_no_more():
    now = [0.0]
    gates = gate.StoreGate(lambda: now[0])

    def asked():
        try:
            with gates.question(is_known=True):
                return True
        except Overloaded:
            return False

    assert sum(asked() for _ in range(100)) == gate.BURST
    for _ in range(20):
        now[0] += 0.25
        assert (asked(), asked()) == (True, False)
    now[0] += 3600
    assert sum(asked() for _ in range(100)) == gate.BURST


def test_a_store_is_asked_few_questions_at_once_and_the_last_place_is_for_those_who_were_let_in_before():
    way = gate.StoreGate()
    for _ in range(2):  # the places are given back
        with ExitStack() as under_way:
            for is_known in (False, False, False):
                under_way.enter_context(way.question(is_known=is_known))
            with pytest.raises(Overloaded):
                under_way.enter_context(way.question(is_known=False))
            under_way.enter_context(way.question(is_known=True))
            with pytest.raises(Overloaded):
                under_way.enter_context(way.question(is_known=True))


# RevenueCat


@pytest.mark.parametrize(
    ("known", "is_in"),
    [
        (customer((ENTITLEMENT, None)), True),
        (customer(("entlother", None), (ENTITLEMENT, ends_in(HOUR))), True),
        (customer((ENTITLEMENT, ends_in(-HOUR)), (ENTITLEMENT, ends_in(HOUR))), True),
        (customer(("entlother", None)), False),
        (customer((ENTITLEMENT, ends_in(-HOUR))), False),
        (customer(), False),
    ],
    ids=["for life", "beside another", "renewed", "another's", "expired", "refunded"],
)
def test_revenuecat_knows_the_pro_entitlement(stores, token, outcome, known, is_in):
    stores.customers[token] = known
    assert lets_in(f"RevenueCat {token}") == is_in
    assert outcome() == ("revenuecat", "paid" if is_in else "not_paid")


def test_an_anonymous_customer_is_found_by_the_encoded_id(stores):
    stores.customers["$RCAnonymousID:0a1b/2c"] = customer((ENTITLEMENT, None))
    assert lets_in("RevenueCat $RCAnonymousID:0a1b/2c")


@pytest.mark.parametrize("environment", ["local", "staging"])
def test_any_entitlement_counts_where_none_is_named_outside_production(configure, stores, token, environment):
    configure(REVENUECAT_ENTITLEMENT_ID="", ENVIRONMENT=environment)
    stores.customers[token] = customer(("entlother", None))
    assert lets_in(f"RevenueCat {token}")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"active_entitlements": None},
        {"active_entitlements": []},
        {"active_entitlements": {"items": {}}, "x": {"items": 1}},
        {"active_entitlements": {"items": [1]}},
        {"active_entitlements": {"items": "none"}},
        {"active_entitlements": {"items": [{"entitlement_id": ENTITLEMENT, "expires_at": "soon"}]}},
        {"active_entitlements": {"items": [{"entitlement_id": ENTITLEMENT, "expires_at": 10**30}]}},
        {"active_entitlements": {"items": [{"entitlement_id": ENTITLEMENT, "expires_at": []}]}},
    ],
)
def test_an_unexpected_customer_lets_nobody_in(stores, token, body):
    stores.customers[token] = Reply(200, body)
    assert not lets_in(f"RevenueCat {token}")


def test_a_wrong_key_lets_nobody_in(configure, stores, token, outcome):
    know(stores, "RevenueCat", token)
    configure(REVENUECAT_API_KEY="sk_old")
    assert not lets_in(f"RevenueCat {token}")
    assert outcome() == ("revenuecat", "store_failed")


# Google


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


# Apple: receipts


@pytest.mark.parametrize(
    ("known", "is_in"),
    [
        (receipt(ends_in(-HOUR), ends_in(HOUR)), True),
        (receipt(ends_in(-HOUR)), False),
        (receipt(), False),
        (receipt(ends_in(HOUR), refunded=True), False),
        (receipt(ends_in(HOUR), bundle="com.example.other"), False),
        (Reply(200, {"status": 21002}), False),
        (Reply(200, {"status": 21006}), False),
        (Reply(200, {"status": 21010}), False),
    ],
    ids=["renewed", "expired", "never bought", "refunded", "another app's", "malformed", "expired long ago", "deleted"],
)
def test_apple_knows_a_receipt(stores, token, outcome, known, is_in):
    stores.receipts[token] = known
    assert lets_in(f"Apple {token}") == is_in
    assert outcome() == ("apple", "paid" if is_in else "not_paid")


@pytest.mark.parametrize("environment", ["production", "staging"])
def test_a_receipt_of_the_sandbox_is_sent_on_to_it(configure, stores, token, environment, pass_time):
    """TestFlight and app reviewers have such receipts, with the app that production gets."""
    configure(ENVIRONMENT=environment)
    stores.receipts[token] = Reply(200, {"status": 21007})
    assert not lets_in(f"Apple {token}")
    stores.sandbox_receipts[token] = receipt(ends_in(HOUR), environment="Sandbox")
    pass_time(memory.NOT_PAID_SECONDS + 0.1)
    assert lets_in(f"Apple {token}")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "0"},
        {"status": 21000},
        {"status": 21004},
        {"status": 21005},
        {"status": 21008},
        {"status": 21009},
        {"status": 21100},
        {"status": 0, "latest_receipt_info": 1},
        {"status": 0, "latest_receipt_info": [{"expires_date_ms": "soon"}]},
    ],
)
def test_an_unexpected_answer_about_a_receipt_lets_nobody_in(stores, token, outcome, body):
    stores.receipts[token] = Reply(200, body)
    assert not lets_in(f"Apple {token}")
    assert outcome() == ("apple", "store_failed")


@pytest.mark.parametrize("info", [None, [], [{"product_id": "pro"}]])
def test_a_receipt_without_a_subscription_lets_nobody_in(stores, token, outcome, info):
    stores.receipts[token] = Reply(200, {"status": 0, "latest_receipt_info": info})
    assert not lets_in(f"Apple {token}")
    assert outcome() == ("apple", "not_paid")


# Apple: signed transactions


@pytest.fixture(scope="module")
def signer():
    return Apple()


def is_paid(jws, root):
    try:
        apple.paid_until(jws, root_certificate=root)
    except outcomes.NotPaid:
        return False
    return True


def test_the_root_is_apples():
    digest = hashlib.sha256(apple_root_ca_g3.CERTIFICATE).hexdigest()
    assert digest == "63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179"


def test_a_signed_transaction_ends_when_it_says(signer):
    end = ends_in(HOUR)
    found = apple.paid_until(signer.sign(end), root_certificate=signer.root)
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


# settings


def test_an_unknown_environment_is_a_fault_of_ours(configure, token):
    configure(ENVIRONMENT="prod", REVENUECAT_ENTITLEMENT_ID="")
    with pytest.raises(InvalidSetting, match="ENVIRONMENT"):
        subscriptions.authenticate(f"RevenueCat {token}")
