"""Asking a store over HTTP: bounded in time and size, and everything that is no answer is one kind of failure."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shared.subscriptions.outcomes import NotPaid, StoreFailed

if TYPE_CHECKING:
    import requests

CONNECT_TIMEOUT_SECONDS = 3.0
SILENCE_TIMEOUT_SECONDS = 5.0
ANSWER_TIMEOUT_SECONDS = 8.0  # for everything that a store is asked about one token
REPEAT_SECONDS = 0.3  # before a store is asked again that does not say when
LARGEST_ANSWER_BYTES = 2 * 1024 * 1024  # Apple's names every renewal since the first
FOREVER = datetime.max.replace(tzinfo=UTC)
_CHUNK_BYTES = 64 * 1024
_LONGEST_BACKOFF_MS = 24 * 3600 * 1000  # a number with thousands of digits is none of Python's floats
_EPOCH = datetime.fromtimestamp(0, UTC)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """What a store has answered, or why it has not."""

    status: int = 0
    body: bytes = b""
    retry_after: str = ""  # the header; "" if there is none
    error: str = ""  # by which the connection was lost

    def members(self) -> Json:
        """Return the JSON object. Raises StoreFailed."""
        try:
            value = json.loads(self.body)
        except (ValueError, RecursionError):
            raise StoreFailed("no JSON") from None
        if not isinstance(value, dict):
            raise StoreFailed("no JSON object")
        return value

    def may_pass(self) -> bool:
        """Tell whether it is a failure that may be over in a moment, by what it says of itself or else by its status.

        RevenueCat says `retryable` in its errors (its API v2, "Error Handling").
        """
        said = self._said("retryable")
        if isinstance(said, bool):
            return said
        return (
            bool(self.error)
            or self.status == HTTPStatus.TOO_MANY_REQUESTS
            or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        )

    def pause_seconds(self) -> float:
        """Return when to ask again: `backoff_ms` is RevenueCat's, whose Retry-After is in milliseconds, too."""
        backoff_ms = self._said("backoff_ms")
        if isinstance(backoff_ms, int) and backoff_ms >= 0:
            return min(backoff_ms, _LONGEST_BACKOFF_MS) / 1000
        return float(self.retry_after) if self.retry_after.isdecimal() else REPEAT_SECONDS

    def _said(self, name: str) -> Any:
        try:
            return self.members().get(name)
        except StoreFailed:
            return None


class Inquiry:
    """All that a store is asked about one token: within one time limit, and one question of it twice."""

    def __init__(self, may_repeat: Callable[[], bool] = lambda: True) -> None:
        """Begin the time limit. `may_repeat` is asked before a store is asked again."""
        self._may_repeat = may_repeat
        self._has_repeated = False
        self._deadline = time.monotonic() + ANSWER_TIMEOUT_SECONDS

    def ask(
        self,
        method: str,
        url: str,
        *,
        not_paid: frozenset[int] = frozenset(),
        is_passing: Callable[[Json], bool] = lambda _answer: False,
        **content: Any,
    ) -> Json:
        """Return the JSON object that a store answers. `content`: headers, json, data, as `requests` takes them.

        `not_paid`: the statuses by which it says that there is no such subscription. `is_passing` tells whether an
        answer is a failure that may be over in a moment. Raises NotPaid, StoreFailed.
        """
        answer = self._answer(method, url, content)
        if answer.status not in not_paid and _failed_for_now(answer, is_passing) and self._wait(answer):
            answer = self._answer(method, url, content)
        if answer.status in not_paid:
            raise NotPaid
        if answer.status != HTTPStatus.OK:
            raise StoreFailed(answer.error or f"status {answer.status}", answer.status)
        return answer.members()

    def _wait(self, answer: StoreAnswer) -> bool:
        """Wait until the store may be asked again. Tell whether it may at all."""
        pause_seconds = answer.pause_seconds()
        if self._has_repeated or pause_seconds >= self._left_seconds() or not self._may_repeat():
            return False
        self._has_repeated = True
        time.sleep(pause_seconds)
        return True

    def _answer(self, method: str, url: str, content: Json) -> StoreAnswer:
        import requests  # noqa: PLC0415 - only who asks a store needs it

        lost = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
        left_seconds = self._left_seconds()
        if left_seconds <= 0:
            raise StoreFailed("too slow")
        timeout = (min(CONNECT_TIMEOUT_SECONDS, left_seconds), min(SILENCE_TIMEOUT_SECONDS, left_seconds))
        try:
            with (
                requests.Session() as session,
                session.request(
                    method, url, timeout=timeout, stream=True, allow_redirects=False, **content
                ) as response,
            ):
                return StoreAnswer(response.status_code, self._read(response), response.headers.get("Retry-After", ""))
        except requests.RequestException as error:
            name = type(error).__name__  # its text holds the URL, and so the token
            if isinstance(error, requests.Timeout) or not isinstance(error, lost):
                raise StoreFailed(name) from None
            return StoreAnswer(error=name)

    def _read(self, response: "requests.Response") -> bytes:
        body = bytearray()
        for chunk in response.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > LARGEST_ANSWER_BYTES or self._left_seconds() < 0:
                raise StoreFailed("endless answer")
        return bytes(body)

    def _left_seconds(self) -> float:
        return self._deadline - time.monotonic()


def _failed_for_now(answer: StoreAnswer, is_passing: Callable[[Json], bool]) -> bool:
    return is_passing(answer.members()) if answer.status == HTTPStatus.OK else answer.may_pass()


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
