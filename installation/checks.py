"""What must be so before anything is changed. All of what is not is said at once, each with what mends it."""

import errno
import importlib.util
import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from installation import releases, services
from installation.configuration import Answers, read_answers
from installation.errors import NotInstalled
from installation.machine import Machine

_NEEDED_MIB = 1024  # two environments of 300 MB, and room to begin with
_LEAST_MEMORY_MIB = 384
_OUT_OF_REACH = ("/home/", "/root/", "/run/user/")  # of a service with ProtectHome=
_NAME = re.compile(r"(?=.{1,253}(?::|$))[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]{1,5})?")
_WEB_PORTS = (80, 443)


def check(machine: Machine, answers: Answers, database_url: str | None, *, needs_dns: bool) -> None:
    """Raises NotInstalled with everything that is in the way."""
    found = [*_faults_of_answers(answers, database_url)]
    if machine.is_real:
        found += [*_faults_of_machine(), *_faults_of_ports(machine, answers)]
        if needs_dns and answers.domain and not answers.own_certificates:
            found += [*_faults_of_name(answers.domain)]
    if found:
        raise NotInstalled("\n".join(f"- {fault}" for fault in found))


def _faults_of_answers(answers: Answers, database_url: str | None) -> Iterator[str]:
    if answers.domain and not _NAME.fullmatch(answers.domain):
        yield f"--domain {answers.domain} is no name: what the phones will use, like liftlog.example.com, without https://"
    elif answers.domain and _is_address(answers.domain) and not answers.own_certificates:
        yield f"Nobody gives a certificate for the address {answers.domain}: use a name, or --own-certificates"
    if answers.memory_mib < _LEAST_MEMORY_MIB:
        yield f"--memory must be {_LEAST_MEMORY_MIB} MiB or more"
    if database_url and not re.match(r"postgres(ql)?://", database_url):
        yield "--database-url must begin with postgresql://"


def _faults_of_machine() -> Iterator[str]:
    if os.geteuid() != 0:
        yield "This makes an account and a service, and must be run as root: sudo scripts/install.sh …"
    if not Path("/run/systemd/system").is_dir():
        yield "systemd does not run here, and would start the service: use a container instead (docs/self-hosting.md)"
    if importlib.util.find_spec("ensurepip") is None:
        yield "Python's venv module is missing: apt-get install python3-venv"
    python = str(Path(sys.executable).resolve())
    if python.startswith(_OUT_OF_REACH):
        yield f"The service cannot reach {python}, in somebody's home: name another, PYTHON=/usr/bin/python3"
    free_mib = shutil.disk_usage("/opt").free >> 20
    if free_mib < _NEEDED_MIB:
        yield f"{_NEEDED_MIB} MiB are needed below /opt, and {free_mib} are free"


def _faults_of_ports(machine: Machine, answers: Answers) -> Iterator[str]:
    before = read_answers(machine)
    is_ours = before is not None and before.port == answers.port and services.is_active(machine, "liftlog")
    if not is_ours and _is_taken("127.0.0.1", answers.port):
        yield f"Another program listens on port {answers.port}: choose one with --port"
    if not answers.domain:
        return
    if shutil.which("caddy") is None:
        yield "Caddy is missing, which gets the certificate: apt-get install caddy. With another proxy: --no-caddy"
    elif not services.is_active(machine, "caddy"):
        for port in filter(lambda port: _is_taken("", port), _WEB_PORTS):
            yield (
                f"Another web server listens on port {port}, which Caddy needs: end it, or have it pass requests on to"
                f" 127.0.0.1:{answers.port} and install with --no-caddy"
            )


def _faults_of_name(domain: str) -> Iterator[str]:
    try:
        socket.getaddrinfo(domain.partition(":")[0], 443)
    except OSError:
        yield (
            f"The name {domain} has no address yet: make an A or AAAA record of it that names this server. Nobody gives"
            " a certificate before that; --no-dns-check installs all the same, --own-certificates needs none"
        )


def _is_address(domain: str) -> bool:
    try:
        ip_address(domain.partition(":")[0])
    except ValueError:
        return False
    return True


def _is_taken(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def check_installed(machine: Machine) -> Answers:
    """Return what was answered at the installation. Raises NotInstalled where there is none."""
    answers = read_answers(machine)
    if answers is None or releases.current(machine) is None:
        raise NotInstalled("Nothing is installed here. Begin with: sudo scripts/install.sh install --domain …")
    return answers
