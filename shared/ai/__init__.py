"""The language model: what is asked, its answer as a stream that can be ended, and what its answers must look like."""

from functools import cache

from shared.ai.model import Model, Question
from shared.ai.streams import Stream
from shared.settings import model_settings

__all__ = ["Model", "Question", "Stream", "model"]


@cache
def model() -> Model:
    """Return this process's model; nothing is imported or connected before it is first asked. Raises InvalidSetting."""
    return Model(model_settings())
