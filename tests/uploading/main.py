"""A function that takes files and gives them back, for the tests of uploads."""

import hashlib
import os
import tempfile
from typing import IO, Any

import flask
import functions_framework
from flask import Request, Response

from shared.errors import NotSubscribed
from shared.http import Family

MOST_BYTES = 8 * 1024 * 1024
FILE = os.urandom(24 * 1024 * 1024)

family = Family("uploading")


def guard(authorization: str | None) -> None:
    if authorization != "Bearer a key":
        raise NotSubscribed


@family.route("POST", "/file", guard=guard, upload_bytes=lambda: MOST_BYTES)
def put_file(*, upload: IO[bytes]) -> dict[str, Any]:
    return {"digest": hashlib.file_digest(upload, "sha256").hexdigest(), "bytes": upload.tell()}  # type: ignore[arg-type]


@family.route("GET", "/file")
def get_file() -> Response:
    """Return a file from its second byte on, as it would be for a range."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it
    file.write(FILE)
    file.seek(1)
    pieces = flask.request.environ["wsgi.file_wrapper"](file)
    response = Response(pieces, mimetype="application/octet-stream", direct_passthrough=True)
    response.content_length = len(FILE) - 1
    response.headers["X-Digest"] = hashlib.sha256(FILE[1:]).hexdigest()
    return response


@functions_framework.http
def uploading(request: Request) -> Response:
    return family.handle(request)
