"""A document read piece by piece: of the file only a window is in memory, of the values one at a time.

Each value is judged by the same strict JSON as a request's body. Libraries that stream JSON take texts of any length
into memory, and let pass what is named twice (docs/adr/0020).
"""

import re
from collections.abc import Collection, Iterator
from typing import IO, Any

from shared.errors import InvalidRequest
from shared.http import strict_json

MOST_VALUE_BYTES = 4 * 1024 * 1024  # as of a request's body: a profile with the largest picture has 3
MOST_MEMBERS = 100  # there are seven
_PIECE_BYTES = 256 * 1024
_NO_SPACE = re.compile(rb"[^ \t\r\n]")
_SIGN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}"]', re.DOTALL)  # a whole text, a bracket, a text without its end
_END_OF_SCALAR = re.compile(rb"[^\w.+-]")


def members(file: IO[bytes], arrays: Collection[str]) -> Iterator[tuple[str, Any]]:
    """Yield each member of the object in a file; of those that are `arrays` each element, with the member's name.

    An empty array yields its name with None. Raises InvalidRequest: what is no JSON, a member that comes twice, many
    members, a value that is too large, anything behind the object, and an object that was cut.
    """
    window = _Window(file)
    known: set[str] = set()
    window.take(b"{")
    separator = b""
    while separator != b"}":
        name = window.value()
        if not isinstance(name, str) or name in known or len(known) >= MOST_MEMBERS:
            raise InvalidRequest("The document names a member twice, or too many.")
        known.add(name)
        window.take(b":")
        if name in arrays:
            yield from ((name, element) for element in _elements(window))
        else:
            yield name, window.value()
        separator = window.take(b",", b"}")
    if window.sign():
        raise InvalidRequest("Something comes after the document's end.")


def _elements(window: "_Window") -> Iterator[Any]:
    window.take(b"[")
    if window.sign() == b"]":
        window.take(b"]")
        yield None
        return
    separator = b","
    while separator == b",":
        yield window.value()
        separator = window.take(b",", b"]")


class _Window:
    """A file of JSON, read forwards."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._bytes = b""
        self._at = 0
        self._is_over = False

    def sign(self) -> bytes:
        """Return the next byte that is no white space, and leave it; none at the end."""
        while True:
            found = _NO_SPACE.search(self._bytes, self._at)
            if found:
                self._at = found.start()
                return found[0]
            self._at = len(self._bytes)
            if self._is_over:
                return b""
            self._read_on()

    def take(self, *signs: bytes) -> bytes:
        """Return the next sign, which must be one of these. Raises InvalidRequest."""
        sign = self.sign()
        if sign not in signs:
            raise InvalidRequest("The document was cut." if not sign else "The document is not JSON.")
        self._at += 1
        return sign

    def value(self) -> Any:
        """Return the next value. Raises InvalidRequest."""
        if not self.sign():
            raise InvalidRequest("The document was cut.")
        while (end := self._end_of_value()) is None:
            if self._is_over:
                raise InvalidRequest("The document was cut.")
            if len(self._bytes) - self._at > MOST_VALUE_BYTES:
                raise InvalidRequest("The document holds a value that is too large.")
            self._read_on()
        value = strict_json.parse(self._bytes[self._at : end])
        self._at = end
        return value

    def _end_of_value(self) -> int | None:
        """Return where the value ends that begins here; None if not in the window."""
        if self._bytes[self._at : self._at + 1] not in (b'"', b"[", b"{"):
            end = _END_OF_SCALAR.search(self._bytes, self._at)
            return end.start() if end else len(self._bytes) if self._is_over else None
        depth = 0
        for sign in _SIGN.finditer(self._bytes, self._at):
            match sign[0]:
                case b"[" | b"{":
                    depth += 1
                case b"]" | b"}":
                    depth -= 1
                case b'"':
                    return None
            if not depth:
                return sign.end()
        return None

    def _read_on(self) -> None:
        """Let go of what is read, and read as much again as is left, so that a value is looked at twice at most."""
        left = self._bytes[self._at :]
        read = self._file.read(max(_PIECE_BYTES, len(left)))
        self._bytes, self._at, self._is_over = left + read, 0, not read
