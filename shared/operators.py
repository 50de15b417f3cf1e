"""Operators: who may use the private routes where the cloud's IAM does not stand in front.

A bearer token is either the operators' own (OPERATOR_TOKEN) or a Google identity token of a configured address, as
Cloud Scheduler and `gcloud auth print-identity-token` make them. A browser sends the first as the password of any user,
or has given it to /admin once and shows the session that it got for it (shared/operator_sessions.py).
Where neither is configured the routes are closed, but on a development server: it lets in whoever is on its machine,
and others with the token that it has made for itself (LOCAL_OPERATOR_TOKEN).
"""

import hmac
import re

import flask

from shared import operator_sessions
from shared.basic import user_and_password
from shared.errors import NotOperator, ProviderUnavailable
from shared.http.clients import client_address
from shared.settings.environment import LOCAL, environment_settings
from shared.settings.operation import OperatorSettings, operator_settings
from shared.settings.secrets import secret
from shared.wrong_tries import WrongTries

wrong_tries = WrongTries()
_JWT_PARTS = 3
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_THIS_MACHINE = re.compile(r"(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?", re.IGNORECASE)
_PROXY_HEADERS = frozenset({"x-forwarded-for", "forwarded", "via", "x-real-ip"})


def authorize(authorization: str | None) -> None:
    """Let an operator pass. Takes the Authorization header. Raises NotOperator, and as `admits` does."""
    if not admits(authorization):
        raise NotOperator


def admits(authorization: str | None) -> bool:
    """Tell whether an operator asks. Takes the Authorization header; without one a browser's session counts.

    Raises ProviderUnavailable, TooManyTries.
    """
    settings = operator_settings()
    if settings.behind_iam or _is_at_home(settings):
        return True
    token = _token(settings)
    if authorization is None:
        return operator_sessions.is_shown(flask.request, token)
    presented = _credential(authorization)
    if settings.identities and presented.count(".") == _JWT_PARTS - 1:
        return _is_operator(presented, settings)
    return _is_token(presented, token)


def new_session(presented: str) -> operator_sessions.Session:
    """Return a browser's session for the operators' token. Raises NotOperator, TooManyTries, ProviderUnavailable."""
    token = _token(operator_settings())
    if not _is_token(presented, token):
        raise NotOperator
    return operator_sessions.begin(token)


def has_token() -> bool:
    """Tell whether there is a token that opens a session. Raises ProviderUnavailable."""
    return bool(_token(operator_settings()))


def _is_at_home(settings: OperatorSettings) -> bool:
    return _is_unconfigured(settings) and _is_from_this_machine()


def _is_unconfigured(settings: OperatorSettings) -> bool:
    """Tell whether this is a development server that nobody has told who its operators are."""
    return environment_settings().name == LOCAL and not settings.identities and not secret("OPERATOR_TOKEN")


def _token(settings: OperatorSettings) -> str:
    return secret("LOCAL_OPERATOR_TOKEN" if _is_unconfigured(settings) else "OPERATOR_TOKEN")


def _is_token(presented: str, token: str) -> bool:
    """Tell whether it is the operators' token, in constant time; wrong ones are counted. Raises TooManyTries."""
    if not token or not presented:
        return False
    source = client_address(flask.request)
    wrong_tries.refuse_if_many(source)
    if hmac.compare_digest(presented.encode(), token.encode()):
        return True
    wrong_tries.count(source)
    return False


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
