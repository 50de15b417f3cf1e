"""What this process uses of the memory and the CPUs that its container may use."""

import os
import time
from pathlib import Path

_MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")  # Linux, admin-guide/cgroup-v2: microseconds per period, or "max"
_STATM = Path("/proc/self/statm")  # proc(5): pages; the second is the resident set


def memory_limit_bytes() -> int:
    """Return what the container may use, or the machine's memory where there is no limit."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limits = [int(path.read_text()) for path in _MEMORY_LIMITS if path.exists() and path.read_text().strip().isdigit()]
    return min([*limits, machine])


def memory_percent() -> float:
    """Return the resident memory of this process, in percent of its limit; 0 where the system does not tell."""
    if not _STATM.exists():
        return 0.0
    resident = int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 100 * resident / memory_limit_bytes()


def cpu_limit() -> float:
    """Return how many CPUs the container may use."""
    quota, _, period = _CPU_LIMIT.read_text().partition(" ") if _CPU_LIMIT.exists() else ("max", "", "")
    return int(quota) / int(period) if quota.isdigit() else float(os.cpu_count() or 1)


class CpuMeter:
    """Measures the CPU time of this process between one reading and the next."""

    def __init__(self) -> None:
        self._cpu, self._clock = time.process_time(), time.monotonic()

    def percent(self) -> float:
        """Return the CPU time used since the last reading, in percent of what the container could have used."""
        cpu, clock = time.process_time(), time.monotonic()
        used, passed = cpu - self._cpu, clock - self._clock
        self._cpu, self._clock = cpu, clock
        return 100 * used / (passed * cpu_limit()) if passed > 0 else 0.0
