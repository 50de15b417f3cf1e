"""What browsers are told with every answer, and what pages of others may not ask for.

Web builds of the app may have any origin, so any page may read what the public routes answer. The private routes are
for pages of this service alone: a browser sends an operator's credentials along, and reaches what listens on its own
machine.
"""

import base64
import hashlib
import re
from functools import lru_cache

from flask import Request, Response

from shared.errors import ForeignPage

# Google's "Content Security Policy" and OWASP's "Secure Headers" say what each is for.
_UNLESS_SAID = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",  # answers are personal, and few would be asked for twice
    # an answer that is no page loads nothing and is in no frame
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_ANY_ORIGIN = [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", "Retry-After")]
_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def page(html: str, status: int = 200, *, has_forms: bool = False) -> Response:
    """Return a page whose own scripts and styles are all that it may use, beside this service.

    `has_forms`: they may be sent to this service. With no-referrer a browser would say of them "Origin: null" (Fetch
    Standard, "append a request Origin header"), which is a foreign page's.
    """
    headers = {"Content-Security-Policy": _policy(html, "'self'" if has_forms else "'none'")}
    if has_forms:
        headers["Referrer-Policy"] = "same-origin"
    return Response(html, status, mimetype="text/html", headers=headers)


def _policy(html: str, forms: str) -> str:
    """Return the policy of a page: its inline scripts by their digests (Content Security Policy, level 3, §6.7)."""
    scripts = " ".join(map(_digest, _INLINE_SCRIPT.findall(html))) or "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:; connect-src 'self';"
        f" base-uri 'none'; form-action {forms}; frame-ancestors 'none'"
    )


@lru_cache(maxsize=16)  # there are few, and none has anybody's data in it
def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def inform(response: Response) -> None:
    """Add what every answer tells a browser."""
    for name, value in _UNLESS_SAID.items():
        response.headers.setdefault(name, value)


def allow_any_origin(request: Request, response: Response, *, credentials: bool) -> None:
    """Let web builds of the app, whatever their origin, read the answer.

    Browsers that were told to send credentials want to read their own origin there (Fetch Standard, "CORS protocol and
    credentials").
    """
    response.headers.extend(_ANY_ORIGIN)
    origin = request.headers.get("Origin")
    if credentials and origin is not None:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.vary.add("Origin")


def preflight(request: Request) -> Response:
    """Answer a browser's question whether it may send a request: any origin, any method, any header."""
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = request.headers.get("Access-Control-Request-Method", "*")
    response.headers["Access-Control-Allow-Headers"] = request.headers.get("Access-Control-Request-Headers", "*")
    response.headers["Access-Control-Max-Age"] = "7200"
    return response


def refuse_foreign_pages(request: Request) -> None:
    """Raises ForeignPage if a page of another site has the browser ask (Fetch Metadata; Fetch Standard, "Origin").

    What the browser says of the site counts, for no page can forge it and no proxy changes it; one that says nothing of
    it (an old one, or one without TLS) at least names the origin. A link elsewhere may lead here: what it opens is a
    page of its own, which the other one cannot read.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is None:
        origin = request.headers.get("Origin")
        is_foreign = (
            origin is not None and origin.partition("://")[2].lower() != request.headers.get("Host", "").lower()
        )
    else:
        is_link = request.method == "GET" and request.headers.get("Sec-Fetch-Dest") == "document"
        is_foreign = site not in {"same-origin", "none"} and not is_link
    if is_foreign:
        raise ForeignPage
