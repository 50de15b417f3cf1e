"""Any endpoint that speaks OpenAI's chat completions. The only module that knows the openai package, imported lazily.

Question → request, repeated only as long as nothing of its answer was seen → pieces of the answer
"""

import random
from collections.abc import Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any, cast

import httpx2
import openai

from shared.ai.questions import Question
from shared.ai.streams import CallPart, End, Line, Piece, Refusal, Words
from shared.errors import ModelRefused, ModelUnavailable, ServiceError
from shared.settings import ModelSettings, secret

MAX_OUTPUT_TOKENS = 16_000
MAX_OUTPUT_CHARACTERS = 16 * MAX_OUTPUT_TOKENS  # for endpoints that do not keep to the number of tokens
CONNECT_SECONDS = 5.0
RETRY_COUNT = 2
FIRST_RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 5.0  # an endpoint that asks for a longer pause is not asked again
RETRIED_STATUSES = frozenset({408, 409, 429, 500, 502, 503, 504})
REFUSALS = frozenset({400, 413, 422})  # of this question: another one may be answered
_NO_KEY = "none"  # the package wants one; model servers of one's own do not
_jitter = random.SystemRandom()
_line_of_thread: ContextVar[Line] = ContextVar("line_of_thread")


class Endpoint:
    """The client of a process, safe to use from many threads."""

    def __init__(self, settings: ModelSettings) -> None:
        self._model = settings.model
        timeout = openai.Timeout(settings.timeout_seconds, connect=CONNECT_SECONDS)
        self._client = openai.OpenAI(
            api_key=lambda: secret("OPENAI_API_KEY") or _NO_KEY,
            base_url=settings.base_url,
            timeout=timeout,
            max_retries=0,
            http_client=_http_client(timeout),
        )

    def answer(self, question: Question, line: Line) -> Iterator[Piece]:
        """Yield the pieces of the answer. Raises ModelUnavailable, ModelRefused."""
        _line_of_thread.set(line)
        try:
            with self._request(question, line) as chunks:
                yield from _pieces(chunks)
        except (openai.OpenAIError, AttributeError, TypeError, ValueError) as error:  # the latter: not chunks at all
            raise _fault(error) from None  # the package's errors hold what was said

    def _request(self, question: Question, line: Line) -> openai.Stream[Any]:
        """Return the answer's chunks once the endpoint has begun to answer."""
        options: dict[str, Any] = {
            "model": self._model,
            "messages": question.messages,
            "max_completion_tokens": MAX_OUTPUT_TOKENS,
            "stream": True,
        }
        if question.tools:
            options["tools"] = question.tools
        if question.response_format is not None:
            options["response_format"] = question.response_format
        retries = 0
        while True:
            try:
                return cast("openai.Stream[Any]", self._client.chat.completions.create(**options))
            except openai.APIError as error:
                pause = _pause_before_retry(error, retries)
                if pause is None or not line.rest(pause):
                    raise
                retries += 1


def _http_client(timeout: openai.Timeout) -> httpx2.Client:
    """Return an HTTP client that tells each request's Line on which socket it goes.

    Each request has a connection of its own: one that was kept could not be traced to its request, and would often
    turn out closed after the pauses in which a cloud function's CPU stands still. Redirects are not followed: the
    question would go to whomever they name.
    """
    return openai.DefaultHttpx2Client(
        timeout=timeout,
        limits=httpx2.Limits(max_keepalive_connections=0),
        event_hooks={"request": [_trace]},
        follow_redirects=False,
    )


def _trace(request: httpx2.Request) -> None:
    request.extensions = {**request.extensions, "trace": partial(_connected, _line_of_thread.get())}


def _connected(line: Line, event: str, details: dict[str, Any]) -> None:
    if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
        line.carry_over(details["return_value"].get_extra_info("socket"))


def _pause_before_retry(error: openai.APIError, retries: int) -> float | None:
    """Return how many seconds to wait before the request is sent again, or None if it must not be."""
    if retries == RETRY_COUNT:
        return None
    pause = FIRST_RETRY_SECONDS * 2**retries * _jitter.uniform(0.5, 1.5)
    if isinstance(error, openai.APIStatusError):
        if error.status_code not in RETRIED_STATUSES or error.code == "insufficient_quota":
            return None
        wanted = error.response.headers.get("Retry-After", "")
        pause = max(pause, float(wanted)) if wanted.isdecimal() else pause
        return pause if pause <= LONGEST_RETRY_SECONDS else None
    # an endpoint that was reached and stays silent may be at work: asking again would double it
    return None if isinstance(error.__cause__, httpx2.ReadTimeout) else pause


def _fault(error: Exception) -> ServiceError:
    """Return an error of ours, without anything of what was said."""
    status = getattr(error, "status_code", None)
    if status in REFUSALS:
        return ModelRefused(f"status {status}")
    return ModelUnavailable(type(error).__name__ if status is None else f"status {status}")


def _pieces(chunks: openai.Stream[Any]) -> Iterator[Piece]:
    """Yield the pieces that chunks hold. Raises ModelUnavailable if they stop before the answer's end."""
    whole = _WholeCharacters()
    length = 0
    ended = False
    for chunk in chunks:
        for choice in chunk.choices[:1]:  # none in a chunk that counts tokens
            for piece in _pieces_of(choice.delta, whole):
                length += len(piece.arguments if isinstance(piece, CallPart) else piece.text)
                yield piece
            if choice.finish_reason and not ended:
                ended = True
                yield End(choice.finish_reason)
        if length > MAX_OUTPUT_CHARACTERS:
            break
    if ended:
        return
    if length <= MAX_OUTPUT_CHARACTERS:
        raise ModelUnavailable("the answer stopped before its end")
    yield End("length")


def _pieces_of(delta: Any, whole: "_WholeCharacters") -> Iterator[Words | Refusal | CallPart]:
    yield Words(whole.of("words", delta.content or ""))
    refusal = getattr(delta, "refusal", None)
    if refusal:
        yield Refusal(whole.of("refusal", refusal))
    for call in delta.tool_calls or ():
        index = call.index or 0  # some endpoints leave it out where there is one call
        function = call.function
        arguments = whole.of(index, function.arguments or "")
        yield CallPart(index, call.id or "", function.name or "", arguments)


class _WholeCharacters:
    """Puts characters together whose UTF-16 halves came in two pieces: `of` gives back only whole ones."""

    def __init__(self) -> None:
        self._halves: dict[str | int, str] = {}

    def of(self, channel: str | int, text: str) -> str:
        text = self._halves.pop(channel, "") + text
        if "\ud800" <= text[-1:] <= "\udbff":
            self._halves[channel] = text[-1]
            text = text[:-1]
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
