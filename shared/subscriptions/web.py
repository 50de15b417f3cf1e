"""Web: one key for everybody whom the operator gives it to."""

import hmac
from datetime import datetime

from shared.settings.secrets import secret
from shared.subscriptions.asking import FOREVER
from shared.subscriptions.outcomes import NotConfigured, NotPaid


def paid_until(token: str) -> datetime:
    """Return the end of time for the right key. Raises NotConfigured, NotPaid."""
    key = secret("WEB_AUTH_API_KEY")
    if not key:
        raise NotConfigured("WEB_AUTH_API_KEY is not set")
    if not hmac.compare_digest(token.encode(), key.encode()):
        raise NotPaid
    return FOREVER
