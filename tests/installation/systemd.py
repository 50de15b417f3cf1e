"""What systemd does with the installation's units, where it is not the machine's own: `python -m … ROOT COMMAND`.

The units are read as they were installed, and run with their own command, variables and files. Nothing of systemd's
sandbox is here: `make test-machine` plays the same on a Debian with the real one.
"""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from local.processes import wait_until_listening

OURS = ("/opt/liftlog", "/var/lib/liftlog", "/etc/liftlog")
KILLED_AFTER_SECONDS = 30.0


class Unit:
    """A unit file below a root."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        lines = (root / "etc/systemd/system" / name).read_text().splitlines()
        self._pairs = [line.partition("=")[::2] for line in lines if "=" in line and not line.startswith("#")]

    def all(self, name: str) -> list[str]:
        return [self.placed(value) for key, value in self._pairs if key == name]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def placed(self, text: str) -> str:
        """Return a value with our folders where they are below the root."""
        return re.sub("|".join(OURS), lambda found: f"{self._root}{found[0]}", text)

    @property
    def environment(self) -> dict[str, str]:
        settings = [line for line in Path(self.one("EnvironmentFile")).read_text().splitlines() if line[:1].isalpha()]
        lines = [*self.all("Environment"), *settings]
        return {name: shlex.split(value)[0] for name, _, value in (line.partition("=") for line in lines) if value}

    def start(self, log: Path, *more: tuple[str, str]) -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                shlex.split(self.one("ExecStart")),
                env={"PATH": os.environ["PATH"]} | self.environment | dict(more),
                cwd=self.one("WorkingDirectory"),
                umask=int(self.one("UMask"), 8),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )


def start(root: Path, name: str) -> int:
    """Start a unit of Type=notify, and wait until it says that it is ready. Return the exit status."""
    unit = Unit(root, name)
    assert unit.one("Type") == "notify"
    address = root / "run" / "notify"
    address.parent.mkdir(parents=True, exist_ok=True)
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(address))
        notified.settimeout(0.1)
        process = unit.start(log_of(root, name), ("NOTIFY_SOCKET", str(address)))
        while process.poll() is None:
            with suppress(TimeoutError):
                assert notified.recv(100) == b"READY=1"
                pid_file(root, name).write_text(str(process.pid))
                return 0
    return 1


def stop(root: Path, name: str) -> int:
    process = main_process(root, name)
    if process is None:
        return 0
    children = process.children(recursive=True)
    process.terminate()  # KillMode=mixed: the main process alone
    _, alive = psutil.wait_procs([process], KILLED_AFTER_SECONDS)
    left = [child for child in (*children, *alive) if child.is_running()]
    for child in left:
        child.kill()
    pid_file(root, name).unlink()
    return 0


def start_caddy(root: Path) -> int:
    """Start the real Caddy as Debian's unit does, or have it read its configuration again."""
    config = root / "etc/caddy/Caddyfile"
    if main_process(root, "caddy"):
        return subprocess.run(["caddy", "reload", "--config", str(config), "--force"], check=False).returncode
    home = root / "var/lib/caddy"
    home.mkdir(parents=True, exist_ok=True)
    with log_of(root, "caddy").open("ab") as output:
        process = subprocess.Popen(
            ["caddy", "run", "--environ", "--config", str(config)],
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    pid_file(root, "caddy").write_text(str(process.pid))
    port = int(re.findall(r"^[a-z.]+:(\d+)", (root / "etc/caddy/liftlog.caddyfile").read_text(), re.MULTILINE)[0])
    return 0 if wait_until_listening(process, ("127.0.0.1", port)) else 1


def main_process(root: Path, name: str) -> psutil.Process | None:
    with suppress(FileNotFoundError, psutil.NoSuchProcess):
        process = psutil.Process(int(pid_file(root, name).read_text()))
        return process if process.status() != psutil.STATUS_ZOMBIE else None
    return None


def pid_file(root: Path, name: str) -> Path:
    return root / "run" / f"{name}.pid"


def log_of(root: Path, name: str) -> Path:
    return root / "run" / f"{name}.log"


def end_all(root: Path) -> None:
    """End whatever a test has left running."""
    for file in (root / "run").glob("*.pid"):
        process = main_process(root, file.stem)
        for victim in [*process.children(recursive=True), process] if process else []:
            with suppress(psutil.NoSuchProcess):
                victim.send_signal(signal.SIGKILL)


def main(root: Path, command: str, *words: str) -> int:
    (root / "run").mkdir(parents=True, exist_ok=True)
    with (root / "run" / "commands").open("a") as commands:
        commands.write(json.dumps([command, *words]) + "\n")
    names = [word for word in words if not word.startswith("-")]
    match command:
        case "is-active":
            return 0 if main_process(root, names[0]) else 3
        case "reload-or-restart":
            return start_caddy(root)
        case "restart":
            return stop(root, names[0]) or start(root, names[0])
        case "stop":
            return stop(root, names[0])
        case "disable":
            return max(stop(root, name) for name in names)
        case "start" | "enable" | "daemon-reload":  # of a timer, whose clock is the test's
            return 0
    raise ValueError(command)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
