"""Operators: who may use the private routes where the cloud's IAM does not stand in front.

A bearer token is either the operators' own (OPERATOR_TOKEN) or a Google identity token of a configured address, as
Cloud Scheduler and `gcloud auth print-identity-token` make them. A browser sends the first as the password of any user.
Where neither is configured the routes are closed, but on a development server: it lets in whoever is on its machine,
and others with the token that it has made for itself (LOCAL_OPERATOR_TOKEN).
"""

import hmac
import re

import flask

from shared.basic import user_and_password
from shared.errors import NotOperator, ProviderUnavailable
from shared.settings.environment import LOCAL, environment_settings
from shared.settings.operation import OperatorSettings, operator_settings
from shared.settings.secrets import secret

_JWT_PARTS = 3
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_THIS_MACHINE = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)
_PROXY_HEADERS = frozenset({"x-forwarded-for", "forwarded", "via", "x-real-ip"})


def authorize(authorization: str | None) -> None:
    """Let an operator pass. Takes the Authorization header. Raises NotOperator, ProviderUnavailable."""
    settings = operator_settings()
    if settings.behind_iam:
        return
    token = secret("OPERATOR_TOKEN")
    if not token and not settings.identities and environment_settings().name == LOCAL:
        if _is_from_this_machine():
            return
        token = secret("LOCAL_OPERATOR_TOKEN")
    presented = _credential(authorization or "")
    if token and hmac.compare_digest(presented.encode(), token.encode()):
        return
    if settings.identities and presented.count(".") == _JWT_PARTS - 1 and _is_operator(presented, settings):
        return
    raise NotOperator


def _is_from_this_machine() -> bool:
    """Tell whether a request comes from this machine, past no proxy, and means it: a page elsewhere may have its own
    name lead here (DNS rebinding).
    """
    is_meant = _THIS_MACHINE.fullmatch(flask.request.headers.get("Host", ""))
    came_through = _PROXY_HEADERS & {name.lower() for name, _ in flask.request.headers}
    return bool(is_meant) and flask.request.remote_addr in _LOOPBACK and not came_through


def _credential(authorization: str) -> str:
    """Return a bearer token, or the password of basic authentication."""
    basic = user_and_password(authorization)
    if basic is not None:
        return basic[1]
    scheme, _, value = authorization.partition(" ")
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
