"""What is measured: a database of its own, the gateway and the empty function as `make serve` starts a gateway."""

import os
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil

from bench.limits import MemoryGroup
from local import processes
from local.postgres import BIN, DATABASE, ROLE
from local.processes import free_port
from shared.settings.planner import threads_with_chats

ROOT = Path(__file__).parent.parent
GATEWAY = ROOT / "functions" / "gateway" / "main.py"
EMPTY = ROOT / "bench" / "empty" / "main.py"
STOP_SECONDS = 5.0
UPSERT_TABLE = "CREATE TABLE bench_upsert (id int PRIMARY KEY, value int NOT NULL, stored_at timestamptz NOT NULL)"
UPSERT_SCRIPT = r"""
\set id random(1, 10000)
INSERT INTO bench_upsert VALUES (:id, 1, clock_timestamp())
ON CONFLICT (id) DO UPDATE SET value = bench_upsert.value + 1, stored_at = excluded.stored_at;
"""
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)  # proc(5)
_TPS = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)


class DidNotStart(Exception):
    """A server did not start; its messages are above."""


class MeasuredServer:
    """A function in functions-framework: gunicorn's arbiter and its workers."""

    def __init__(
        self,
        name: str,
        source: Path,
        environment: Mapping[str, str],
        *,
        one_cpu: bool,
        group: MemoryGroup | None = None,
    ) -> None:
        """Start it and wait until it listens. `group`: what it lives in. Raises DidNotStart."""
        self.port = free_port()
        address = ("127.0.0.1", self.port)
        environment = {**os.environ, **environment}
        quiet = subprocess.DEVNULL  # of a line for each request
        self._process = processes.start(name, source, address, environment, one_cpu=one_cpu, stdout=quiet)
        self.pid = self._process.pid
        if group:
            group.take(self.pid)
        if not processes.wait_until_listening(self._process, address):
            self.stop()
            raise DidNotStart(name)

    def stop(self) -> None:
        """End it, by force if it takes long."""
        processes.end(self._process, STOP_SECONDS)


def start_gateway(database_url: str, **environment: str) -> MeasuredServer:
    """Start the gateway as `make serve` does, on one CPU and with threads for chats. Raises DidNotStart."""
    served = {"DATABASE_URL": database_url, "ENVIRONMENT": "local", "THREADS": str(threads_with_chats())}
    return MeasuredServer("gateway", GATEWAY, served | environment, one_cpu=True)


def start_empty() -> MeasuredServer:
    """Start the empty function, as functions-framework does by itself. Raises DidNotStart."""
    return MeasuredServer("empty", EMPTY, {}, one_cpu=False)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time, user and system, that a process and its living descendants have used."""
    seconds = 0.0
    for process in family(pid):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            seconds += times.user + times.system
    return seconds


def peak_memory_bytes(pid: int) -> int:
    """Return the sum of the largest resident sizes that a process and its living descendants have had.

    Pages that they share count in each: an upper bound. Where the system keeps no peaks it is the present sum.
    """
    total = 0
    for process in family(pid):
        with suppress(psutil.NoSuchProcess, FileNotFoundError):
            status = Path(f"/proc/{process.pid}/status")
            peak = _PEAK.search(status.read_text()) if status.exists() else None
            total += int(peak[1]) * 1024 if peak else process.memory_info().rss
    return total


def forget_peak_memory(pid: int) -> None:
    """Let the peaks of a process and its descendants begin anew, where the system can (proc(5), clear_refs)."""
    for process in family(pid):
        with suppress(OSError):
            Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def pgbench(database_url: str, script: Path, concurrency: int, seconds: float) -> float:
    """Return the single-row upserts per second of the second yardstick. The seconds are rounded up."""
    sockets = parse_qs(urlsplit(database_url).query)["host"][0]
    options = ["-n", "-M", "prepared", "-c", str(concurrency), "-T", str(max(1, round(seconds))), "-f", str(script)]
    output = subprocess.run(
        [str(BIN / "pgbench"), "-h", sockets, "-U", ROLE, *options, DATABASE],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = _TPS.search(output)
    if found is None:
        raise ValueError(f"pgbench printed no tps: {output}")
    return float(found[1])


def family(pid: int) -> list[psutil.Process]:
    """Return a process and its living descendants."""
    arbiter = psutil.Process(pid)
    return [arbiter, *arbiter.children(recursive=True)]
