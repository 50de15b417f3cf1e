"""What the model is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Question:
    """What the model is asked: a conversation, and a tool that it may call or a form that its answer must have."""

    messages: Sequence[dict[str, Any]]
    tools: Sequence[dict[str, Any]] = ()
    response_format: dict[str, Any] | None = None
