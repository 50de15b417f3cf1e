"""Child processes that never outlive their parent, even one that was killed."""

import ctypes
import os
import random
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


def keep_on_one_cpu(pid: int) -> None:
    """Have a process that has only just started, and what it starts, run on one CPU, where the system can do that.

    Python's threads take turns anyway; where each turn wakes another CPU, a request costs nearly twice as much
    (docs/adr/0004).
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(pid, {random.choice(list(os.sched_getaffinity(0)))})  # noqa: S311 # nosec B311
