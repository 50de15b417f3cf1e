"""A Debian of its own with systemd as PID 1, in a container of systemd-nspawn, on this machine's network.

MACHINE_SUITE   which Debian; default bookworm
MACHINE_BINDS   folders and files that it sees, too, separated by spaces: a mirror of packages, certificates, pip.conf
"""

import os
import subprocess
import time
from pathlib import Path
from types import TracebackType

import psutil

from tests.installation.installations import ROOT
from tests.waiting import wait_for

SUITE = os.environ.get("MACHINE_SUITE", "bookworm")
PACKAGES = "systemd,systemd-sysv,dbus,ca-certificates,procps,iproute2"
HOSTS = "127.0.0.1 localhost liftlog.example.com\n::1 localhost\n"
REPOSITORY = "/repository"
BOOT_SECONDS = 60.0


def binds() -> list[str]:
    """Return the folders and files of MACHINE_BINDS."""
    return os.environ.get("MACHINE_BINDS", "").split()


class Debian:
    """The machine, while its `with` block runs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "machine"
        subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={PACKAGES}", SUITE, self._folder], check=True
        )
        (self._folder / "etc" / "hosts").write_text(HOSTS)

    def __enter__(self) -> "Debian":
        seen = [REPOSITORY_BIND, *binds()]
        self._process = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", f"--directory={self._folder}", "--boot",
             "--console=pipe", *(f"--bind-ro={place}" for place in seen)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        wait_for(lambda: self.run("systemctl is-system-running --wait").stdout.strip() in {"running", "degraded"})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.run("systemctl poweroff")
        self._process.wait(BOOT_SECONDS)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script as its root, as if it had been typed. It has the settings of this machine's pip."""
        variables = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        variables |= {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        variables |= {"REPOSITORY": REPOSITORY, "DEBIAN_FRONTEND": "noninteractive"}
        leader = next(iter(psutil.Process(self._process.pid).children()), None)
        while leader is None:
            time.sleep(0.1)
            leader = next(iter(psutil.Process(self._process.pid).children()), None)
        return subprocess.run(
            ["nsenter", "--all", "--target", str(leader.pid), "env", "-i",
             *(f"{name}={value}" for name, value in variables.items()), "bash", "-e", "-u", "-c", script],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip


REPOSITORY_BIND = f"{ROOT}:{REPOSITORY}"
