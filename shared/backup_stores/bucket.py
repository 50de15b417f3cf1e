"""Backups in a bucket of Google Cloud Storage.

An object is there when its upload is whole, and reading after writing is consistent (Cloud Storage, "Consistency").
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from shared.backup_stores.stored_file import StoredFile
from shared.errors import ProviderUnavailable

if TYPE_CHECKING:
    from google.cloud.storage import Bucket

TIMEOUT_SECONDS = 30.0  # to connect, and between two pieces
RETRY_SECONDS = 20.0  # what fails is asked again for so long
_PIECE_BYTES = 2 * 1024 * 1024  # of an upload, in memory; a multiple of 256 KiB (Cloud Storage, "Resumable uploads")


class BucketStore:
    """A bucket, or what is below a prefix in it."""

    def __init__(self, bucket: str, prefix: str, endpoint: str) -> None:
        """`endpoint`: another address of the API, asked without credentials; empty for Google's own."""
        self._name = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._endpoint = endpoint

    @cached_property
    def _bucket(self) -> "Bucket":
        from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415 - half a second, at first use
        from google.cloud.storage import Client  # noqa: PLC0415

        if not self._endpoint:
            return Client().bucket(self._name)
        anonymous = AnonymousCredentials()  # type: ignore[no-untyped-call] # google-auth has no types
        client = Client("none", anonymous, client_options={"api_endpoint": self._endpoint})
        return client.bucket(self._name)

    def put(self, place: str, file: IO[bytes], _byte_count: int) -> None:
        with _failures():
            blob = self._bucket.blob(self._prefix + place, chunk_size=_PIECE_BYTES)
            # Told its size, the client would take up to 8 MiB into memory, to send them in one request.
            blob.upload_from_file(file, rewind=True, content_type="application/gzip", **_patience())

    def open(self, place: str, start: int, byte_count: int) -> IO[bytes]:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it
        try:
            self._fetch(place, start, byte_count, file)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    def _fetch(self, place: str, start: int, byte_count: int, file: IO[bytes]) -> None:
        with _failures():
            self._bucket.blob(self._prefix + place).download_to_file(
                file, start=start, end=start + byte_count - 1, raw_download=True, **_patience()
            )
        if file.tell() != byte_count:
            raise ProviderUnavailable("Cloud Storage: an object is too short")

    def delete(self, place: str) -> None:
        from google.api_core.exceptions import NotFound  # noqa: PLC0415

        with _failures():
            try:
                self._bucket.blob(self._prefix + place).delete(**_patience())
            except NotFound:
                return

    def list_files(self) -> Iterator[StoredFile]:
        with _failures():
            for blob in self._bucket.list_blobs(prefix=self._prefix, **_patience()):
                yield StoredFile(blob.name.removeprefix(self._prefix), blob.updated)


def _patience() -> dict[str, Any]:
    from google.cloud.storage.retry import DEFAULT_RETRY  # noqa: PLC0415

    return {"timeout": TIMEOUT_SECONDS, "retry": DEFAULT_RETRY.with_timeout(RETRY_SECONDS)}


@contextmanager
def _failures() -> Iterator[None]:
    """Raises ProviderUnavailable for whatever goes wrong on the way to the service, or there."""
    from google.api_core.exceptions import GoogleAPIError  # noqa: PLC0415
    from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
    from google.cloud.storage.exceptions import DataCorruption  # noqa: PLC0415
    from requests import RequestException  # noqa: PLC0415

    try:
        yield
    except (GoogleAPIError, GoogleAuthError, DataCorruption, RequestException, OSError) as error:
        raise ProviderUnavailable(f"Cloud Storage: {type(error).__name__}") from error
