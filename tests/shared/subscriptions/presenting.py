"""What tests of subscriptions say of a header, and what stores answer when they fail."""

from shared import subscriptions
from shared.errors import NotSubscribed, Overloaded
from shared.subscriptions import asking
from tests import stores as fake
from tests.stores import ENTITLEMENT, HOUR, Reply, customer, ends_in, purchase, receipt

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


def lets_in(authorization):
    try:
        subscriptions.authenticate(authorization)
    except NotSubscribed:
        return False
    return True


def refused(authorization, address=None):
    """Tell whether nobody asks the store for us now."""
    try:
        subscriptions.authenticate(authorization, address)
    except NotSubscribed:
        return False
    except Overloaded:
        return True
    return False


def know(stores, store, token, reply=None):
    """Let a store know a token: with a good subscription, or with another reply."""
    if store == "RevenueCat":
        stores.customers[token] = reply or customer((ENTITLEMENT, ends_in(HOUR)))
    elif store == "Google":
        stores.purchases[token] = reply or purchase("ACTIVE", ends_in(HOUR))
    else:
        stores.receipts[token] = reply or receipt(ends_in(HOUR))


def path_of(token):
    return f"/v2/projects/{fake.PROJECT}/customers/{token}"
