"""Sessions of operators in a browser: what its cookie holds in place of their token.

A session is its end and a MAC of that under the token (RFC 2104), so nothing is stored, whichever instance is asked
knows it, and another token ends all of them. Cookies: RFC 6265bis, "Cookie Name Prefixes", "The SameSite Attribute".
"""

import hmac
import time
from dataclasses import dataclass

from flask import Request, Response

SECONDS = 12 * 3600
NAME = "liftlog-operator"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})  # methods, RFC 9110 §9.2.1
_ABOUT = b"LiftLog operator's session until "


@dataclass(frozen=True, slots=True)
class Session:
    """What a browser is given to show."""

    value: str  # "{end, Unix time in seconds}.{MAC in hexadecimal}"


def begin(token: str, now: float | None = None) -> Session:
    """Return a session of twelve hours."""
    end = int(time.time() if now is None else now) + SECONDS
    return Session(f"{end}.{_mac(token, str(end))}")


def is_shown(request: Request, token: str) -> bool:
    """Tell whether a request shows a session under this token that has not ended.

    What changes something must say that a page of this service has it sent: SameSite alone knows no ports.
    """
    value = request.cookies.get(_name(request)) or ""
    end, _, mac = value.partition(".")
    if not token or not hmac.compare_digest(mac.encode(), _mac(token, end).encode()) or int(end) <= time.time():
        return False
    return request.method in _SAFE or _is_of_own_page(request)


def has_cookie(request: Request) -> bool:
    """Tell whether the browser has been given a session, good or not."""
    return _name(request) in request.cookies


def keep(request: Request, response: Response, session: Session) -> None:
    """Have the browser show a session from now on, to this service alone and to no script."""
    _set(request, response, session.value, SECONDS)


def end(request: Request, response: Response) -> None:
    """Have the browser forget its session."""
    _set(request, response, "", 0)


def _set(request: Request, response: Response, value: str, seconds: int) -> None:
    response.set_cookie(
        _name(request), value, max_age=seconds, path="/", secure=_is_secure(request), httponly=True, samesite="Strict"
    )


def _name(request: Request) -> str:
    """Return the cookie's name; with __Host- no other host of the domain can set it, nor anybody without TLS."""
    return f"__Host-{NAME}" if _is_secure(request) else NAME


def _is_secure(request: Request) -> bool:
    """Tell whether the browser speaks TLS, here or with the proxy in front."""
    return request.is_secure or request.headers.get("X-Forwarded-Proto", "").strip().lower() == "https"


def _is_of_own_page(request: Request) -> bool:
    """Tell whether the browser says so. That no foreign page sends it is checked before (shared/http/browsers.py)."""
    return "Origin" in request.headers or "Sec-Fetch-Site" in request.headers


def _mac(token: str, end: str) -> str:
    return hmac.new(token.encode(), _ABOUT + end.encode(), "sha256").hexdigest()
