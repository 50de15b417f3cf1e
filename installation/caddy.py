"""Caddy in front: our site beside those that it serves already, and what it must not write into its log."""

import shutil
import time
from pathlib import Path
from string import Template

from installation import services
from installation.configuration import Answers
from installation.errors import NotInstalled
from installation.machine import Machine

CADDYFILE = "/etc/caddy/Caddyfile"
SITE = "/etc/caddy/liftlog.caddyfile"
OPTIONS = "/etc/caddy/liftlog-options.caddyfile"
OWN_AUTHORITY = "/etc/liftlog/authority.crt"  # of Caddy's own certificates, to be trusted by phones
_IMPORT_SITE = "import liftlog.caddyfile"
_IMPORT_OPTIONS = "import liftlog-options.caddyfile"
_OPTIONS_BLOCK = f"{{\n\t{_IMPORT_OPTIONS}\n}}\n\n"  # must be the first block of a Caddyfile
_MADE_AUTHORITY = "/var/lib/caddy/.local/share/caddy/pki/authorities/local/root.crt"  # where Debian's Caddy keeps it
_AUTHORITY_SECONDS = 30.0  # it makes it when it first starts
_POLL_SECONDS = 0.2


def write_site(machine: Machine, answers: Answers, templates: Path) -> bool:
    """Bring our part of Caddy's configuration into place; no domain, no part. Return whether it was another one."""
    if not answers.domain:
        return remove_site(machine)
    site = Template((templates / "Caddyfile").read_text()).substitute(
        domain=answers.domain,
        port=answers.port,
        certificates="\ttls internal\n" if answers.own_certificates else "",
    )
    options_changed = machine.write(OPTIONS, (templates / "Caddyfile.options").read_text())
    site_changed = machine.write(SITE, site)
    return machine.write(CADDYFILE, _with_imports(_caddyfile(machine))) or site_changed or options_changed


def remove_site(machine: Machine) -> bool:
    """Take what is ours out of Caddy's configuration. Return whether there was anything."""
    there = _caddyfile(machine)
    ours = {_IMPORT_SITE, _IMPORT_OPTIONS}
    lines = there.replace(_OPTIONS_BLOCK, "").splitlines()
    others = "\n".join(line for line in lines if line.strip() not in ours).strip()
    changed = any(word in there for word in ours) and machine.write(CADDYFILE, f"{others}\n")
    for place in (SITE, OPTIONS):
        machine.remove(place)
    return changed


def reload(machine: Machine) -> None:
    """Have Caddy read its configuration, if it is sound. Raises NotInstalled; then Caddy goes on as before."""
    if shutil.which("caddy"):
        machine.run(
            "caddy", "adapt", "--adapter", "caddyfile", "--config", machine.path(CADDYFILE),
            why=f"Caddy does not understand {CADDYFILE}, or what it imports.",
        )  # fmt: skip
    services.systemctl(machine, "enable", "caddy", why="Caddy cannot be enabled.")
    services.systemctl(
        machine, "reload-or-restart", "caddy",
        why="Caddy does not take its new configuration. What it says: journalctl -u caddy -n 50",
    )  # fmt: skip


def keep_authority(machine: Machine, answers: Answers) -> None:
    """Put the certificate of Caddy's own authority, if it signs, where phones can get it. Raises NotInstalled."""
    if not answers.own_certificates or machine.dry_run or not services.starts(machine):
        return
    made = machine.path(_MADE_AUTHORITY)
    deadline = time.monotonic() + _AUTHORITY_SECONDS
    while not made.exists():
        if time.monotonic() > deadline:
            raise NotInstalled(f"Caddy has made no {_MADE_AUTHORITY}. What it says: journalctl -u caddy -n 50")
        time.sleep(_POLL_SECONDS)
    certificate = made.read_text()
    if not certificate.startswith("-----BEGIN CERTIFICATE-----"):  # the folder is Caddy's, the copy is for everybody
        raise NotInstalled(f"{_MADE_AUTHORITY} is no certificate")
    machine.write(OWN_AUTHORITY, certificate)


def _caddyfile(machine: Machine) -> str:
    path = machine.path(CADDYFILE)
    return path.read_text() if path.exists() else ""


def _with_imports(there: str) -> str:
    """Return a Caddyfile with our two lines, each in its place."""
    lines = [line.strip() for line in there.splitlines()]
    if _IMPORT_SITE not in lines:
        there = f"{there.rstrip()}\n\n{_IMPORT_SITE}\n".lstrip()
    if _IMPORT_OPTIONS in lines:
        return there
    first = next((line for line in lines if line and not line.startswith("#")), "")
    if first != "{":
        return _OPTIONS_BLOCK + there
    print(
        f"  {CADDYFILE} has options of its own. Put the line `{_IMPORT_OPTIONS}` among them: without it Caddy writes"
        " phones' keys into its log when the server does not answer",
        flush=True,
    )
    return there
