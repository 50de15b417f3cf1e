"""A request as it comes in, piece by piece: when it is whole, and what it is then. Nothing here waits.

gunicorn's parser judges the head; how long the body is, is said by both, and they must agree.
"""

import re
import tempfile
from io import BytesIO
from typing import IO, Any

from gunicorn.http import errors, get_parser
from gunicorn.http.body import ChunkedReader, LengthReader

from shared.errors import StorageFull
from shared.worker import uploads

MOST_BODY_BYTES = 4 * 1024 * 1024  # kept of a body: no route reads more
MOST_DRAINED_BYTES = 32 * 1024 * 1024  # taken of a body: clients break when they are answered while they send
MOST_HEAD_BYTES = 64 * 1024
LONGEST_REQUEST_LINE_BYTES = 8190  # the framework sets 0, which is none: an endless line costs the square of its length
_MOST_CHUNKS = 10_000  # of .NET's 4 KB each it would be 40 MB
_LONGEST_CHUNK_LINE_BYTES = 256
_END = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"[!-~]+ [^ \r\n]+ HTTP/1\.[01]")
_FRAMING = re.compile(
    rb"\r\n(content-length|transfer-encoding|expect|upgrade)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE
)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[\t -~]*)?")


class Incoming:
    """What has come of one request.

    `is_whole`: a thread may answer it. `is_cut`: its end is unknown or was not kept, so its connection must close.
    `is_asking`: its body is an upload, of which nothing is taken before `admit` or `refuse`.
    """

    def __init__(self) -> None:
        self.is_whole = False
        self.is_cut = False
        self.is_asking = False
        self.is_upload = False
        self.wants_continue = False
        self.wants_upgrade = False
        self.received_bytes = 0  # of the body
        self._head = bytearray()
        self.has_head = False
        self._body: IO[bytes] = BytesIO()
        self._most_kept_bytes = MOST_BODY_BYTES
        self.upload: uploads.UploadKind | None = None  # which its body may be
        self._upload_bytes = 0
        self._length = 0
        self._chunks: _Chunks | None = None
        self._error: Exception | None = None

    @property
    def held_bytes(self) -> int:
        """How much memory it needs until it is answered."""
        return len(self._head) + (0 if self.is_upload else min(self.received_bytes, self._most_kept_bytes))

    def feed(self, received: bytes) -> bytes:
        """Take what has come in, and return what belongs to the next request."""
        try:
            if not self.has_head:
                received = self._take_head(received)
            if self.is_whole or not self.has_head or self.is_asking:
                return received
            return self._take_body(received)
        except errors.ParseException as error:
            self._error = error
            self._cut()
            return b""

    def end(self) -> None:
        """Note that nothing more will come of a body."""
        self.refuse(errors.NoMoreData(0))
        self._cut()

    def admit(self) -> None:
        """Take in the body, into a file without a name where temporary files are (TMPDIR)."""
        try:
            self._body = tempfile.TemporaryFile()  # noqa: SIM115 - `close` closes it
        except OSError:
            self.refuse(StorageFull())
            return
        self.is_asking, self.is_upload = False, True
        self._most_kept_bytes = self._upload_bytes

    def refuse(self, error: Exception) -> None:
        """Take in nothing more of the body. Whoever reads it has this raised."""
        self.close()
        self.is_asking = self.is_upload = False
        self._body, self._most_kept_bytes = _Refused(error), 0

    def close(self) -> None:
        """Drop the body."""
        self._body.close()

    def request(self, cfg: Any, address: Any) -> Any:
        """Return gunicorn's request. Raises its ParseException."""
        if self._error is not None:
            raise self._error
        request = next(get_parser(cfg, iter([bytes(self._head)]), address))
        reader = request.body.reader
        agreed = isinstance(reader, ChunkedReader)
        if self._chunks is None:
            agreed = isinstance(reader, LengthReader) and reader.length == self._length
        if not agreed:
            raise errors.InvalidHeader("Content-Length")
        if isinstance(self._body, BytesIO):
            self._body.getvalue()  # it has its exact size from here on: reading all of it copies nothing
        try:
            self._body.seek(0)
        except OSError:  # what was kept for the file finds no room
            self.refuse(StorageFull())
        request.body = self._body
        request._expected_100_continue = False  # it was told, if it had to be
        if self.is_cut:
            request.force_close()
        return request

    def _take_head(self, received: bytes) -> bytes:
        searched = max(0, len(self._head) - len(_END) + 1)
        self._head += received if self._head else received.lstrip(b"\r\n")  # RFC 9112 §2.2
        end = self._head.find(_END, searched)
        if end < 0:
            line, line_end, _ = bytes(self._head[: LONGEST_REQUEST_LINE_BYTES + 2]).partition(b"\r\n")
            if len(self._head) > MOST_HEAD_BYTES:
                raise errors.LimitRequestHeaders("limit request headers fields size")
            if len(line) > LONGEST_REQUEST_LINE_BYTES or (line_end and not _REQUEST_LINE.fullmatch(line)):
                self._cut()
            return b""
        end += len(_END)
        if end > MOST_HEAD_BYTES:
            raise errors.LimitRequestHeaders("limit request headers fields size")
        rest = bytes(self._head[end:])
        del self._head[end:]
        self.has_head = True
        self._begin_body()
        return rest

    def _begin_body(self) -> None:
        lengths, encodings = self._framing()
        if encodings == [b"chunked"] and not lengths:
            self._chunks = _Chunks()
        elif not encodings and not lengths:
            self.is_whole = True
        elif not encodings and len(lengths) == 1 and _LENGTH.fullmatch(lengths[0]):
            self._length = int(lengths[0])
            self.is_whole = self._length == 0
        else:
            self._cut()  # gunicorn says what is wrong with it
        if not self.is_whole:
            self.upload = uploads.find(self._head)
            self._upload_bytes = self.upload.largest() if self.upload else 0
            self.is_asking = self._upload_bytes > 0
            self.wants_continue &= self._length <= max(MOST_BODY_BYTES, self._upload_bytes)

    def _framing(self) -> tuple[list[bytes], list[bytes]]:
        """Return what the head says of the body's length and encoding, and note what else it wants."""
        lengths, encodings = [], []
        for name, value in _FRAMING.findall(self._head):
            match name.lower():
                case b"content-length":
                    lengths.append(value)
                case b"transfer-encoding":
                    encodings.append(value.lower())
                case b"expect":
                    self.wants_continue = value.lower() == b"100-continue"
                case b"upgrade":
                    self.wants_upgrade = True
        return lengths, encodings

    def _take_body(self, received: bytes) -> bytes:
        if self._chunks is not None:
            part, rest = self._chunks.decode(received)
            self._keep(part)
            self.is_whole |= self._chunks.is_over
            return rest
        missing = self._length - self.received_bytes
        self._keep(received[:missing])
        self.is_whole |= self.received_bytes == self._length
        return received[missing:]

    def _keep(self, part: bytes) -> None:
        room = self._most_kept_bytes + 1 - self.received_bytes  # one more tells that it is too long
        self.received_bytes += len(part)
        try:
            self._body.write(part[: max(room, 0)])
        except OSError:  # of a file
            self.refuse(StorageFull())
        self.is_cut = self.received_bytes > self._most_kept_bytes
        self.is_whole = self.received_bytes > max(MOST_DRAINED_BYTES, 2 * self._upload_bytes)

    def _cut(self) -> None:
        self.is_whole = self.is_cut = True


class _Refused(BytesIO):
    """A body that is not there."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def read(self, _size: int | None = -1, /) -> bytes:
        raise self._error

    def write(self, _part: Any, /) -> int:
        return 0


class _Chunks:
    """A chunked body (RFC 9112 §7.1), decoded as it comes. Trailers are dropped."""

    def __init__(self) -> None:
        self.is_over = False
        self._held = b""  # part of a line
        self._missing_bytes = 0  # of the chunk and the line break after it
        self._is_in_trailers = False
        self._lines = 0

    def decode(self, received: bytes) -> tuple[bytes, bytes]:
        """Return what it holds, and what comes after its end. Raises ParseException."""
        data = self._held + received
        self._held = b""
        parts: list[bytes] = []
        at = 0
        while at < len(data) and not self.is_over:
            at = self._chunk(data, at, parts) if self._missing_bytes else self._line(data, at)
        return b"".join(parts), data[at:]

    def _chunk(self, data: bytes, at: int, parts: list[bytes]) -> int:
        piece = data[at : at + self._missing_bytes]
        content_bytes = max(0, self._missing_bytes - 2)
        line_break = piece[content_bytes:]
        if not b"\r\n"[max(0, 2 - self._missing_bytes) :].startswith(line_break):
            raise errors.ChunkMissingTerminator(line_break)
        parts.append(piece[:content_bytes])
        self._missing_bytes -= len(piece)
        return at + len(piece)

    def _line(self, data: bytes, at: int) -> int:
        end = data.find(b"\r\n", at, at + _LONGEST_CHUNK_LINE_BYTES)
        if end < 0:
            if len(data) - at >= _LONGEST_CHUNK_LINE_BYTES:
                raise errors.InvalidChunkSize(b"a line without an end")
            self._held = data[at:]
            return len(data)
        self._lines += 1
        if self._lines > _MOST_CHUNKS:
            raise errors.InvalidChunkSize(b"too many")
        if self._is_in_trailers:
            self.is_over = end == at
        else:
            size = _CHUNK_SIZE.fullmatch(data, at, end)
            if size is None:
                raise errors.InvalidChunkSize(data[at:end])
            length = int(size[1], 16)
            self._missing_bytes = length + 2 if length else 0
            self._is_in_trailers = length == 0
        return end + 2
