"""What was answered at the installation, and the files that are made of it. They are the same for the same answers."""

import json
import os
import secrets
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template

from installation.errors import NotInstalled
from installation.machine import Machine

ANSWERS = "/etc/liftlog/installation.json"
SETTINGS = "/etc/liftlog/liftlog.env"
COMMAND = "/usr/local/sbin/liftlog"
DATA = "/var/lib/liftlog"
DUMPS = f"{DATA}/dumps"
SERVICE, DUMP, TIMER = "liftlog.service", "liftlog-dump.service", "liftlog-dump.timer"
UNITS = "/etc/systemd/system"
_TOKEN_BYTES = 32
_FOR_ROOT_ALONE = 0o600
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Answers:
    """What the one who installs has decided.

    `domain`: the name, or address, that phones reach the server by; empty: there is no Caddy of ours in front of it.
    `own_certificates`: Caddy's own authority signs them, for names that nobody else knows.
    `memory_mib`: the most that server and database may take together.
    """

    domain: str = ""
    own_certificates: bool = False
    port: int = 8080
    memory_mib: int = 1024

    @property
    def url(self) -> str:
        """Where phones reach the server."""
        return f"https://{self.domain}" if self.domain else self.own_url

    @property
    def own_url(self) -> str:
        """Where this machine reaches it, past Caddy."""
        return f"http://127.0.0.1:{self.port}"


def usual_memory_mib() -> int:
    """Return 1 GiB, on a small machine three quarters of its memory."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min(1024, machine * 3 // 4 // _MIB)


def read_answers(machine: Machine) -> Answers | None:
    """Return what was answered last time; None where nothing is installed. Raises NotInstalled."""
    path = machine.path(ANSWERS)
    if not path.exists():
        return None
    try:
        return Answers(**json.loads(path.read_text()))
    except (TypeError, ValueError) as error:
        raise NotInstalled(f"{ANSWERS} is not as it was written ({error}). Remove it and install again.") from None


def write(machine: Machine, answers: Answers, templates: Path, database_url: str | None) -> bool:
    """Bring the settings and systemd's files into their places. Return whether the latter were others.

    `database_url`: for the settings, which are made once and then belong to whoever runs the server.
    """
    machine.write(ANSWERS, json.dumps(asdict(answers), indent=2) + "\n")
    if not machine.path(SETTINGS).exists():
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        url = f'DATABASE_URL="{database_url}"' if database_url else "#DATABASE_URL="
        made = _fill(templates / "liftlog.env", operator_token=token, database_url=url)
        machine.write(SETTINGS, made, _FOR_ROOT_ALONE)
    hardening = (templates / "hardening").read_text().rstrip()
    memory = f"{answers.memory_mib}M"
    told = {"port": answers.port, "url": answers.url}
    units = [
        machine.write(f"{UNITS}/{unit}", _fill(templates / unit, hardening=hardening, memory=memory, **told))
        for unit in (SERVICE, DUMP, TIMER)
    ]
    machine.write(COMMAND, '#!/bin/sh\nexec /opt/liftlog/current/scripts/install.sh "$@"\n', 0o755)
    return any(units)


def environment(machine: Machine) -> dict[str, str]:
    """Return what the service runs with: its unit's variables, and the settings, which win. Raises NotInstalled.

    What systemd reads in EnvironmentFile= (systemd.exec(5)), but for values of many lines.
    """
    try:
        unit = machine.path(f"{UNITS}/{SERVICE}").read_text().splitlines()
        settings = machine.path(SETTINGS).read_text().splitlines()
    except FileNotFoundError as error:
        raise NotInstalled(f"Nothing is installed here: there is no {error.filename}.") from None
    lines = [line.removeprefix("Environment=") for line in unit if line.startswith("Environment=")]
    lines += [line for line in settings if line.strip() and not line.lstrip().startswith(("#", ";"))]
    found = {}
    for line in lines:
        name, _, value = line.partition("=")
        found[name.strip()] = "".join(shlex.split(value)) if value.strip()[:1] in {'"', "'"} else value.strip()
    return {name: _placed(machine, value) for name, value in found.items()}


def _placed(machine: Machine, value: str) -> str:
    """Return a value with the installation's own folders as they are below another root."""
    ours = value.startswith((DATA, "/opt/liftlog"))
    return str(machine.path(value)) if ours else value


def _fill(template: Path, **values: object) -> str:
    return Template(template.read_text()).substitute(values)
