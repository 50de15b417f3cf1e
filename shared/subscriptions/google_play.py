"""Google Play, for older apps: the token is a purchase token, or productId:purchaseToken (subscriptionsv2.get)."""

import binascii
import json
import time
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime

from shared.settings.environment import environment_settings
from shared.settings.secrets import secret
from shared.settings.stores import store_settings
from shared.subscriptions.asking import Inquiry, Json, latest, objects, path_segment
from shared.subscriptions.outcomes import NotConfigured, NotPaid, StoreFailed

API_URL = "https://androidpublisher.googleapis.com"
TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address  # nosec B105
SCOPE = "https://www.googleapis.com/auth/androidpublisher"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523
GRANT_SECONDS = 3600
SPARE_SECONDS = 60  # before its end a grant is replaced
PAID_STATES = frozenset(
    {"SUBSCRIPTION_STATE_ACTIVE", "SUBSCRIPTION_STATE_IN_GRACE_PERIOD", "SUBSCRIPTION_STATE_CANCELED"}
)  # cancelled ones end with what is paid for
NO_SUCH_PURCHASE = frozenset({400, 404, 410})  # not a token; of no purchase; of one that ended long ago
PKCS12_PASSWORD = b"notasecret"  # Google's, of every key in that format


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Who asks Google."""

    email: str
    private_key: str  # PEM


_grants: dict[ServiceAccount, tuple[str, float]] = {}  # access token, and until when of the monotonic clock


def paid_until(token: str, inquiry: Inquiry) -> datetime:
    """Return the end of the purchase's subscription. Raises NotConfigured, NotPaid, StoreFailed."""
    settings = store_settings()
    if not settings.google_play_package:
        raise NotConfigured("GOOGLE_PLAY_PACKAGE is not set")
    product_id, _, purchase_token = token.rpartition(":")
    package, segment = path_segment(settings.google_play_package), path_segment(purchase_token)
    purchase = inquiry.ask(
        "GET",
        f"{settings.google_play_base_url or API_URL}/androidpublisher/v3/applications/{package}"
        f"/purchases/subscriptionsv2/tokens/{segment}",
        headers={"Authorization": f"Bearer {_access_token(_service_account(), inquiry)}"},
        not_paid=NO_SUCH_PURCHASE,
    )
    if purchase.get("subscriptionState") not in PAID_STATES:
        raise NotPaid
    if "testPurchase" in purchase and environment_settings().is_production:
        raise NotPaid
    return latest(_end(line) for line in objects(purchase, "lineItems") if product_id in {"", line.get("productId")})


def _end(line: Json) -> datetime:
    try:
        end = datetime.fromisoformat(line["expiryTime"])
    except (KeyError, TypeError, ValueError):
        raise StoreFailed("unexpected expiryTime") from None
    if end.tzinfo is None:
        raise StoreFailed("unexpected expiryTime")
    return end


def _access_token(account: ServiceAccount, inquiry: Inquiry) -> str:
    """Return a token that Google's API takes from the account, from memory while it is good."""
    access_token, good_until = _grants.get(account, ("", 0.0))
    if time.monotonic() >= good_until:
        access_token, seconds = _grant(account, inquiry)
        _grants.clear()  # of a key that was replaced
        _grants[account] = access_token, time.monotonic() + seconds - SPARE_SECONDS
    return access_token


def _grant(account: ServiceAccount, inquiry: Inquiry) -> tuple[str, float]:
    """Return a new access token and for how many seconds it is good."""
    from google.auth import jwt  # noqa: PLC0415 - only who asks Google needs it
    from google.auth.crypt import RSASigner  # noqa: PLC0415

    base_url = store_settings().google_play_base_url
    token_url = f"{base_url}/token" if base_url else TOKEN_URL
    now = int(time.time())
    claims = {"iss": account.email, "scope": SCOPE, "aud": token_url, "iat": now, "exp": now + GRANT_SECONDS}
    try:
        signer = RSASigner.from_string(account.private_key)  # type: ignore[no-untyped-call] # google-auth's are partial
    except ValueError:
        raise NotConfigured("GOOGLE_PLAY_KEY holds no private key") from None
    assertion = jwt.encode(signer, claims).decode()  # type: ignore[no-untyped-call]
    answer = inquiry.ask("POST", token_url, data={"grant_type": GRANT_TYPE, "assertion": assertion})
    access_token, seconds = answer.get("access_token"), answer.get("expires_in")
    if not isinstance(access_token, str) or not isinstance(seconds, int):
        raise StoreFailed("unexpected grant")
    return access_token, seconds


def _service_account() -> ServiceAccount:
    """Read the account from the secrets. Raises NotConfigured."""
    key, email = secret("GOOGLE_PLAY_KEY"), secret("GOOGLE_PLAY_EMAIL")
    if not key:
        raise NotConfigured("GOOGLE_PLAY_KEY is not set")
    try:
        content = b64decode(key)
        if content.lstrip().startswith(b"{"):
            account = json.loads(content)
            email, private_key = account["client_email"], account["private_key"]
        else:
            private_key = (content if content.startswith(b"-----") else _pem_of(content)).decode()
    except (binascii.Error, ValueError, KeyError):
        raise NotConfigured("GOOGLE_PLAY_KEY is not base64 of JSON, PEM or PKCS#12") from None
    if not email:
        raise NotConfigured("GOOGLE_PLAY_EMAIL is not set")
    return ServiceAccount(email, private_key)


def _pem_of(pkcs12_content: bytes) -> bytes:
    """Return the private key of a PKCS#12 file, which the original backend used. Raises ValueError."""
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
        pkcs12,
    )

    private_key, _, _ = pkcs12.load_key_and_certificates(pkcs12_content, PKCS12_PASSWORD)
    if private_key is None:
        raise ValueError
    return private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
