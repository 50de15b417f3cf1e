"""Google identity tokens: accepted of whom, for what, until when; checked against certificates fetched over HTTP."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import flask
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt
from google.auth.crypt import RSASigner

from shared import operators, wrong_tries
from shared.errors import InvalidSetting, NotOperator, ProviderUnavailable
from shared.settings.environment import environment_settings
from shared.settings.operation import operator_settings
from tests.fake_google import FakeApi

AUDIENCE = "https://liftlog-operator-staging.example"
SCHEDULER = "scheduler@a-project.iam.gserviceaccount.com"
KEY_ID = "a key"
_PEM = serialization.Encoding.PEM


class Google:
    """Whoever makes identity tokens, with the certificates to check them."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self._signer = RSASigner.from_string(private, KEY_ID)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "google")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        self.certificates = {KEY_ID: certificate.public_bytes(_PEM).decode()}

    def token(self, **changes: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": "https://accounts.google.com", "aud": AUDIENCE, "sub": "1", "iat": now, "exp": now + 3600,
            "email": SCHEDULER, "email_verified": True,
        }  # fmt: skip
        token: bytes = jwt.encode(self._signer, claims | changes)
        return token.decode()


@pytest.fixture(scope="module")
def google():
    return Google()


@pytest.fixture
def api(google, monkeypatch):
    with FakeApi() as api:
        api.answers["GET /certs"] = lambda _match, _body: (200, google.certificates)
        monkeypatch.setenv("OPERATOR_IDENTITIES", f"someone@example.com, {SCHEDULER.upper()}")
        monkeypatch.setenv("OIDC_AUDIENCE", AUDIENCE)
        monkeypatch.setenv("OIDC_CERTS_URL", f"{api.url}/certs")
        monkeypatch.setenv("ENVIRONMENT", "staging")
        forget()
        yield api
    forget()


def forget():
    operator_settings.cache_clear()
    environment_settings.cache_clear()


def test_a_configured_identity_is_let_in(api, google):
    operators.authorize(f"Bearer {google.token()}")


@pytest.mark.parametrize(
    "changes",
    [
        {"email": "stranger@example.com"},
        {"email": None},
        {"email_verified": False},
        {"aud": "https://elsewhere.example"},
        {"iss": "https://accounts.example.com"},
        {"exp": -600},  # seconds from when it is asked
        {"iat": 600},
    ],
    ids="".join,
)
def test_any_other_token_is_not(api, google, changes):
    now = int(time.time())
    changes = {claim: now + value if claim in {"exp", "iat"} else value for claim, value in changes.items()}
    with pytest.raises(NotOperator):
        operators.authorize(f"Bearer {google.token(**changes)}")


def test_a_token_that_somebody_else_signed_is_not(api):
    with pytest.raises(NotOperator):
        operators.authorize(f"Bearer {Google().token()}")


def test_an_identity_is_no_wrong_try_of_a_token(api, google, monkeypatch):
    monkeypatch.setenv("OPERATOR_TOKEN", "the operators'")
    with flask.Flask(__name__).test_request_context(environ_base={"REMOTE_ADDR": "192.0.2.9"}):
        for _ in range(wrong_tries.MOST_OF_ADDRESS + 1):
            operators.authorize(f"Bearer {google.token()}")
        operators.authorize("Bearer the operators'")
        with pytest.raises(NotOperator):
            operators.authorize("Bearer another")


@pytest.mark.parametrize("token", ["a.b.c", "..", "e30.e30.e30"])
def test_garbage_is_not(api, token):
    with pytest.raises(NotOperator):
        operators.authorize(f"Bearer {token}")


def test_certificates_that_cannot_be_fetched_are_a_fault_of_ours(api, google):
    api.answers["GET /certs"] = lambda _match, _body: (500, {})
    with pytest.raises(ProviderUnavailable):
        operators.authorize(f"Bearer {google.token()}")


def test_identities_without_an_audience_are_a_clear_error(api, monkeypatch):
    monkeypatch.delenv("OIDC_AUDIENCE")
    forget()
    with pytest.raises(InvalidSetting, match="OIDC_AUDIENCE"):
        operators.authorize("Bearer a.b.c")
