"""Reading a request's body: never more in memory than its route can need.

The worker has taken it in before (shared/worker), with what nobody wants of it dropped: clients break when they are
answered while they still send.
"""

import os
from io import BytesIO
from typing import IO

from flask import Request
from werkzeug.exceptions import ClientDisconnected

from shared.errors import BodyTooLarge, InvalidRequest, UnsupportedEncoding

SLACK_BYTES = 16 * 1024  # unknown fields, white space


def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the body. Raises UnsupportedEncoding, BodyTooLarge, InvalidRequest."""
    refuse_by_head(request, max_bytes)
    try:
        body = request.stream.read(max_bytes + 1)
    except (ClientDisconnected, OSError):
        raise InvalidRequest("The body ended early.") from None
    if len(body) > max_bytes:
        raise BodyTooLarge
    return body


def read_upload(request: Request, max_bytes: int) -> IO[bytes]:
    """Return an upload's file, at its beginning. Raises as `read_body` does, and Overloaded, StorageFull."""
    refuse_by_head(request, max_bytes)
    file: IO[bytes] = request.environ["wsgi.input"]
    try:
        file.read(0)
    except OSError:
        raise InvalidRequest("The body ended early.") from None
    if isinstance(file, BytesIO):  # the worker did not take it for one
        raise InvalidRequest("The body is missing.")
    if os.fstat(file.fileno()).st_size > max_bytes:
        raise BodyTooLarge
    return file


def refuse_by_head(request: Request, max_bytes: int) -> None:
    """Look at what the head says of the body. Raises UnsupportedEncoding, BodyTooLarge."""
    if request.headers.get("Content-Encoding", "").strip().lower() not in {"", "identity"}:
        raise UnsupportedEncoding
    if (request.content_length or 0) > max_bytes:
        raise BodyTooLarge
