"""Waiting for what happens elsewhere. Nothing here says how fast it is: a busy machine may take its time."""

import time
from collections.abc import Callable
from typing import Any

WAIT_SECONDS = 180.0  # until what has not happened is taken for hanging
GUNICORNS_OWN_SECONDS = 30.0  # that gunicorn gives a worker to end where we do not end it sooner
_POLL_SECONDS = 0.01


def wait_for(found: Callable[..., Any]) -> Any:
    """Return what is found, once it is."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (result := found()):
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(_POLL_SECONDS)
    return result
