"""Apple, for older apps: the token is an App Store receipt in base64, or a signed transaction of StoreKit 2 (a JWS).

A JWS proves itself by its certificates, which end at Apple's root, and by naming our app. A receipt is sent to Apple.
"""

from datetime import datetime

from shared.settings.environment import environment_settings
from shared.settings.secrets import secret
from shared.settings.stores import store_settings
from shared.subscriptions import apple_receipts, apple_root_ca_g3
from shared.subscriptions.asking import FOREVER, Inquiry, instant_of, latest
from shared.subscriptions.outcomes import NotConfigured, NotPaid

UNUSED = 0  # the library wants the App Store's number of an app, and looks at it in other messages only


def paid_until(token: str, inquiry: Inquiry, *, root_certificate: bytes = apple_root_ca_g3.CERTIFICATE) -> datetime:
    """Return the end of what was bought. Raises NotConfigured, NotPaid, StoreFailed."""
    shared_secret = secret("APPLE_SHARED_SECRET")
    if not shared_secret:
        raise NotConfigured("APPLE_SHARED_SECRET is not set")
    if token.count(".") == 2:  # header.payload.signature; base64 has no full stop
        return _end_of_transaction(token, root_certificate)
    return apple_receipts.end_of(token, shared_secret, inquiry)


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
        if transaction.revocationDate is not None:
            raise NotPaid
        if transaction.expiresDate is not None:
            return latest([instant_of(transaction.expiresDate)])
        if transaction.productId == store_settings().pro_product_id:
            return FOREVER
    raise NotPaid
