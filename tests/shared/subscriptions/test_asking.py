"""Every store: what its word is worth, and that nothing but its yes lets anybody in."""

import hashlib
import json
import socket
import threading
from contextlib import contextmanager

import pytest

from shared import subscriptions
from shared.errors import InvalidSetting
from shared.subscriptions import asking
from shared.subscriptions.subscribers import Subscriber
from tests.shared.subscriptions.presenting import FAILURES, REMOTE, know, lets_in
from tests.stores import ENTITLEMENT, Reply


@contextmanager
def listening(*answers, before_answering=lambda: None):
    """A server that answers one connection after another with bytes, whatever it is asked, and closes each."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    before_answering()
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join()


CUT = [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"]
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


@pytest.mark.parametrize(("seconds", "verdict"), [(7.9, "paid"), (8.1, "store_failed")])
def test_a_store_has_eight_seconds_however_it_drips(configure, token, outcome, pass_time, seconds, verdict):
    with listening(yes(), before_answering=lambda: pass_time(seconds)) as url:
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


@pytest.mark.parametrize("answer", CUT)
def test_a_store_that_breaks_off_twice_lets_nobody_in(configure, token, outcome, answer):
    with listening(answer, answer) as url:
        configure(REVENUECAT_BASE_URL=url)
        assert not lets_in(f"RevenueCat {token}")
    assert outcome() == ("revenuecat", "store_failed")


@pytest.mark.parametrize("answer", CUT)
def test_a_store_that_breaks_off_is_asked_again(configure, token, outcome, answer):
    with listening(answer, yes()) as url:
        configure(REVENUECAT_BASE_URL=url)
        assert lets_in(f"RevenueCat {token}")
    assert outcome() == ("revenuecat", "paid")


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


def test_an_unknown_environment_is_a_fault_of_ours(configure, token):
    configure(ENVIRONMENT="prod", REVENUECAT_ENTITLEMENT_ID="")
    with pytest.raises(InvalidSetting, match="ENVIRONMENT"):
        subscriptions.authenticate(f"RevenueCat {token}")
