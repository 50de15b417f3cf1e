"""What this process uses of the memory and the CPUs that its container may use."""

import os
import time
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_MEMORY_LIMITS = (_CGROUPS / "memory.max", _CGROUPS / "memory" / "memory.limit_in_bytes")  # of a container
_OWN_CGROUP = Path("/proc/self/cgroup")  # cgroups(7): of version 2 one line, "0::/system.slice/a.service"
_CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")  # Linux, admin-guide/cgroup-v2: microseconds per period, or "max"
_STATM = Path("/proc/self/statm")  # proc(5): pages; the second is the resident set


def memory_limit_bytes() -> int:
    """Return what the container or the service of systemd may use, or the machine's memory where there is no limit."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    places = (*_MEMORY_LIMITS, *_own_limits())
    limits = [int(path.read_text()) for path in places if path.exists() and path.read_text().strip().isdigit()]
    return min([*limits, machine])


def _own_limits() -> list[Path]:
    """Return where the limit of our own group is, which systemd makes for each service (MemoryMax=)."""
    lines = _OWN_CGROUP.read_text().splitlines() if _OWN_CGROUP.exists() else []
    return [_CGROUPS / line.removeprefix("0::/") / "memory.max" for line in lines if line.startswith("0::/")]


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
