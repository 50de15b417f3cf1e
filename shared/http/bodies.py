"""Reading a request's body: never more in memory than its route can need.

The worker has taken it in before (shared/worker), with what nobody wants of it dropped: clients break when they are
answered while they still send.
"""

from flask import Request
from werkzeug.exceptions import ClientDisconnected

from shared.errors import BodyTooLarge, InvalidRequest, UnsupportedEncoding

SLACK_BYTES = 16 * 1024  # unknown fields, white space


def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the body. Raises UnsupportedEncoding, BodyTooLarge, InvalidRequest."""
    if request.headers.get("Content-Encoding", "").strip().lower() not in {"", "identity"}:
        raise UnsupportedEncoding
    if (request.content_length or 0) > max_bytes:
        raise BodyTooLarge
    try:
        body = request.stream.read(max_bytes + 1)
    except (ClientDisconnected, OSError):
        raise InvalidRequest("The body ended early.") from None
    if len(body) > max_bytes:
        raise BodyTooLarge
    return body
