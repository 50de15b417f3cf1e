"""A container's limit of memory: a control group of its own, where this account may make one (cgroups(7))."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

_ROOT = Path("/sys/fs/cgroup")


class MemoryGroup:
    """A control group. What uses more memory in it than its limit is killed, as in a container."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, pid: int) -> None:
        """Have a process, and all that it starts from now on, live in the group."""
        (self._folder / "cgroup.procs").write_text(str(pid))


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[MemoryGroup | None]:
    """Make a group for a time, or give None where this account may not. Its processes must end before it does."""
    folder = _make(limit_bytes)
    if folder is None:
        yield None
        return
    try:
        yield MemoryGroup(folder)
    finally:
        with suppress(OSError):  # a process that has not ended keeps it
            folder.rmdir()


def _make(limit_bytes: int) -> Path | None:
    for parent, limit in _places():
        folder = parent / f"liftlog-{uuid4().hex}"
        with suppress(OSError):
            folder.mkdir()
            if _has_written(folder / limit, str(limit_bytes)):
                return folder
            folder.rmdir()
    return None


def _has_written(file: Path, text: str) -> bool:
    try:
        file.write_text(text)
    except OSError:
        return False
    return True


def _places() -> Iterator[tuple[Path, str]]:
    """Return the groups that we are in, of both versions, and the name of their limit."""
    own = Path("/proc/self/cgroup")
    for line in own.read_text().splitlines() if own.exists() else ():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            yield _ROOT / "memory" / path.lstrip("/"), "memory.limit_in_bytes"
        elif not controllers:
            yield _ROOT / path.lstrip("/"), "memory.max"
