"""Operators: who may use the private routes where the cloud's IAM does not stand in front.

A bearer token is either the operators' own (OPERATOR_TOKEN) or a Google identity token of a configured address, as
Cloud Scheduler and `gcloud auth print-identity-token` make them. A browser sends the first as the password of any user.
Where neither is configured the routes are closed, but for a development server.
"""

import hmac
from base64 import b64decode

from shared.errors import NotOperator, ProviderUnavailable
from shared.settings import LOCAL, OperatorSettings, environment_settings, operator_settings, secret

_JWT_PARTS = 3


def authorize(authorization: str | None) -> None:
    """Let an operator pass. Takes the Authorization header. Raises NotOperator, ProviderUnavailable."""
    settings = operator_settings()
    if settings.behind_iam:
        return
    token = secret("OPERATOR_TOKEN")
    if not token and not settings.identities and environment_settings().name == LOCAL:
        return
    presented = _credential(authorization or "")
    if token and hmac.compare_digest(presented.encode(), token.encode()):
        return
    if settings.identities and presented.count(".") == _JWT_PARTS - 1 and _is_operator(presented, settings):
        return
    raise NotOperator


def _credential(authorization: str) -> str:
    """Return a bearer token, or the password of basic authentication (RFC 7617)."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            return b64decode(value, validate=True).decode().partition(":")[2]
        except ValueError:
            return ""
    return value.strip() if scheme.lower() == "bearer" else ""


def _is_operator(token: str, settings: OperatorSettings) -> bool:
    from google.auth.exceptions import GoogleAuthError, TransportError  # noqa: PLC0415 - only where such a token comes
    from google.auth.transport.requests import Request  # noqa: PLC0415
    from google.oauth2 import id_token  # noqa: PLC0415

    try:
        claims = id_token.verify_token(token, Request(), settings.audience, settings.certs_url)
    except TransportError as error:
        raise ProviderUnavailable("Google's certificates") from error
    except (GoogleAuthError, ValueError):
        return False
    return (
        claims.get("iss") in {"accounts.google.com", "https://accounts.google.com"}
        and claims.get("email_verified") is True
        and str(claims.get("email")).lower() in settings.identities
    )
