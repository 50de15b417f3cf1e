"""Cloud SQL: sockets to an instance's private address, in TLS, with a certificate that its Admin API made for us.

Google's connector fetches the certificate and the address; nothing of it runs in the background, since between requests
a function's CPU may be throttled. They are fetched when a connection is opened and the last ones are about to expire.
"""

import socket
import ssl
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from shared.errors import DatabaseUnavailable

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

PROXY_PORT = 3307  # of the server-side proxy, which ends TLS
ADMIN_TIMEOUT_SECONDS = 10.0
RENEW_BEFORE = timedelta(minutes=4)
_SCOPES = ["https://www.googleapis.com/auth/sqlservice.admin", "https://www.googleapis.com/auth/cloud-platform"]


@dataclass(frozen=True, slots=True)
class _Access:
    """How an instance is reached for a while."""

    address: str
    context: ssl.SSLContext
    expires: datetime


class Instance:
    """One Cloud SQL instance. Safe to use from many threads; one of them asks the Admin API, the others wait for it."""

    def __init__(self, connection_name: str, admin_endpoint: str, *, iam: bool) -> None:
        """`connection_name`: project:region:instance. `iam`: the certificate also says who the database user is."""
        self._connection_name = connection_name
        self._admin_endpoint = admin_endpoint
        self._iam = iam
        self._lock = threading.Lock()
        self._access: _Access | None = None

    def open_socket(self, timeout_seconds: float) -> ssl.SSLSocket:
        """Return a connected socket. Raises DatabaseUnavailable, OSError."""
        access = self._current_access()
        raw = socket.create_connection((access.address, PROXY_PORT), timeout_seconds)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return access.context.wrap_socket(raw, server_hostname=access.address)
        except OSError:
            raw.close()
            self._forget(access)  # the instance may have got another certificate
            raise

    def _current_access(self) -> _Access:
        with self._lock:
            if self._access is None or datetime.now(UTC) > self._access.expires - RENEW_BEFORE:
                self._access = self._ask()
            return self._access

    def _forget(self, access: _Access) -> None:
        with self._lock:
            if self._access is access:
                self._access = None

    def _ask(self) -> _Access:
        import asyncio  # noqa: PLC0415 - only where there is a Cloud SQL instance

        import google.auth  # noqa: PLC0415
        from aiohttp import ClientError  # noqa: PLC0415
        from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
        from google.cloud.sql.connector.exceptions import AutoIAMAuthNotSupported, CloudSQLIPTypeError  # noqa: PLC0415

        failures = ClientError, GoogleAuthError, OSError, ValueError, AutoIAMAuthNotSupported, CloudSQLIPTypeError
        try:
            credentials, _project = google.auth.default(scopes=_SCOPES)
            return asyncio.run(asyncio.wait_for(self._fetch(credentials), ADMIN_TIMEOUT_SECONDS))
        except failures as error:
            raise DatabaseUnavailable(f"Cloud SQL Admin API: {type(error).__name__}") from error

    async def _fetch(self, credentials: "Credentials") -> _Access:
        import asyncio  # noqa: PLC0415

        from google.cloud.sql.connector.client import CloudSQLClient  # noqa: PLC0415
        from google.cloud.sql.connector.connection_name import ConnectionName  # noqa: PLC0415
        from google.cloud.sql.connector.enums import IPTypes  # noqa: PLC0415
        from google.cloud.sql.connector.utils import generate_keys  # noqa: PLC0415

        client = CloudSQLClient(self._admin_endpoint or None, None, credentials, driver="pg8000")
        try:
            name = ConnectionName(*self._connection_name.rsplit(":", 2))
            keys = asyncio.ensure_future(generate_keys())
            info = await client.get_connection_info(name, keys, self._iam)
            context = await info.create_ssl_context(self._iam)
            return _Access(info.get_preferred_ips(IPTypes.PRIVATE)[0], context, info.expiration)
        finally:
            await client.close()


@cache
def instance(connection_name: str, admin_endpoint: str, *, iam: bool) -> Instance:
    """Return this process's access to an instance."""
    return Instance(connection_name, admin_endpoint, iam=iam)
