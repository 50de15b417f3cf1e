"""Apple, for older apps: the token is an App Store receipt in base64, or a signed transaction of StoreKit 2 (a JWS).

A JWS proves itself by its certificates, which end at Apple's root, and by naming our app. A receipt is sent to Apple.
"""

from datetime import datetime

from shared.settings.environment import environment_settings
from shared.settings.secrets import secret
from shared.settings.stores import store_settings
from shared.subscriptions import apple_root_ca_g3
from shared.subscriptions.asking import Inquiry, Json, instant_of, latest, objects
from shared.subscriptions.outcomes import NotConfigured, NotPaid, StoreFailed

# developer.apple.com: verifyReceipt, "status"
VALID = 0
NO_RECEIPT = frozenset({21002, 21003, 21006, 21010})  # malformed; not authentic; expired; of no account
OF_SANDBOX = 21007
# "a temporary issue", which may also be a malformed receipt; "temporarily unable"; "internal data access error"
PASSING = frozenset({21002, 21005, 21009, *range(21100, 21200)})
UNUSED = 0  # the library wants the App Store's number of an app, and looks at it in other messages only


def paid_until(token: str, inquiry: Inquiry, *, root_certificate: bytes = apple_root_ca_g3.CERTIFICATE) -> datetime:
    """Return the end of the subscription. Raises NotConfigured, NotPaid, StoreFailed."""
    shared_secret = secret("APPLE_SHARED_SECRET")
    if not shared_secret:
        raise NotConfigured("APPLE_SHARED_SECRET is not set")
    if token.count(".") == 2:  # header.payload.signature; base64 has no full stop
        return _end_of_transaction(token, root_certificate)
    return _end_of_receipt(token, shared_secret, inquiry)


def _end_of_receipt(receipt: str, shared_secret: str, inquiry: Inquiry) -> datetime:
    """Ask Apple's production, which says when a receipt is of the sandbox, as those of TestFlight and reviewers are."""
    settings = store_settings()
    question = {"receipt-data": receipt, "password": shared_secret, "exclude-old-transactions": True}
    answer = inquiry.ask("POST", settings.apple_verify_receipt_url, json=question, is_passing=_is_passing)
    if _status(answer) == OF_SANDBOX:
        url = settings.apple_sandbox_verify_receipt_url
        answer = inquiry.ask("POST", url, json=question, is_passing=_is_passing)
    status = _status(answer)
    if status in NO_RECEIPT:
        raise NotPaid
    if status != VALID:
        raise StoreFailed(f"verifyReceipt status {'missing' if status is None else status}")
    _check_app(answer)
    return latest(
        instant_of(transaction["expires_date_ms"])
        for transaction in objects(answer, "latest_receipt_info")
        if "expires_date_ms" in transaction and "cancellation_date_ms" not in transaction  # refunded
    )


def _is_passing(answer: Json) -> bool:
    """Tell whether Apple could not look for now. It says so itself in `is-retryable`, true or 1, or by its status.

    Answers that were seen write `is_retryable` (github.com/alexalok/AppleReceiptVerifier.NET/issues/8).
    """
    status, said = _status(answer), answer.get("is-retryable", answer.get("is_retryable"))
    if status in {None, VALID} or said is None:
        return status in PASSING
    return str(said) in {"1", "True"}


def _status(answer: Json) -> int | None:
    status = answer.get("status")
    return status if isinstance(status, int) else None


def _check_app(answer: Json) -> None:
    """Raise NotPaid for a receipt of another app; the shared secret may be of the whole developer account."""
    receipt = answer.get("receipt")
    if isinstance(receipt, dict) and receipt.get("bundle_id") not in {None, store_settings().apple_bundle_id}:
        raise NotPaid


def _end_of_transaction(jws: str, root_certificate: bytes) -> datetime:
    from appstoreserverlibrary.models.Environment import Environment  # noqa: PLC0415 - only who reads a JWS needs it
    from appstoreserverlibrary.signed_data_verifier import (  # noqa: PLC0415
        SignedDataVerifier,
        VerificationException,
    )

    accepted = [Environment.PRODUCTION]  # never its two others: they skip the verification
    if not environment_settings().is_production:
        accepted.append(Environment.SANDBOX)
    for environment in accepted:
        verifier = SignedDataVerifier(
            [root_certificate],
            enable_online_checks=False,  # the certificates' dates are held against the signature's
            environment=environment,
            bundle_id=store_settings().apple_bundle_id,
            app_apple_id=UNUSED,
        )
        try:
            transaction = verifier.verify_and_decode_signed_transaction(jws)
        except VerificationException:
            continue
        if transaction.expiresDate is None or transaction.revocationDate is not None:
            raise NotPaid
        return latest([instant_of(transaction.expiresDate)])
    raise NotPaid
