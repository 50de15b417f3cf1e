"""systemd and Caddy: what is started, stopped, and asked how it is."""

import os
import subprocess
import time
import urllib.request
from urllib.error import URLError

from installation.configuration import SERVICE, TIMER, Answers
from installation.errors import NotInstalled
from installation.machine import Machine

READY_SECONDS = 60.0
_POLL_SECONDS = 0.2
_ANSWER_SECONDS = 5


def starts(machine: Machine) -> bool:
    """Tell whether anything is started: below another root it is only where systemd is played (SYSTEMCTL)."""
    return machine.is_real or "SYSTEMCTL" in os.environ


def _systemctl() -> str:
    """Return systemctl, or the program that SYSTEMCTL names, with which the tests play systemd."""
    return os.environ.get("SYSTEMCTL", "systemctl")


def systemctl(machine: Machine, *words: str, why: str) -> None:
    """Have systemd do something; where nothing is started it is only said. Raises NotInstalled."""
    if starts(machine):
        machine.run(_systemctl(), *words, why=why)
    else:
        print(f"  left out below {machine.root}: systemctl {' '.join(words)}", flush=True)


def is_active(machine: Machine, unit: str) -> bool:
    """Tell whether a unit runs."""
    command = [_systemctl(), "is-active", "--quiet", unit]
    return starts(machine) and subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def start(machine: Machine) -> None:
    """Start the service, now and at each boot, and the nightly dump. Raises NotInstalled if it does not come up."""
    systemctl(machine, "daemon-reload", why="systemd does not read the new units.")
    systemctl(machine, "enable", SERVICE, TIMER, why="The units cannot be enabled.")
    systemctl(machine, "start", TIMER, why="The timer of the nightly dump does not start.")
    systemctl(
        machine, "restart", SERVICE,
        why="The service does not start. What it says: journalctl -u liftlog -n 50",
    )  # fmt: skip


def stop(machine: Machine) -> None:
    """Stop the service. It takes a few seconds, and loses nothing that it has acknowledged. Raises NotInstalled."""
    systemctl(machine, "stop", SERVICE, why="The service does not stop.")


def check_health(machine: Machine, answers: Answers) -> None:
    """Wait until server and database answer. Raises NotInstalled if they do not within a minute."""
    if machine.dry_run or not starts(machine):
        return
    url = f"{answers.own_url}/health/ready"
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if is_ready(answers):
            print(f"  {url} says that server and database are ready", flush=True)
            return
        time.sleep(_POLL_SECONDS)
    raise NotInstalled(f"{url} is not well after {READY_SECONDS:.0f} s. What is wrong: journalctl -u liftlog -n 50")


def is_ready(answers: Answers) -> bool:
    """Tell whether the server answers, and its database."""
    try:
        with urllib.request.urlopen(f"{answers.own_url}/health/ready", timeout=_ANSWER_SECONDS):  # noqa: S310 # nosec B310
            return True
    except (URLError, OSError):
        return False
