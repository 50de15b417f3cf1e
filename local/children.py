"""Child processes that never outlive their parent, even one that was killed."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent(how: signal.Signals) -> Callable[[], None] | None:
    """Return a `preexec_fn` that has Linux send the child a signal when its parent dies; elsewhere None."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)  # loaded before the fork: the child must not import
    parent = os.getpid()

    def ask_for_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, how)
        if os.getppid() != parent:
            os._exit(1)  # it died before it could be noticed

    return ask_for_signal
