"""Google Play, for older apps: the token is a purchase token, or productId:purchaseToken.

It is of a subscription (`purchases.subscriptionsv2`), or of the product that was bought once and for good before there
were any (`purchases.productsv2`, which replaces the `purchases.products` that the original backend asked).
"""

from datetime import datetime
from http import HTTPStatus

from shared.settings.environment import environment_settings
from shared.settings.stores import store_settings
from shared.subscriptions import google_grants
from shared.subscriptions.asking import FOREVER, Inquiry, Json, latest, objects, path_segment
from shared.subscriptions.outcomes import NotConfigured, NotPaid, StoreFailed

API_URL = "https://androidpublisher.googleapis.com"
PAID_STATES = frozenset(
    {"SUBSCRIPTION_STATE_ACTIVE", "SUBSCRIPTION_STATE_IN_GRACE_PERIOD", "SUBSCRIPTION_STATE_CANCELED"}
)  # cancelled ones end with what is paid for
PURCHASED = "PURCHASED"  # neither CANCELLED, as one that was refunded and revoked is, nor PENDING
SUBSCRIPTIONS, PRODUCTS = "subscriptionsv2", "productsv2"
NO_SUCH_PURCHASE = frozenset({400, 404, 410})  # not a token; of no purchase; of one that ended long ago


def paid_until(token: str, inquiry: Inquiry) -> datetime:
    """Return the end of the purchase. Raises NotConfigured, NotPaid, StoreFailed."""
    settings = store_settings()
    if not settings.google_play_package:
        raise NotConfigured("GOOGLE_PLAY_PACKAGE is not set")
    product_id, _, purchase_token = token.rpartition(":")
    for resource in _resources(product_id):
        purchase = _find(resource, purchase_token, inquiry)
        if purchase is not None:
            return _end_of_product(purchase) if resource == PRODUCTS else _end_of_subscription(purchase, product_id)
    raise NotPaid


def _resources(product_id: str) -> tuple[str, ...]:
    """Return what the purchase may be, the likelier first: a token does not tell, and only one of them knows it."""
    if not product_id:
        return SUBSCRIPTIONS, PRODUCTS
    return (PRODUCTS, SUBSCRIPTIONS) if product_id == store_settings().pro_product_id else (SUBSCRIPTIONS,)


def _end_of_product(purchase: Json) -> datetime:
    """Return the end of time if the product was bought, and not refunded so that it was taken back."""
    state = purchase.get("purchaseStateContext")
    if not isinstance(state, dict):
        raise StoreFailed("unexpected purchaseStateContext")
    _refuse_tests(purchase, "testPurchaseContext")
    wanted = store_settings().pro_product_id
    is_pro = any(line.get("productId") == wanted for line in objects(purchase, "productLineItem"))
    if not is_pro or state.get("purchaseState") != PURCHASED:
        raise NotPaid
    return FOREVER


def _end_of_subscription(purchase: Json, product_id: str) -> datetime:
    if purchase.get("subscriptionState") not in PAID_STATES:
        raise NotPaid
    _refuse_tests(purchase, "testPurchase")
    lines = objects(purchase, "lineItems")
    named = [line for line in lines if product_id in {"", line.get("productId")}]
    if not named:
        raise NotPaid
    ends = _ends(named) or _ends(lines)
    if not ends:
        raise StoreFailed("no expiryTime")
    return latest(ends)


def _ends(lines: list[Json]) -> list[datetime]:
    """Return the ends of the lines that have begun.

    The product that a deferred replacement puts in place of another has no expiryTime until then
    (developer.android.com/google/play/billing/subscriptions, "Handle deferred replacement").
    """
    return [_end(line) for line in lines if line.get("expiryTime") is not None]


def _end(line: Json) -> datetime:
    try:
        end = datetime.fromisoformat(line["expiryTime"])
    except (KeyError, TypeError, ValueError):
        raise StoreFailed("unexpected expiryTime") from None
    if end.tzinfo is None:
        raise StoreFailed("unexpected expiryTime")
    return end


def _refuse_tests(purchase: Json, mark: str) -> None:
    """Raise NotPaid in production for a purchase of a licence tester, whom it cost nothing."""
    if mark in purchase and environment_settings().is_production:
        raise NotPaid


def _find(resource: str, purchase_token: str, inquiry: Inquiry) -> Json | None:
    """Return what Google knows of a purchase, asked with a new access token if it refuses the one from memory."""
    access_token = google_grants.access_token(inquiry)
    try:
        return _find_with(access_token, resource, purchase_token, inquiry)
    except StoreFailed as failed:
        if failed.status != HTTPStatus.UNAUTHORIZED:
            raise
    google_grants.forget(access_token)
    return _find_with(google_grants.access_token(inquiry), resource, purchase_token, inquiry)


def _find_with(access_token: str, resource: str, purchase_token: str, inquiry: Inquiry) -> Json | None:
    settings = store_settings()
    package, segment = path_segment(settings.google_play_package), path_segment(purchase_token)
    try:
        return inquiry.ask(
            "GET",
            f"{settings.google_play_base_url or API_URL}/androidpublisher/v3/applications/{package}"
            f"/purchases/{resource}/tokens/{segment}",
            headers={"Authorization": f"Bearer {access_token}"},
            not_paid=NO_SUCH_PURCHASE,
        )
    except NotPaid:
        return None
