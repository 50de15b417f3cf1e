"""App Store receipts, which Apple reads for us (verifyReceipt): subscriptions, and the product that was sold once.

Statuses and names of fields are of developer.apple.com/documentation/appstorereceipts.
"""

from datetime import datetime

from shared.settings.stores import store_settings
from shared.subscriptions.asking import FOREVER, Inquiry, Json, instant_of, latest, objects
from shared.subscriptions.outcomes import NotPaid, StoreFailed

VALID = 0
NO_RECEIPT = frozenset({21002, 21003, 21006, 21010})  # malformed; not authentic; expired; of no account
OF_SANDBOX = 21007
# "a temporary issue", which may also be a malformed receipt; "temporarily unable"; "internal data access error"
PASSING = frozenset({21002, 21005, 21009, *range(21100, 21200)})


def end_of(receipt: str, shared_secret: str, inquiry: Inquiry) -> datetime:
    """Return the end of what was bought. Raises NotPaid, StoreFailed."""
    answer = _verify(receipt, shared_secret, inquiry)
    _check_app(answer)
    if _has_product(answer):
        return FOREVER
    return latest([*_ends(answer), *_ends_of_grace(answer)])


def _verify(receipt: str, shared_secret: str, inquiry: Inquiry) -> Json:
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
    return answer


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
    if _bundle_id(answer) not in {"", store_settings().apple_bundle_id}:
        raise NotPaid


def _bundle_id(answer: Json) -> str:
    """Return the app that a receipt names, "" if none. Receipts of one transaction, as of iOS 6, call it `bid`."""
    receipt = _receipt(answer)
    return str(receipt.get("bundle_id") or receipt.get("bid") or "")


def _receipt(answer: Json) -> Json:
    receipt = answer.get("receipt")
    return receipt if isinstance(receipt, dict) else {}


def _has_product(answer: Json) -> bool:
    """Tell whether the product that was sold once is in a receipt of our app, and was not refunded.

    Apple wants no shared secret for it: a receipt of anybody's app that names no app must not count. `in_app` is of
    the day on which the app got the receipt, and `latest_receipt_info` knows of refunds since
    (developer.apple.com/forums/thread/700956). A transaction that was restored names the original one.
    """
    settings, receipt = store_settings(), _receipt(answer)
    if _bundle_id(answer) != settings.apple_bundle_id:
        return False
    transactions = [*objects(receipt, "in_app"), *objects(answer, "latest_receipt_info"), receipt]
    ours = [transaction for transaction in transactions if transaction.get("product_id") == settings.pro_product_id]
    refunded = {_purchase(transaction) for transaction in ours if _is_refunded(transaction)}
    return any(_purchase(transaction) not in refunded for transaction in ours)


def _purchase(transaction: Json) -> str:
    return str(transaction.get("original_transaction_id") or transaction.get("transaction_id"))


def _is_refunded(transaction: Json) -> bool:
    return "cancellation_date_ms" in transaction or "cancellation_date" in transaction


def _ends(answer: Json) -> list[datetime]:
    return [
        instant_of(transaction["expires_date_ms"])
        for transaction in objects(answer, "latest_receipt_info")
        if "expires_date_ms" in transaction and not _is_refunded(transaction)
    ]


def _ends_of_grace(answer: Json) -> list[datetime]:
    """Return until when subscriptions count whose renewal Apple tries to charge: the billing grace period."""
    ends = [renewal.get("grace_period_expires_date_ms") for renewal in objects(answer, "pending_renewal_info")]
    return [instant_of(end) for end in ends if end]
