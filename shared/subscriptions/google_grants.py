"""Access tokens that Google's API takes, granted to a service account (RFC 7523) and kept while they are good."""

import binascii
import json
import time
from base64 import b64decode
from dataclasses import dataclass

from shared.settings.secrets import secret
from shared.settings.stores import store_settings
from shared.subscriptions.asking import Inquiry
from shared.subscriptions.outcomes import NotConfigured, StoreFailed

TOKEN_URL = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address  # nosec B105
SCOPE = "https://www.googleapis.com/auth/androidpublisher"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"  # RFC 7523
GRANT_SECONDS = 3600
SPARE_SECONDS = 60  # before its end a grant is replaced
PKCS12_PASSWORD = b"notasecret"  # Google's, of every key in that format


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """Who asks Google."""

    email: str
    private_key: str  # PEM


_grants: dict[ServiceAccount, tuple[str, float]] = {}  # access token, and until when of the monotonic clock


def access_token(inquiry: Inquiry) -> str:
    """Return a token that Google takes from us, from memory while it is good. Raises NotConfigured, StoreFailed."""
    account = _service_account()
    granted, good_until = _grants.get(account, ("", 0.0))
    if time.monotonic() >= good_until:
        granted, seconds = _grant(account, inquiry)
        _grants.clear()  # of a key that was replaced
        _grants[account] = granted, time.monotonic() + seconds - SPARE_SECONDS
    return granted


def forget(refused: str) -> None:
    """Forget an access token that Google no longer takes, whatever it said of its end."""
    for account, (granted, _) in list(_grants.items()):
        if granted == refused:
            _grants.pop(account, None)


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
