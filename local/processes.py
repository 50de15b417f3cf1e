"""A function in functions-framework, as a child process: gunicorn's arbiter and its workers, in their own session."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from local.children import die_with_parent, keep_on_one_cpu

START_SECONDS = 60.0
_POLL_SECONDS = 0.02

Address = tuple[str, int]


def free_port() -> int:
    """Return a port on which nobody on this machine listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(
    target: str,
    source: Path,
    address: Address,
    environment: Mapping[str, str],
    *,
    one_cpu: bool,
    stdout: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start the function `target` of a source file. `one_cpu`: see docs/adr/0004."""
    host, port = address
    process = subprocess.Popen(
        [sys.executable, "-m", "functions_framework"],
        env={
            **environment,
            "FUNCTION_TARGET": target,
            "FUNCTION_SOURCE": str(source),
            "HOST": host,
            "PORT": str(port),
        },
        stdout=stdout,
        start_new_session=True,  # Ctrl-C is for us; requests under way are answered before the database ends
        preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 - it only calls the kernel
    )
    if one_cpu:
        keep_on_one_cpu(process.pid)
    return process


def wait_until_listening(process: subprocess.Popen[bytes], address: Address) -> bool:
    """Wait until it takes connections. Return False if it ends instead, or takes longer than a minute."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(address, 1).close()
        except OSError:
            time.sleep(_POLL_SECONDS)
        else:
            return True
    return False


def end(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Ask it to end, and after so many seconds end by force whatever is left of it."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # arbiter and workers
    process.wait()
