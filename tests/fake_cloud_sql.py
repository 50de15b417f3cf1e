"""A stand-in for Cloud SQL: its Admin API, Google's token endpoint, and the TLS proxy before a real PostgreSQL.

The instance has an authority of its own. It signs the key that a client brings, and its proxy lets in whoever shows
such a certificate (Google Cloud: "Cloud SQL Admin API", connect.get and connect.generateEphemeralCert).
"""

import contextlib
import json
import re
import secrets
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.fake_google import Answer, FakeApi

PROXY_PORT = 3307
NAME = "a-project:us-central1:an-instance"
_PEM = serialization.Encoding.PEM


class FakeCloudSql(FakeApi):
    """One instance, which forwards to the PostgreSQL of a URL with a socket's folder."""

    def __init__(self, target_url: str, folder: Path) -> None:
        super().__init__()
        query = parse_qs(urlsplit(target_url).query)
        self._target = f"{query['host'][0]}/.s.PGSQL.5432"
        self._folder = folder
        self.address = ".".join(["127", *(str(1 + number % 254) for number in secrets.token_bytes(3))])
        self.lifetime = timedelta(hours=1)  # of what is signed
        self.status = 200
        self.is_silent = False  # the proxy takes connections and says nothing
        self._make_authority()
        instance = "/sql/v1beta4/projects/a-project/instances/an-instance"
        self.answers[f"GET {instance}/connectSettings"] = self._settings
        self.answers[f"POST {instance}:generateEphemeralCert"] = self._ephemeral
        self._sockets: list[socket.socket] = []

    def credentials(self) -> Path:
        """Write a service account's key file whose tokens this server makes, and return its path."""
        key = rsa.generate_private_key(65537, 2048)
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path = self._folder / "service-account.json"
        account = {
            "type": "service_account", "project_id": "a-project", "private_key_id": "1",
            "private_key": private.decode(),
            "client_email": "liftlog-event@a-project.iam.gserviceaccount.com", "token_uri": f"{self.url}/token",
        }  # fmt: skip
        path.write_text(json.dumps(account))
        return path

    def answer(self, method: str, path: str, body: Any) -> Answer:
        if path == "/token":
            return 200, {"access_token": "a token", "expires_in": 3600, "token_type": "Bearer"}
        if self.status != 200:
            return self.status, {"error": {"code": self.status, "message": "no", "status": "PERMISSION_DENIED"}}
        return super().answer(method, path, body)

    def renew_authority(self) -> None:
        """Have the instance certified anew, by an authority that no client knows yet."""
        self._make_authority()
        self._context = self._server_context()

    def cut(self) -> None:
        """Close every connection through the proxy."""
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        self._sockets.clear()

    def __enter__(self) -> Self:
        self._listener = socket.create_server((self.address, PROXY_PORT))
        self._context = self._server_context()
        threading.Thread(target=self._accept, daemon=True).start()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        super().__exit__(kind, error, traceback)

    def _make_authority(self) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        self._authority = self._sign("authority", self._key.public_key())

    def _settings(self, _match: re.Match[str], _body: Any) -> Answer:
        return 200, {
            "region": "us-central1", "databaseVersion": "POSTGRES_17", "backendType": "SECOND_GEN",
            "ipAddresses": [{"type": "PRIVATE", "ipAddress": self.address}],
            "serverCaCert": {"cert": self._authority.public_bytes(_PEM).decode()},
        }  # fmt: skip

    def _ephemeral(self, _match: re.Match[str], body: Any) -> Answer:
        key: Any = serialization.load_pem_public_key(body["public_key"].encode())
        return 200, {"ephemeralCert": {"cert": self._sign("client", key).public_bytes(_PEM).decode()}}

    def _sign(self, name: str, key: rsa.RSAPublicKey) -> x509.Certificate:
        now = datetime.now(UTC)
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
        return (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + self.lifetime)
            .add_extension(x509.BasicConstraints(ca=name == "authority", path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _server_context(self) -> ssl.SSLContext:
        key = rsa.generate_private_key(65537, 2048)
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        server = self._folder / "server.pem"
        server.write_bytes(private + self._sign("server", key.public_key()).public_bytes(_PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self._authority.public_bytes(_PEM).decode())
        return context

    def _accept(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(raw)
            if not self.is_silent:
                threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw: socket.socket) -> None:
        with contextlib.suppress(OSError):
            client = self._context.wrap_socket(raw, server_side=True)
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._target)
            self._sockets += [client, server]
            back = threading.Thread(target=_forward, args=(server, client), daemon=True)
            back.start()
            _forward(client, server)
            back.join()
            client.close()
            server.close()


def _forward(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for sock in (source, target):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
