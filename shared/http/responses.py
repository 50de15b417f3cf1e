"""Responses: ready-made JSON, and compression."""

import gzip
import json
from typing import Any

from flask import Request, Response

COMPRESS_FROM_BYTES = 1024
_COMPRESSION_LEVEL = 1  # ciphertext in base64 shrinks by a quarter at any level; the fastest costs least


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


class JsonText(str):
    """A finished JSON text, as PostgreSQL built it."""

    __slots__ = ()


def json_response(value: Any, status: int = 200, content_type: str = "application/json") -> Response:
    """Return a response with the value as compact JSON; a JsonText goes through as it is."""
    text = value if isinstance(value, JsonText) else _ENCODER.encode(value)
    return Response(text.encode(), status, content_type=content_type)


def compress(request: Request, response: Response) -> None:
    """Gzip an answer above 1 KB where the client asked for it."""
    if response.is_streamed or (response.content_length or 0) < COMPRESS_FROM_BYTES:
        return
    response.headers["Vary"] = "Accept-Encoding"
    accepted = request.headers.get("Accept-Encoding", "").lower()
    if request.accept_encodings.quality("gzip") <= 0 or "gzip" not in accepted:
        return
    response.set_data(gzip.compress(response.get_data(), _COMPRESSION_LEVEL))
    response.headers["Content-Encoding"] = "gzip"
