"""Responses: ready-made JSON, and compression."""

import json
import zlib
from collections.abc import Iterator
from typing import Any

from flask import Request, Response

COMPRESS_FROM_BYTES = 1024
# Level 1 finds what repeats: 17 ms of CPU per MB. What is large is ciphertext in base64, where nothing repeats but the
# alphabet: Huffman's code alone takes a quarter off, as any level does, for 4.5 ms (bench/README.md).
_HUFFMAN_FROM_BYTES = 256 * 1024
_PIECE_BYTES = 256 * 1024
_GZIP = 16 + zlib.MAX_WBITS


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False)


class JsonText:
    """A finished JSON text, as PostgreSQL built it, in parts."""

    __slots__ = ("parts",)

    def __init__(self, *parts: str) -> None:
        self.parts = parts


def json_response(value: Any, status: int = 200, content_type: str = "application/json") -> Response:
    """Return a response with the value as compact JSON; a JsonText goes through as it is."""
    parts = value.parts if isinstance(value, JsonText) else [_ENCODER.encode(value)]
    return _response_of([part.encode() for part in parts], Response(status=status, content_type=content_type))


def compress(request: Request, response: Response) -> None:
    """Gzip an answer above 1 KB where the client asked for it."""
    length = response.content_length or 0
    if response.is_streamed or length < COMPRESS_FROM_BYTES:
        return
    response.headers["Vary"] = "Accept-Encoding"
    accepted = request.headers.get("Accept-Encoding", "").lower()
    if request.accept_encodings.quality("gzip") <= 0 or "gzip" not in accepted:
        return
    strategy = zlib.Z_DEFAULT_STRATEGY if length < _HUFFMAN_FROM_BYTES else zlib.Z_HUFFMAN_ONLY
    _response_of([piece for piece in _packed(response.response, strategy) if piece], response)
    response.headers["Content-Encoding"] = "gzip"


def _packed(parts: Any, strategy: int) -> Iterator[bytes]:
    compressor = zlib.compressobj(1, zlib.DEFLATED, _GZIP, zlib.DEF_MEM_LEVEL, strategy)
    for part in parts:
        whole = memoryview(part)
        for at in range(0, len(whole), _PIECE_BYTES):
            yield compressor.compress(whole[at : at + _PIECE_BYTES])
    yield compressor.flush()


def _response_of(pieces: list[bytes], response: Response) -> Response:
    response.response = pieces
    response.content_length = sum(map(len, pieces))
    return response
