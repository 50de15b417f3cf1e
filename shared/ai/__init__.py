"""The language model: what is asked, its answer as a stream that can be ended, and what its answers must look like."""

from functools import cache

from shared.ai.breaker import BreakerState
from shared.ai.model import Model
from shared.ai.questions import Question
from shared.ai.streams import Stream
from shared.metrics import registry
from shared.settings.planner import model_settings

__all__ = ["Model", "Question", "Stream", "model"]

STATES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}  # as a gauge shows them


@cache
def model() -> Model:
    """Return this process's model; nothing is imported or connected before it is first asked. Raises InvalidSetting."""
    made = Model(model_settings())
    registry.gauge("liftlog_ai_breaker_state", lambda: STATES[made.breaker.state])
    return made
