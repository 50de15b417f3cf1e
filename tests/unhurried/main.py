"""Inboxes whose checks of old passwords wait as long as a busy machine takes, so that only fairness decides."""

from functions.inbox.main import inbox
from shared import passwords
from tests.waiting import WAIT_SECONDS

passwords._legacy_gate._wait_seconds = WAIT_SECONDS

__all__ = ["inbox"]
