"""A backup as the answer: the file, or the one range of it that is asked for (RFC 9110 §13 and §14)."""

import re

import flask
from flask import Request, Response
from werkzeug.http import is_resource_modified

from shared.backup_stores import SUFFIX, BackupStore, place_of
from shared.data.backups import Backup
from shared.errors import RangeNotSatisfiable

_RANGE = re.compile(r"bytes=[ \t]*(?=[0-9]|-[0-9])([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)  # RFC 9110 §14.1.2


def answer(request: Request, backup: Backup, store: BackupStore) -> Response:
    """Return the file, a part of it, or word that who asks has it. Raises RangeNotSatisfiable, ProviderUnavailable."""
    etag = f'"{backup.hex_digest}"'
    if not is_resource_modified(request.environ, etag):
        response = Response(status=304)
        del response.headers["Content-Type"]
    else:
        wanted = _wanted(request, etag, backup.byte_count)
        start, end = wanted or (0, backup.byte_count)
        response = _file(request, backup, store, start, end)
        if wanted:
            response.status_code = 206
            response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{backup.byte_count}"
    response.headers["ETag"] = etag
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "private, no-cache"  # it may be kept, and is asked for with its ETag
    return response


def _wanted(request: Request, etag: str, byte_count: int) -> tuple[int, int] | None:
    """Return the first byte and the one after the last; None where no single range is asked for, or of another file.

    By hand: Werkzeug takes a suffix that is longer than the file for one that cannot be, and weak tags for strong ones.
    """
    asked = _RANGE.fullmatch(request.headers.get("Range", ""))
    if request.method != "GET" or asked is None or request.headers.get("If-Range", etag).strip() != etag:
        return None
    first, last = asked.groups()
    if not first:
        start, end = max(0, byte_count - int(last)), byte_count
    else:
        start, end = int(first), min(int(last) + 1, byte_count) if last else byte_count
        if last and int(last) < start:
            return None
    if start >= byte_count:
        raise RangeNotSatisfiable(byte_count)
    return start, end


def _file(request: Request, backup: Backup, store: BackupStore, start: int, end: int) -> Response:
    """Return an answer whose body the kernel sends, and that has none for HEAD."""
    if request.method == "HEAD":
        response = Response(iter(()), mimetype="application/gzip")
    else:
        file = store.open(place_of(backup.name, backup.id), start, end - start)
        pieces = flask.request.environ["wsgi.file_wrapper"](file)
        response = Response(pieces, mimetype="application/gzip", direct_passthrough=True)
    response.content_length = end - start
    moment = f"{backup.stored_at:%Y%m%dT%H%M%SZ}"
    response.headers["Content-Disposition"] = f'attachment; filename="{backup.name}-{moment}{SUFFIX}"'
    return response
