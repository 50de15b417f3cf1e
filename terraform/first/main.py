"""What a function is until its first release: 503 to everything, never 404, on which apps delete their account.

Any name is an entry point: functions-framework asks the module for the one that it was told.
"""

from collections.abc import Callable
from typing import Any

Answer = tuple[str, int, dict[str, str]]
_BODY = '{"type": "urn:liftlog:problem:not-released", "title": "Nothing is released yet.", "status": 503}'
_HEADERS = {"Content-Type": "application/problem+json", "Cache-Control": "no-store", "Retry-After": "60"}


def _wait(_request: Any) -> Answer:
    return _BODY, 503, _HEADERS


def __getattr__(name: str) -> Callable[[Any], Answer]:
    if name.startswith("_"):
        raise AttributeError(name)
    return _wait
