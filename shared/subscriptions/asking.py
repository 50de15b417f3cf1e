"""Asking a store over HTTP: bounded in time and size, and everything that is no answer is one kind of failure."""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shared.subscriptions.outcomes import NotPaid, StoreFailed

if TYPE_CHECKING:
    import requests

CONNECT_TIMEOUT_SECONDS = 3.0
SILENCE_TIMEOUT_SECONDS = 5.0
ANSWER_TIMEOUT_SECONDS = 8.0  # for the whole of it
LARGEST_ANSWER_BYTES = 2 * 1024 * 1024  # Apple's names every renewal since the first
FOREVER = datetime.max.replace(tzinfo=UTC)
_CHUNK_BYTES = 64 * 1024
_EPOCH = datetime.fromtimestamp(0, UTC)
_OK = 200

Json = dict[str, Any]


def ask(method: str, url: str, *, not_paid: frozenset[int] = frozenset(), **content: Any) -> Json:
    """Return the JSON object that a store answers. `content`: headers, json, data, as `requests` takes them.

    `not_paid`: the statuses by which it says that there is no such subscription. Raises NotPaid, StoreFailed.
    """
    import requests  # noqa: PLC0415 - only who asks a store needs it

    timeout = (CONNECT_TIMEOUT_SECONDS, SILENCE_TIMEOUT_SECONDS)
    try:
        with (
            requests.Session() as session,
            session.request(method, url, timeout=timeout, stream=True, allow_redirects=False, **content) as response,
        ):
            if response.status_code in not_paid:
                raise NotPaid
            if response.status_code != _OK:
                raise StoreFailed(f"status {response.status_code}")
            return _object(_read(response))
    except requests.RequestException as error:
        raise StoreFailed(type(error).__name__) from None  # its text holds the URL, and so the token


def objects(answer: Json, name: str) -> list[Json]:
    """Return a list of objects in an answer; one that is absent is empty. Raises StoreFailed."""
    value = answer.get(name) or []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise StoreFailed(f"unexpected {name}")
    return value


def instant_of(milliseconds: Any) -> datetime:
    """Return the instant that a store writes as milliseconds since 1970. Raises StoreFailed."""
    try:
        return _EPOCH + timedelta(milliseconds=int(milliseconds))
    except (TypeError, ValueError, OverflowError):
        raise StoreFailed("unexpected instant") from None


def latest(ends: Iterable[datetime]) -> datetime:
    """Return the last of the ends of subscriptions, if it is still to come. Raises NotPaid."""
    end = max(ends, default=_EPOCH)
    if end <= datetime.now(UTC):
        raise NotPaid
    return end


def path_segment(token: str) -> str:
    """Return a token as one segment of a URL's path. Raises NotPaid for the two that would lead elsewhere."""
    if token in {".", ".."}:
        raise NotPaid
    return quote(token, safe="")


def _read(response: "requests.Response") -> bytes:
    deadline = time.monotonic() + ANSWER_TIMEOUT_SECONDS
    body = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        body += chunk
        if len(body) > LARGEST_ANSWER_BYTES or time.monotonic() > deadline:
            raise StoreFailed("endless answer")
    return bytes(body)


def _object(body: bytes) -> Json:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise StoreFailed("no JSON") from None
    if not isinstance(value, dict):
        raise StoreFailed("no JSON object")
    return value
