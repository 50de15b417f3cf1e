"""Reading a request's body: never more in memory than its route can need.

functions-framework reads whatever a handler left unread into memory, and clients break when they are answered while
they still send. So what nobody wanted of a body is drained into nothing before the answer, within bounds.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Request, Response
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected

from shared.errors import BodyTooLarge, InvalidRequest, UnsupportedEncoding

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LARGEST_BODY_BYTES = 4 * 1024 * 1024
SLACK_BYTES = 16 * 1024  # unknown fields, white space
DRAIN_BYTES = 32 * 1024 * 1024
DRAIN_SECONDS = 10.0
_CHUNK_BYTES = 64 * 1024
_WHOLE = "liftlog.body_was_read_whole"
_UNREADABLE = (ClientDisconnected, OSError, ParseException)  # gone, silent, or not HTTP


def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the body. Raises UnsupportedEncoding, BodyTooLarge, InvalidRequest."""
    if request.headers.get("Content-Encoding", "").strip().lower() not in {"", "identity"}:
        raise UnsupportedEncoding
    if (request.content_length or 0) > max_bytes:
        raise BodyTooLarge
    try:
        body = request.stream.read(max_bytes + 1)
    except _UNREADABLE:
        raise InvalidRequest("The body ended early.") from None
    if len(body) > max_bytes:
        raise BodyTooLarge
    request.environ[_WHOLE] = True
    return body


def drain(request: Request) -> bool:
    """Read what is left of the body into nothing, at most 32 MiB or 10 s. Tell whether that was all of it."""
    if _WHOLE in request.environ or not (request.content_length or "Transfer-Encoding" in request.headers):
        return True
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    if connection is not None:
        connection.settimeout(DRAIN_SECONDS)
    deadline = time.monotonic() + DRAIN_SECONDS
    left = DRAIN_BYTES
    try:
        while left > 0 and time.monotonic() < deadline:
            chunk = request.stream.read(min(_CHUNK_BYTES, left))
            if not chunk:
                return True
            left -= len(chunk)
    except _UNREADABLE:
        pass
    return False


class ClosingResponse(Response):
    """A response after which the connection is closed, whether or not the request's body was read to its end."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # WSGI has no word for it, and gunicorn drops a Connection header: its own response object must be told
        connection = getattr(start_response, "__self__", None)
        if connection is not None and hasattr(connection, "force_close"):
            connection.force_close()
        return super().__call__(environ, start_response)


def closing(response: Response) -> Response:
    """Return the response as one that closes the connection, streamed, so that the framework reads no further."""
    closing_response = ClosingResponse(iter([response.get_data()]), response.status_code, response.headers)
    closing_response.headers["Connection"] = "close"
    return closing_response
