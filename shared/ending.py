"""The end of a process: what is done when SIGTERM asks for it, and that it comes in time.

gunicorn lets requests under way go on for 30 s, open WebSockets among them; the cloud kills a process after 10.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from gunicorn.config import PostWorkerInit

log = logging.getLogger(__name__)

LONGEST_SECONDS = 7.0  # from SIGTERM to the process's end, whatever still runs

_callbacks: list[Callable[[], None]] = []


def at_end(callback: Callable[[], None]) -> None:
    """Have a function called when SIGTERM arrives, beside the requests under way, and awaited for at most 7 s.

    What was registered first is called first.
    """
    _callbacks.append(callback)


def _on_sigterm(_worker: Any) -> None:
    """Have a worker's process begin its end in our way, too. gunicorn's own handler stops it accepting connections."""
    stop_accepting = signal.getsignal(signal.SIGTERM)
    has_begun = False

    def begin(number: int, frame: FrameType | None) -> None:
        nonlocal has_begun
        if not has_begun:
            has_begun = True
            threading.Thread(target=_call_back, name="ending").start()  # the interpreter waits for it before it ends
            threading.Thread(target=_end_in_time, name="deadline", daemon=True).start()
        if callable(stop_accepting):
            stop_accepting(number, frame)

    signal.signal(signal.SIGTERM, begin)  # it interrupts system calls, which Python repeats (PEP 475)


def _call_back() -> None:
    for callback in _callbacks:
        try:
            callback()
        except Exception:  # the others must not miss their turn
            log.exception("ending failed")


def _end_in_time() -> None:
    threading.Event().wait(LONGEST_SECONDS)
    os._exit(0)


# A worker takes over the signals after it was forked, and only its main thread may change that. gunicorn calls this
# hook there; functions-framework passes no hooks on, so ours is made the default.
PostWorkerInit.default = staticmethod(_on_sigterm)
