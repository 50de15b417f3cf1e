"""Who may use the planner: whoever presents a token that belongs to a paid subscription, in one of four stores.

    Authorization: [Bearer ]{Store} {token}      Store: Web, RevenueCat, Google, Apple, whatever its case

Each store is a module with one function, `paid_until(token, inquiry)`. What a store says yes to is remembered for up
to five minutes and never past the subscription's end, so that a chat does not ask at each message; a no for ten
seconds, so that repeating it costs the store nothing. That a store failed is not remembered; whom it has said yes to
within the last day stays in meanwhile.
"""

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

import flask
from gunicorn.config import LimitRequestFieldSize

from shared.errors import NotSubscribed, Overloaded
from shared.http.clients import client_address
from shared.metrics import registry
from shared.settings.stores import store_settings
from shared.subscriptions import apple, google_play, revenuecat, web
from shared.subscriptions.asking import Inquiry
from shared.subscriptions.gate import Noes, StoreGate
from shared.subscriptions.memory import Memory
from shared.subscriptions.outcomes import NotPaid, Refused, StoreFailed
from shared.subscriptions.subscribers import Subscriber

log = logging.getLogger(__name__)

PaidUntil = Callable[[str, Inquiry], datetime]  # the subscription's end, UTC; raises Refused

WITHIN = "web"  # answered here: nobody is asked, and a key that was replaced counts at once
ELSEWHERE: dict[str, PaidUntil] = {
    "revenuecat": revenuecat.paid_until,
    "google": google_play.paid_until,
    "apple": apple.paid_until,
}

CHECKS = "liftlog_subscription_checks_total"
LONGEST_HEADER_BYTES = 64 * 1024
# An App Store receipt passes gunicorn's 8190 bytes, and functions-framework has no option for it. Functions are loaded
# before their server is configured.
LimitRequestFieldSize.default = LONGEST_HEADER_BYTES

_memory = Memory()
_gates = {store: StoreGate() for store in ELSEWHERE}
_noes = Noes()


def guard(authorization: str | None) -> Subscriber:
    """Return the subscriber whom an Authorization header of the present request proves, like `authenticate`."""
    return authenticate(authorization, client_address(flask.request))


def authenticate(authorization: str | None, address: str | None = None) -> Subscriber:
    """Return the subscriber whom an Authorization header proves. `address`: who asks, None where nobody knows.

    Raises NotSubscribed, also where a store fails, and Overloaded where stores are being asked too much; neither of
    the two for somebody whom the store has said yes to lately.
    """
    store, token = _store_and_token(authorization or "")
    subscriber = Subscriber(store, hashlib.sha256(token.encode()).hexdigest().upper())
    if _memory.is_paid(subscriber):
        return subscriber
    if _memory.is_not_paid(subscriber):
        raise NotSubscribed
    try:
        _memory.add_paid(subscriber, _answer(subscriber, token, address))
    except (Refused, Overloaded) as failed:
        if not _may_stay(subscriber, failed):
            _refuse(subscriber, failed, address)
        _memory.add_trusted(subscriber)
        _note(logging.WARNING, "subscription accepted", store, "trusted", str(failed))
    else:
        _note(logging.INFO, "subscription accepted", store, "paid")
    return subscriber


def _store_and_token(authorization: str) -> tuple[str, str]:
    parts = [part for part in authorization.split(" ") if part]
    if parts and parts[0].lower() == "bearer":
        del parts[0]
    if len(parts) != 2 or parts[0].lower() not in {WITHIN, *ELSEWHERE}:
        raise NotSubscribed
    return parts[0].lower(), parts[1]


def _answer(subscriber: Subscriber, token: str, address: str | None) -> datetime:
    if subscriber.store == WITHIN:
        return web.paid_until(token)
    is_known = _memory.knows(subscriber)
    if not is_known:
        _noes.check(address)
    with _gates[subscriber.store].question(is_known=is_known) as may_repeat:
        return ELSEWHERE[subscriber.store](token, Inquiry(may_repeat))


def _may_stay(subscriber: Subscriber, failed: Exception) -> bool:
    """Tell whether a subscriber stays in, since the store could not be asked: its outage is not the subscriber's."""
    could_not_ask = isinstance(failed, StoreFailed | Overloaded)
    return could_not_ask and _memory.was_paid_within(subscriber, store_settings().outage_hours * 3600)


def _refuse(subscriber: Subscriber, failed: Refused | Overloaded, address: str | None) -> NoReturn:
    """Raise NotSubscribed or Overloaded, and remember a no."""
    store = subscriber.store
    if isinstance(failed, Overloaded):
        registry.count(CHECKS, store=store, outcome="overloaded")
        raise failed
    _note(failed.level, "subscription refused", store, failed.outcome, str(failed))
    if isinstance(failed, NotPaid) and store != WITHIN:
        _memory.add_not_paid(subscriber)
        _noes.add(address)
    raise NotSubscribed from None


def _note(level: int, event: str, store: str, outcome: str, reason: str = "") -> None:
    """Log and count what became of a question to a store."""
    fields = {"store": store, "outcome": outcome}
    log.log(level, event, extra=fields | ({"reason": reason} if reason else {}))
    registry.count(CHECKS, store=store, outcome=outcome)
