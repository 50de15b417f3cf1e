"""The app stores, as their documentation says they answer, over real HTTP; and what they sign."""

import hashlib
import json
import select
import socket
import threading
from base64 import b64encode
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

REVENUECAT_KEY, PROJECT, ENTITLEMENT = "sk_revenuecat", "proj1ab2c3d4", "entla1b2c3d4e5"
PACKAGE, BUNDLE = "com.limajuice.liftlog", "com.limajuice.liftlog"
ACCOUNT, APPLE_SECRET = "verifier@liftlog.iam.gserviceaccount.com", "apple-shared-secret"
HOUR = timedelta(hours=1)
POLL_SECONDS = 0.05

Json = dict[str, Any]


@dataclass
class Reply:
    """What a store says about one token."""

    status: int = 200
    body: Any = None  # JSON; bytes go out as they are
    stalls: bool = False  # nothing is ever said
    headers: dict[str, str] = field(default_factory=dict)
    then: "Reply | None" = None  # what it says from the next time on


@dataclass
class Stores:
    """A server that is RevenueCat, Google and Apple. Tests say what is known of a token; of others nothing is."""

    customers: dict[str, Reply] = field(default_factory=dict)
    purchases: dict[str, Reply] = field(default_factory=dict)
    products: dict[str, Reply] = field(default_factory=dict)  # that Google has sold once
    receipts: dict[str, Reply] = field(default_factory=dict)
    sandbox_receipts: dict[str, Reply] = field(default_factory=dict)
    access_token: str = "ya29.a"  # the one that Google takes
    grant: Reply | None = None  # instead of a right answer of Google's token endpoint
    asked: Counter[str] = field(default_factory=Counter)  # how often each path was asked for
    most_stalled: int = 0  # questions at once that nothing was said to

    def __post_init__(self) -> None:
        self.closing = threading.Event()
        self._stalled = 0
        self._counting = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = False
        self._server.stores = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings with which every store is configured and asked here."""
        return {
            "ENVIRONMENT": "production",
            "WEB_AUTH_API_KEY": "web-key",
            "REVENUECAT_API_KEY": REVENUECAT_KEY,
            "REVENUECAT_PROJECT_ID": PROJECT,
            "REVENUECAT_ENTITLEMENT_ID": ENTITLEMENT,
            "REVENUECAT_BASE_URL": f"{self.url}/v2",
            "GOOGLE_PLAY_KEY": b64encode(json.dumps(service_account()).encode()).decode(),
            "GOOGLE_PLAY_EMAIL": "",
            "GOOGLE_PLAY_PACKAGE": PACKAGE,
            "GOOGLE_PLAY_BASE_URL": self.url,
            "APPLE_SHARED_SECRET": APPLE_SECRET,
            "APPLE_BUNDLE_ID": "",
            "APPLE_VERIFY_RECEIPT_URL": f"{self.url}/production/verifyReceipt",
            "APPLE_SANDBOX_VERIFY_RECEIPT_URL": f"{self.url}/sandbox/verifyReceipt",
        }

    def __enter__(self) -> "Stores":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def stall(self, client: socket.socket) -> None:
        """Say nothing until the client has left, and count those who wait."""
        with self._counting:
            self._stalled += 1
            self.most_stalled = max(self.most_stalled, self._stalled)
        while not (self.closing.is_set() or select.select([client], [], [], POLL_SECONDS)[0]):
            pass
        with self._counting:
            self._stalled -= 1

    def reply(self, method: str, path: str, authorization: str, body: bytes) -> Reply:
        self.asked[unquote(path)] += 1
        for beginning, answer in self._answers().items():
            if path.startswith(beginning):
                return answer(method, path.removeprefix(beginning), authorization, body)
        return Reply(404, {"error": "no such path"})

    def _answers(self) -> dict[str, Callable[[str, str, str, bytes], Reply]]:
        purchases = f"/androidpublisher/v3/applications/{PACKAGE}/purchases"
        return {
            f"/v2/projects/{PROJECT}/customers/": self._revenuecat,
            "/token": self._google_token,
            f"{purchases}/subscriptionsv2/tokens/": lambda *request: self._google(self.purchases, *request),
            f"{purchases}/productsv2/tokens/": lambda *request: self._google(self.products, *request),
            "/production/verifyReceipt": lambda *request: self._apple(self.receipts, *request),
            "/sandbox/verifyReceipt": lambda *request: self._apple(self.sandbox_receipts, *request),
        }

    def _revenuecat(self, method: str, customer: str, authorization: str, _body: bytes) -> Reply:
        if authorization != f"Bearer {REVENUECAT_KEY}":
            return Reply(401, {"object": "error", "type": "authentication_error", "retryable": False})
        unknown = Reply(404, {"object": "error", "type": "resource_missing", "retryable": False})
        if method != "GET" or "/" in customer:
            return unknown
        return _next(self.customers, unquote(customer), unknown)

    def _google_token(self, _method: str, _path: str, _authorization: str, body: bytes) -> Reply:
        (assertion,) = parse_qs(body.decode())["assertion"]
        claims = jwt.decode(assertion, rsa_key().public_key(), algorithms=["RS256"], audience=f"{self.url}/token")
        assert claims["iss"] == ACCOUNT
        assert claims["scope"] == "https://www.googleapis.com/auth/androidpublisher"
        reply = self.grant or Reply(200, _granted(self.access_token))
        self.grant = self.grant and (reply.then or self.grant)
        return reply

    def _google(self, known: dict[str, Reply], _method: str, token: str, authorization: str, _body: bytes) -> Reply:
        if authorization != f"Bearer {self.access_token}":
            return Reply(401, {"error": {"code": 401, "status": "UNAUTHENTICATED"}})
        unknown = Reply(404, {"error": {"code": 404, "status": "NOT_FOUND"}})
        return _next(known, unquote(token), unknown)

    def _apple(self, receipts: dict[str, Reply], _method: str, _path: str, _authorization: str, body: bytes) -> Reply:
        question = json.loads(body)
        if question["password"] != APPLE_SECRET:
            return Reply(200, {"status": 21004})
        return _next(receipts, question["receipt-data"], Reply(200, {"status": 21003}))


def _granted(access_token: str) -> Json:
    return {"access_token": access_token, "expires_in": 3599, "token_type": "Bearer"}


def _next(known: dict[str, Reply], token: str, unknown: Reply) -> Reply:
    """Return what is said of a token this time."""
    reply = known.get(token, unknown)
    if reply.then is not None:
        known[token] = reply.then
    return reply


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        stores: Stores = self.server.stores  # type: ignore[attr-defined]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        reply = stores.reply(self.command, self.path, self.headers.get("Authorization", ""), body)
        if reply.stalls:
            stores.stall(self.connection)
            return
        content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""


# what stores know of a token


def key_of(token: str) -> str:
    """Return the key under which a token's requests are counted."""
    return hashlib.sha256(token.encode()).hexdigest().upper()


def milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


def ends_in(delta: timedelta) -> datetime:
    return datetime.now(UTC) + delta


def customer(*entitlements: tuple[str, datetime | None]) -> Reply:
    """RevenueCat's customer with active entitlements."""
    items = [
        {
            "object": "customer.active_entitlement",
            "entitlement_id": name,
            "expires_at": None if end is None else milliseconds(end),
        }
        for name, end in entitlements
    ]
    active = {"object": "list", "items": items, "next_page": None, "url": "/v2/…/active_entitlements"}
    return Reply(200, {"object": "customer", "id": "c", "project_id": PROJECT, "active_entitlements": active})


def purchase(state: str, end: datetime, *, product: str = "pro_monthly", **changes: Any) -> Reply:
    """Google's SubscriptionPurchaseV2."""
    line = {
        "productId": product,
        "expiryTime": end.isoformat().replace("+00:00", "Z"),
        "autoRenewingPlan": {"autoRenewEnabled": state == "ACTIVE"},
    }
    body = {
        "kind": "androidpublisher#subscriptionPurchaseV2",
        "startTime": "2026-01-01T00:00:00Z",
        "regionCode": "AU",
        "subscriptionState": f"SUBSCRIPTION_STATE_{state}",
        "lineItems": [line],
        "acknowledgementState": "ACKNOWLEDGEMENT_STATE_ACKNOWLEDGED",
    }
    return Reply(200, body | changes)


def product(state: str = "PURCHASED", *, product_id: str = "pro", **changes: Any) -> Reply:
    """Google's ProductPurchaseV2 (developers.google.com/android-publisher/api-ref/rest/v3/purchases.productsv2)."""
    offer = {
        "quantity": 1,
        "refundableQuantity": 1,
        "consumptionState": "CONSUMPTION_STATE_YET_TO_BE_CONSUMED",
    }
    body = {
        "kind": "androidpublisher#productPurchaseV2",
        "orderId": "GPA.1234-5678-9012-34567",
        "regionCode": "AU",
        "purchaseCompletionTime": "2023-10-06T08:00:00Z",
        "acknowledgementState": "ACKNOWLEDGEMENT_STATE_ACKNOWLEDGED",
        "purchaseStateContext": {"purchaseState": state},
        "productLineItem": [{"productId": product_id, "productOfferDetails": offer}],
    }
    return Reply(200, body | changes)


def receipt(
    *ends: datetime,
    environment: str = "Production",
    bundle: str = BUNDLE,
    refunded: bool = False,
    grace: datetime | None = None,
) -> Reply:
    """Apple's answer about a receipt with a subscription's renewals."""
    transactions = [
        transaction("pro_monthly", expires_date_ms=str(milliseconds(end)))
        | ({"cancellation_date_ms": str(milliseconds(end - HOUR)), "cancellation_reason": "0"} if refunded else {})
        for end in ends
    ]
    # developer.apple.com, "responseBody.Pending_renewal_info"; RevenueCat's blog, "iOS Subscription Grace Periods"
    renewal = {
        "auto_renew_product_id": "pro_monthly",
        "original_transaction_id": "1000000383177902",
        "product_id": "pro_monthly",
        "auto_renew_status": "1",
    }
    if grace is not None:
        renewal |= {
            "expiration_intent": "2",
            "is_in_billing_retry_period": "1",
            "grace_period_expires_date_ms": str(milliseconds(grace)),
        }
    reply = receipt_of(*transactions, environment=environment, bundle=bundle)
    reply.body |= {"latest_receipt_info": transactions, "pending_renewal_info": [renewal]}
    return reply


def receipt_of(*transactions: Json, environment: str = "Production", bundle: str = BUNDLE) -> Reply:
    """Apple's answer about a receipt without subscriptions.

    The form is that of gist.github.com/QuinnStephens/f61d3bff28ca7640888f296739d8d0d8.
    """
    receipt = {
        "receipt_type": environment,
        "bundle_id": bundle,
        "application_version": "1",
        "original_application_version": "1.0",
        "in_app": list(transactions),
    }
    return Reply(200, {"status": 0, "environment": environment, "receipt": receipt})


def transaction(product_id: str = "pro", **changes: Any) -> Json:
    """A transaction in Apple's `in_app` or `latest_receipt_info`."""
    body = {
        "quantity": "1",
        "product_id": product_id,
        "transaction_id": "1000000383177902",
        "original_transaction_id": "1000000383177902",
        "purchase_date_ms": "1521150082000",
        "original_purchase_date_ms": "1521150083000",
        "is_trial_period": "false",
        "in_app_ownership_type": "PURCHASED",
    }
    return body | changes


def receipt_of_ios_6(**changes: Any) -> Reply:
    """Apple's answer about a receipt of one transaction, the only form that the original backend let in."""
    return Reply(200, {"status": 0, "receipt": transaction() | {"bid": BUNDLE, "bvrs": "1"} | changes})


# what they sign


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def service_account() -> Json:
    """The JSON that Google gives out for a service account."""
    return {"type": "service_account", "client_email": ACCOUNT, "private_key": pem(rsa_key()).decode()}


class Apple:
    """A certificate authority in Apple's form, with its own root, and the transactions that it signs."""

    def __init__(self) -> None:
        self._root_key, self._intermediate_key, self._key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        root = _certificate("Root", self._root_key, "Root", self._root_key, ca=True)
        intermediate = _certificate(
            "WWDR", self._intermediate_key, "Root", self._root_key, ca=True, oid="1.2.840.113635.100.6.2.1"
        )
        leaf = _certificate(
            "Signer", self._key, "WWDR", self._intermediate_key, ca=False, oid="1.2.840.113635.100.6.11.1"
        )
        self._chain = [leaf, intermediate, root]
        self.root = root.public_bytes(Encoding.DER)

    def sign(self, end: datetime | None, **changes: Any) -> str:
        """Return a signed transaction of a subscription that ends then."""
        payload = {
            "transactionId": "2000000000000001",
            "bundleId": BUNDLE,
            "productId": "pro_monthly",
            "type": "Auto-Renewable Subscription",
            "environment": "Production",
            "signedDate": milliseconds(datetime.now(UTC)),
        }
        if end is not None:
            payload["expiresDate"] = milliseconds(end)
        chain = [b64encode(certificate.public_bytes(Encoding.DER)).decode() for certificate in self._chain]
        return jwt.encode(payload | changes, pem(self._key), algorithm="ES256", headers={"x5c": chain})


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    ca: bool,
    oid: str | None = None,
) -> x509.Certificate:
    now = datetime.now(UTC)
    public, issuer_public = key.public_key(), issuer_key.public_key()
    usage = x509.KeyUsage(
        digital_signature=not ca, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=ca, crl_sign=ca, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public), critical=False)
    )
    if oid is not None:
        mark = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), b"\x05\x00")
        builder = builder.add_extension(mark, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
