"""The language model: asked through a circuit breaker, answering with a stream. What speaks to it is `endpoint`."""

import threading
from functools import partial
from typing import TYPE_CHECKING

from shared.ai.breaker import Breaker
from shared.ai.questions import Question
from shared.ai.streams import Stream
from shared.errors import InvalidSetting, ModelUnavailable
from shared.settings.planner import OPENAI_URL, ModelSettings
from shared.settings.secrets import secret

if TYPE_CHECKING:
    from shared.ai.endpoint import Endpoint


class Model:
    """The model of a process. `breaker` is shared by all questions, and readable for metrics."""

    def __init__(self, settings: ModelSettings, breaker: Breaker | None = None) -> None:
        self.breaker = breaker or Breaker()
        self._settings = settings
        self._making = threading.Lock()
        self._endpoint: Endpoint | None = None

    def ask(self, question: Question, *, last_moment: float | None = None) -> Stream:
        """Ask, and return the stream of the answer at once. Raises InvalidSetting, ModelUnavailable.

        `last_moment`: that of an earlier answer, of which this one is to repair a fault.
        """
        if self._settings.base_url == OPENAI_URL and not secret("OPENAI_API_KEY"):
            raise InvalidSetting("OPENAI_API_KEY is not set")
        endpoint = self._made_endpoint()  # before the answer's time-outs run
        permit = self.breaker.admit()
        if permit is None:
            raise ModelUnavailable("it failed too often and is left alone for a while")
        source = partial(endpoint.answer, question)
        try:
            return Stream(source, self.breaker, permit, self._settings.timeout_seconds, last_moment)
        except RuntimeError:
            self.breaker.abandoned(permit)
            raise ModelUnavailable("no thread can be started for its answer") from None

    def _made_endpoint(self) -> "Endpoint":
        with self._making:
            if self._endpoint is None:
                from shared.ai.endpoint import Endpoint  # noqa: PLC0415 - half a second, only where the model is asked

                self._endpoint = Endpoint(self._settings)
            return self._endpoint
