"""Why a store does not prove a subscription. Messages name causes and settings, never a token."""

import logging
from typing import ClassVar


class Refused(Exception):
    """No subscription is proven. `outcome` is its name in logs and metrics."""

    outcome: ClassVar[str]
    level: ClassVar[int]


class NotPaid(Refused):
    """The store was asked and knows of no subscription that is paid for now."""

    outcome, level = "not_paid", logging.INFO


class NotConfigured(Refused):
    """The store cannot be asked here; the message names the setting that is missing or cannot be read."""

    outcome, level = "not_configured", logging.WARNING


class StoreFailed(Refused):
    """The store was asked and gave no answer that says anything; the message says what it did instead."""

    outcome, level = "store_failed", logging.ERROR

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status  # of HTTP, if that is what failed
