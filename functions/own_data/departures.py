"""Accounts that leave: the document is written to a file, which the kernel sends.

So whoever reads slowly holds neither the database nor memory, and the answer says how long it is: a client notices one
that was cut. Files are bounded as well, since behind Cloud Functions they are memory.
"""

import tempfile
import threading
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
        except OSError as error:
            file.close()
            raise StorageFull(f"temporary files: {error.strerror}") from error
        except BaseException:
            file.close()
            raise
        return file


def _new_file(user_id: UUID) -> IO[bytes]:
    """Return a file without a name, one for an account. Raises Overloaded where as many are read as may be."""
    most_files = max(1, min(MOST_FILES, memory_limit_bytes() // 2 // LARGEST_BYTES))
    with _files_lock:
        if user_id in _files or len(_files) >= most_files:
            raise Overloaded("exports")
        file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it
        _files[user_id] = file
    return file


class _Writer:
    """Writes the document as it comes, an element a line, so that it can be read and compared by lines, too."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._folder = Path(tempfile.gettempdir())
        self._array = ""  # the member whose elements come now
        self._unchecked_bytes = 0

    def write(self, user_id: UUID) -> None:
        """Write all of an account. Raises OSError, and what reading it raises."""
        self._put(f'{{"format":"{FORMAT}","version":{VERSION}')
        exports.read(database(), user_id, self._take)
        self._end_arrays_before(None)
        self._put("}\n")
        self._file.flush()

    def _take(self, member: str, text: str) -> None:
        if member not in exports.ARRAYS:
            self._put(f',\n"{member}":{text}')
            return
        is_first = member != self._array
        if is_first:
            self._end_arrays_before(member)
        self._put(("\n" if is_first else ",\n") + text)

    def _end_arrays_before(self, member: str | None) -> None:
        """Write the end of the array that is open, all that have no elements, and the beginning of the next one."""
        names = exports.ARRAYS
        begun = names.index(self._array) + 1 if self._array else 0
        if self._array:
            self._put("]")
        for name in names[begun : names.index(member) if member else None]:
            self._put(f',\n"{name}":[]')
        if member:
            self._put(f',\n"{member}":[')
            self._array = member

    def _put(self, text: str) -> None:
        """Raises StorageFull, OSError."""
        self._unchecked_bytes += self._file.write(text.encode())
        if self._unchecked_bytes > _PIECE_BYTES:
            self._unchecked_bytes = 0
            if not storage.has_room(self._folder, 0):
                raise StorageFull("temporary files")
