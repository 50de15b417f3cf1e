"""Where the app stores are asked for subscriptions, and what holds while they cannot be."""

from dataclasses import dataclass
from functools import cache

from shared.settings.reading import base_url, number, text


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where the app stores are asked for subscriptions, and for which app. Their keys are secrets (`secret`).

    REVENUECAT_PROJECT_ID              the project whose customers are subscribers; unset denies RevenueCat
    REVENUECAT_ENTITLEMENT_ID          the entitlement that counts; unset: any, but none in production
    REVENUECAT_BASE_URL                default https://api.revenuecat.com/v2
    PRO_PRODUCT_ID                     what Google and Apple call the product that was bought once; default pro
    GOOGLE_PLAY_PACKAGE                the app's package name; unset denies Google
    GOOGLE_PLAY_BASE_URL               a mirror that answers for Google's API and, at /token, for its token endpoint
    APPLE_BUNDLE_ID                    the app's bundle id; default com.limajuice.liftlog
    APPLE_VERIFY_RECEIPT_URL           default https://buy.itunes.apple.com/verifyReceipt
    APPLE_SANDBOX_VERIFY_RECEIPT_URL   default https://sandbox.itunes.apple.com/verifyReceipt
    STORE_OUTAGE_HOURS                 so long after a store's last yes a subscriber stays in while it fails, 0 to 168;
                                       default 24
    """

    revenuecat_project_id: str
    revenuecat_entitlement_id: str
    revenuecat_base_url: str
    pro_product_id: str
    google_play_package: str
    google_play_base_url: str
    apple_bundle_id: str
    apple_verify_receipt_url: str
    apple_sandbox_verify_receipt_url: str
    outage_hours: float


@cache
def store_settings() -> StoreSettings:
    """Read the app stores' settings. Raises InvalidSetting."""
    return StoreSettings(
        revenuecat_project_id=text("REVENUECAT_PROJECT_ID"),
        revenuecat_entitlement_id=text("REVENUECAT_ENTITLEMENT_ID"),
        revenuecat_base_url=base_url("REVENUECAT_BASE_URL", "https://api.revenuecat.com/v2"),
        pro_product_id=text("PRO_PRODUCT_ID", "pro"),
        google_play_package=text("GOOGLE_PLAY_PACKAGE"),
        google_play_base_url=base_url("GOOGLE_PLAY_BASE_URL", ""),
        apple_bundle_id=text("APPLE_BUNDLE_ID", "com.limajuice.liftlog"),
        apple_verify_receipt_url=text("APPLE_VERIFY_RECEIPT_URL", "https://buy.itunes.apple.com/verifyReceipt"),
        apple_sandbox_verify_receipt_url=text(
            "APPLE_SANDBOX_VERIFY_RECEIPT_URL", "https://sandbox.itunes.apple.com/verifyReceipt"
        ),
        outage_hours=number("STORE_OUTAGE_HOURS", 24, 0, 168),
    )
