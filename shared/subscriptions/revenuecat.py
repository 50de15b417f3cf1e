"""RevenueCat, for current apps: the token is a customer's id (API v2, "Get a customer")."""

from datetime import datetime

from shared.settings.environment import environment_settings
from shared.settings.secrets import secret
from shared.settings.stores import store_settings
from shared.subscriptions.asking import FOREVER, Inquiry, Json, instant_of, latest, objects, path_segment
from shared.subscriptions.outcomes import NotConfigured, StoreFailed

UNKNOWN_CUSTOMER = frozenset({404})


def paid_until(token: str, inquiry: Inquiry) -> datetime:
    """Return the end of the customer's pro entitlement. Raises NotConfigured, NotPaid, StoreFailed."""
    settings, key = store_settings(), secret("REVENUECAT_API_KEY")
    wanted = settings.revenuecat_entitlement_id
    if not key or not settings.revenuecat_project_id:
        raise NotConfigured("REVENUECAT_API_KEY or REVENUECAT_PROJECT_ID is not set")
    if not wanted and environment_settings().is_production:
        raise NotConfigured("REVENUECAT_ENTITLEMENT_ID is not set")
    project = path_segment(settings.revenuecat_project_id)
    customer = inquiry.ask(
        "GET",
        f"{settings.revenuecat_base_url}/projects/{project}/customers/{path_segment(token)}",
        headers={"Authorization": f"Bearer {key}"},
        not_paid=UNKNOWN_CUSTOMER,
    )
    active = customer.get("active_entitlements")
    if not isinstance(active, dict):
        raise StoreFailed("unexpected active_entitlements")
    return latest(_end(item) for item in objects(active, "items") if wanted in {"", item.get("entitlement_id")})


def _end(entitlement: Json) -> datetime:
    expires_at = entitlement.get("expires_at")
    return FOREVER if expires_at is None else instant_of(expires_at)
