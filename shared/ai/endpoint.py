"""Any endpoint that speaks OpenAI's chat completions. The only module that knows the openai package, imported lazily.

Question → request in the endpoint's dialect, repeated only as long as nothing of its answer was seen → `chunks` →
pieces of the answer. What the endpoint refuses to take is remembered for the process.
"""

import logging
import random
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any

import httpx2
import openai
from openai._streaming import ServerSentEvent, SSEDecoder

from shared.ai import chunks, dialects, faults
from shared.ai.dialects import Dialect
from shared.ai.faults import Fault
from shared.ai.questions import Question
from shared.ai.streams import End, Line, Piece, Words
from shared.errors import ModelUnavailable
from shared.settings.planner import ModelSettings
from shared.settings.secrets import secret

CONNECT_SECONDS = 5.0
RETRY_COUNT = 2
FIRST_RETRY_SECONDS = 0.25
LONGEST_RETRY_SECONDS = 5.0  # an endpoint that asks for a longer pause is not asked again
_NO_KEY = "none"  # the package wants one; model servers of one's own do not
_jitter = random.SystemRandom()
_line_of_thread: ContextVar[Line] = ContextVar("line_of_thread")

_SIGN_OF_LIFE = Words("")
log = logging.getLogger(__name__)


class _Decoder(SSEDecoder):
    """Tells of comments, too, which the package's own drops: endpoints send them so that nobody hangs up."""

    def decode(self, line: str) -> ServerSentEvent | None:
        if line.startswith(":"):
            return ServerSentEvent(data="")
        if line.startswith("error:"):  # older llama.cpp, in place of `data:`
            return ServerSentEvent(data=f'{{"error": {line.removeprefix("error:")}}}')
        return super().decode(line)


class _Client(openai.OpenAI):
    """The package's client with another reading of events."""

    def _make_sse_decoder(self) -> SSEDecoder:
        return _Decoder()


class _Texts(openai.Stream[Any]):
    """The data of each event, as text, "" for a comment; of an endpoint that does not stream, its answer at once.

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
        self._client = _Client(
            api_key=lambda: secret("OPENAI_API_KEY") or _NO_KEY,
            base_url=settings.base_url,
            timeout=timeout,
            max_retries=0,
            http_client=_http_client(timeout),
        )
        self._dialect = dialects.first(settings.base_url)
        self._learning = threading.Lock()

    def answer(self, question: Question, line: Line) -> Iterator[Piece]:
        """Yield the pieces of the answer. Raises ModelUnavailable, ModelRefused, ContextFull."""
        _line_of_thread.set(line)
        retries = 0
        dialect = self._dialect
        while True:
            try:
                yield from self._attempt(question, dialect)
            except _Failure as failure:
                if failure.fault.said:
                    yield Words(failure.fault.said)
                    yield End("stop")
                    return
                less = self._learn(dialect, failure)
                if less is not None:
                    dialect = less
                    continue
                pause = failure.pause_before_retry(retries)
                if pause is None or not line.rest(pause):
                    raise failure.fault.error() from None  # the package's errors hold what was said
                retries += 1
            else:
                return

    def _attempt(self, question: Question, dialect: Dialect) -> Iterator[Piece]:
        """Yield the pieces of one answer. Raises _Failure, ModelUnavailable."""
        began = False
        try:
            with self._request(question, dialect) as texts:
                for piece in chunks.pieces(iter(texts)):
                    began = began or piece != _SIGN_OF_LIFE
                    yield piece
        except chunks.ErrorEvent as event:
            fault = faults.of_event(event.error)
            raise _Failure(fault, before_answer=not began, may_repeat=fault.may_pass) from None
        except (openai.OpenAIError, httpx2.HTTPError, ValueError) as error:  # the latter: not even text
            raise ModelUnavailable(type(error).__name__) from None

    def _request(self, question: Question, dialect: Dialect) -> "_Texts":
        """Return the answer's chunks once the endpoint has begun to answer. Raises _Failure."""
        body = {"model": self._model} | dialect.request(question)
        try:
            return self._client.post("/chat/completions", cast_to=object, body=body, stream=True, stream_cls=_Texts)
        except openai.APIStatusError as error:
            fault = faults.of_response(error.status_code, error.response.text)
            wanted = error.response.headers.get("Retry-After", "")
            wanted_seconds = float(wanted) if wanted.isdecimal() else 0.0
            raise _Failure(fault, wanted_seconds, may_repeat=fault.may_pass) from None
        except openai.APIConnectionError as error:
            # an endpoint that was reached and stays silent may be at work: asking again would double it
            is_silent = isinstance(error.__cause__, httpx2.ReadTimeout)
            raise _Failure(Fault(0, type(error).__name__), may_repeat=not is_silent) from None

    def _learn(self, dialect: Dialect, failure: "_Failure") -> Dialect | None:
        """Return what to send instead, from now on, if the endpoint refused only a part of what it was sent."""
        less = dialect.less(failure.fault) if failure.before_answer else None
        if less is not None:
            with self._learning:
                if self._dialect == dialect:
                    self._dialect = less
                    event = {"left_out": less.what_is_left_out(), "status": failure.fault.status}
                    log.warning("endpoint takes less", extra=event)
        return less


class _Failure(Exception):
    """A question was not answered. `wanted_seconds`: the pause that the endpoint asks for."""

    def __init__(
        self, fault: Fault, wanted_seconds: float = 0.0, *, may_repeat: bool, before_answer: bool = True
    ) -> None:
        super().__init__()
        self.fault = fault
        self.before_answer = before_answer
        self._may_repeat = may_repeat
        self._wanted_seconds = wanted_seconds

    def pause_before_retry(self, retries: int) -> float | None:
        """Return how many seconds to wait before the request is sent again, or None if it must not be."""
        if retries == RETRY_COUNT or not self.before_answer or not self._may_repeat:
            return None
        pause = max(FIRST_RETRY_SECONDS * 2**retries * _jitter.uniform(0.5, 1.5), self._wanted_seconds)
        return pause if pause <= LONGEST_RETRY_SECONDS else None


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
