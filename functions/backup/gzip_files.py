"""Gzip files (RFC 1952): whether one is whole, found out without keeping what is in it."""

import gzip
import zlib
from typing import IO

from shared.errors import InvalidRequest

MOST_EXPANSION = 16  # a phone's database shrinks to a third or a sixth: pages of JSON and blobs
_PIECE_BYTES = 256 * 1024


def check(file: IO[bytes], most_bytes: int) -> int:
    """Return how long a gzip file is whose content is whole: header, checksum and length of every member.

    What expands to more than so many times the largest file is looked at no further. Raises InvalidRequest.
    """
    left = most_bytes * MOST_EXPANSION
    try:
        with gzip.GzipFile(fileobj=file) as content:
            while piece := content.read(_PIECE_BYTES):
                left -= len(piece)
                if left < 0:
                    raise InvalidRequest("The gzip file expands to too much.")
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise InvalidRequest("The body is not a whole gzip file.") from None
    return file.seek(0, 2)
