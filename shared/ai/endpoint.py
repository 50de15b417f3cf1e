"""Any endpoint that speaks OpenAI's chat completions. The only module that knows the openai package, imported lazily.

Question → request, repeated only as long as nothing of its answer was seen → `chunks` → pieces of the answer
"""

import random
from collections.abc import Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any

import httpx2
import openai

from shared.ai import chunks
from shared.ai.questions import Question
from shared.ai.streams import Line, Piece
from shared.errors import ModelRefused, ModelUnavailable, ServiceError
from shared.settings.planner import ModelSettings
from shared.settings.secrets import secret

CONNECT_SECONDS = 5.0
RETRY_COUNT = 2
FIRST_RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 5.0  # an endpoint that asks for a longer pause is not asked again
RETRIED_STATUSES = frozenset({408, 409, 429, 500, 502, 503, 504})
_NO_KEY = "none"  # the package wants one; model servers of one's own do not
_jitter = random.SystemRandom()
_line_of_thread: ContextVar[Line] = ContextVar("line_of_thread")


class _Texts(openai.Stream[Any]):
    """The data of each event, as text; of an endpoint that does not stream, its whole answer at once.

    The package's own reading would end with the first event that is no chunk, and tells nobody of the last one.
    """

    def __stream__(self) -> Iterator[Any]:
        if self.response.headers.get("Content-Type", "").startswith("application/json"):
            yield self.response.read().decode()
        else:
            for event in self._iter_events():
                yield event.data


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
            with self._request(question, line) as texts:
                yield from chunks.pieces(iter(texts))
        except (openai.OpenAIError, httpx2.HTTPError, ValueError) as error:  # the latter: not even text
            raise _fault(error) from None  # the package's errors hold what was said

    def _request(self, question: Question, line: Line) -> "_Texts":
        """Return the answer's chunks once the endpoint has begun to answer."""
        options: dict[str, Any] = {
            "model": self._model,
            "messages": question.messages,
            "max_completion_tokens": chunks.MAX_OUTPUT_TOKENS,
            "stream": True,
        }
        if question.tools:
            options["tools"] = question.tools
        if question.response_format is not None:
            options["response_format"] = question.response_format
        retries = 0
        while True:
            try:
                return self._client.post(
                    "/chat/completions", cast_to=object, body=options, stream=True, stream_cls=_Texts
                )
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
        if (
            error.status_code not in RETRIED_STATUSES
            or error.code == "insufficient_quota"
            or _names_the_question(error)
        ):
            return None
        wanted = error.response.headers.get("Retry-After", "")
        pause = max(pause, float(wanted)) if wanted.isdecimal() else pause
        return pause if pause <= LONGEST_RETRY_SECONDS else None
    # an endpoint that was reached and stays silent may be at work: asking again would double it
    return None if isinstance(error.__cause__, httpx2.ReadTimeout) else pause


def _names_the_question(error: Exception) -> bool:
    """Tell whether the question is at fault, whatever the status: llama.cpp had 500 for a context that is too long."""
    words = {str(getattr(error, name, None)) for name in ("code", "type")}
    return not chunks.REFUSAL_WORDS.isdisjoint(words)


def _fault(error: Exception) -> ServiceError:
    """Return an error of ours, without anything of what was said."""
    status = getattr(error, "status_code", None)
    if status in chunks.REFUSALS or _names_the_question(error):
        return ModelRefused(f"status {status}")
    return ModelUnavailable(type(error).__name__ if status is None else f"status {status}")
