"""Accounts that leave: the document is written to a file, which the kernel sends.

So whoever reads slowly holds neither the database nor memory, and the answer says how long it is: a client notices one
that was cut. Files are bounded as well, since behind Cloud Functions they are memory.
"""

import tempfile
import threading
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from uuid import UUID
from weakref import WeakValueDictionary

from flask import Request, Response

from functions.own_data.schemas import FORMAT, VERSION
from shared import storage
from shared.data import database, exports
from shared.errors import Overloaded, StorageFull
from shared.fair_gate import FairGate
from shared.memory import budget
from shared.process import memory_limit_bytes

MOST_WAITING, WAIT_SECONDS = 8, 60.0  # each holds a thread
LARGEST_BYTES = 300 * 1024 * 1024  # of a document, within the default quotas: measured in docs/adr/0020
MOST_FILES = 8
_WORKING_BYTES = 12 * 1024 * 1024  # a profile with the largest picture, as it comes and as text
_PIECE_BYTES = 1024 * 1024

# One at a time reads the database, in turn between accounts: it takes seconds, and others need the connections.
_gate = FairGate(MOST_WAITING, WAIT_SECONDS)
_files = WeakValueDictionary[UUID, IO[bytes]]()  # of accounts whose document is written or read; the worker lets go
_files_lock = threading.Lock()


def answer(request: Request, user_id: UUID) -> Response:
    """Return the document of an account. Raises UnknownUser, Overloaded, StorageFull, DatabaseUnavailable."""
    file = _document_of(user_id)
    response = Response(
        request.environ["wsgi.file_wrapper"](file), mimetype="application/json", direct_passthrough=True
    )
    response.content_length = file.tell()
    file.seek(0)
    moment = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    response.headers["Content-Disposition"] = f'attachment; filename="liftlog-account-{moment}.json"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _document_of(user_id: UUID) -> IO[bytes]:
    with _gate.enter(user_id):
        budget().reserve(_WORKING_BYTES)
        file = _new_file(user_id)
        try:
            _Writer(file).write(user_id)
        except BaseException:
            with suppress(OSError):  # what is still to be written finds no room, either
                file.close()
            raise
        return file


def _new_file(user_id: UUID) -> IO[bytes]:
    """Return a file without a name, one for an account. Raises StorageFull, Overloaded where many are read."""
    most_files = max(1, min(MOST_FILES, memory_limit_bytes() // 2 // LARGEST_BYTES))
    with _files_lock:
        if user_id in _files or len(_files) >= most_files:
            raise Overloaded("exports")
        try:
            file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it
        except OSError as error:
            raise StorageFull(f"temporary files: {error.strerror}") from error
        _files[user_id] = file
    return file


class _Writer:
    """Writes the document as it comes, an element a line, so that it can be read and compared by lines, too."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._folder = Path(tempfile.gettempdir())
        self._unflushed_bytes = 0
        self._end = ""  # of the array that is open
        self._before = ""  # its next element

    def write(self, user_id: UUID) -> None:
        """Write all of an account. Raises StorageFull, and what reading it raises."""
        self._put(f'{{"format":"{FORMAT}","version":{VERSION}')
        exports.read(database(), user_id, self._take)
        self._put(f"{self._end}}}\n", is_last=True)

    def _take(self, member: str, text: str | None) -> None:
        if text is None:
            self._put(f'{self._end},\n"{member}":[')
            self._end, self._before = "]", "\n"
        elif self._end:
            self._put(self._before + text)
            self._before = ",\n"
        else:
            self._put(f',\n"{member}":{text}')

    def _put(self, text: str, *, is_last: bool = False) -> None:
        """Raises StorageFull."""
        try:
            self._unflushed_bytes += self._file.write(text.encode())
            if self._unflushed_bytes > _PIECE_BYTES or is_last:
                self._file.flush()
        except OSError as error:
            raise StorageFull(f"temporary files: {error.strerror}") from error
        if self._unflushed_bytes > _PIECE_BYTES:
            self._unflushed_bytes = 0
            if not storage.has_room(self._folder, 0):
                raise StorageFull("temporary files")
