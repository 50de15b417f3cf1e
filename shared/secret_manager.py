"""Google's Secret Manager: the newest version of a secret, remembered for a while, so that a rotation needs no deploy.

When the service cannot be asked, what was read last goes on being used.
"""

import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared import google_clients
from shared.errors import ProviderUnavailable

if TYPE_CHECKING:
    from google.cloud.secretmanager_v1 import SecretManagerServiceClient

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 5.0
RETRY_SECONDS = 30.0  # after a failure, while an old value is used


@dataclass(slots=True)
class _Entry:
    value: str
    fresh_until: float  # monotonic


class SecretManager:
    """Reads the secrets of one project. Safe to use from many threads; one of them asks, the others wait for it."""

    def __init__(self, project_id: str, endpoint: str, ttl_seconds: float) -> None:
        """`endpoint`: another address of the API, asked without credentials; empty for Google's own."""
        self._project_id = project_id
        self._endpoint = endpoint
        self._ttl_seconds = ttl_seconds
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._client: SecretManagerServiceClient | None = None

    def get(self, secret_id: str) -> str:
        """Return the newest version's text, or an empty one if there is none. Raises ProviderUnavailable."""
        entry = self._entries.get(secret_id)
        if entry is not None and time.monotonic() < entry.fresh_until:
            return entry.value
        with self._lock:
            entry = self._entries.get(secret_id)
            if entry is not None and time.monotonic() < entry.fresh_until:
                return entry.value
            return self._renew(secret_id, entry).value

    def _renew(self, secret_id: str, old: _Entry | None) -> _Entry:
        try:
            entry = _Entry(self._access(secret_id), time.monotonic() + self._ttl_seconds)
        except ProviderUnavailable as error:
            if old is None:
                raise
            log.warning("secret not renewed", extra={"secret": secret_id, "cause": str(error)})
            entry = _Entry(old.value, time.monotonic() + min(RETRY_SECONDS, self._ttl_seconds))
        self._entries[secret_id] = entry
        return entry

    def _access(self, secret_id: str) -> str:
        from google.api_core.exceptions import GoogleAPIError, NotFound  # noqa: PLC0415 - half a second, at first use
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
        from google.cloud.secretmanager_v1 import SecretManagerServiceClient  # noqa: PLC0415

        name = f"projects/{self._project_id}/secrets/{secret_id}/versions/latest"
        try:
            if self._client is None:
                self._client = SecretManagerServiceClient(**google_clients.options(self._endpoint))
            answer = self._client.access_secret_version(name=name, timeout=TIMEOUT_SECONDS, retry=None)
            return answer.payload.data.decode().strip()
        except NotFound:
            log.warning("secret has no version", extra={"secret": secret_id})
            return ""
        except (GoogleAPIError, GoogleAuthError, OSError, UnicodeDecodeError) as error:
            raise ProviderUnavailable(f"Secret Manager: {secret_id}: {type(error).__name__}") from error
