"""Child processes that never outlive their parent, even one that was killed."""

import ctypes
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # prctl(2)


def die_with_parent(how: signal.Signals) -> Callable[[], None] | None:
    """Return a `preexec_fn` that has Linux send the child a signal when its parent dies; elsewhere None."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)  # loaded before the fork: the child must not import

    def ask_for_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, how)

    return ask_for_signal
