"""What tests see of a server's processes."""

import psutil


def worker_of(server) -> psutil.Process:
    """Return the process that answers; its parent only watches it."""
    (worker,) = psutil.Process(server.process.pid).children()
    return worker


def peak_bytes(process: psutil.Process) -> int:
    """Return the largest resident size that a process has had."""
    with open(f"/proc/{process.pid}/status") as status:  # noqa: PTH123 - proc(5)
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
