"""Installs a server of one's own on Debian, and what one does with it afterwards. The manual: docs/self-hosting.md."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from installation import changes, checks, everyday
from installation.configuration import Answers, read_answers, usual_memory_mib
from installation.errors import NotInstalled
from installation.machine import Machine

SOURCE = Path(__file__).resolve().parent.parent


def main() -> int:
    """Do what the command line says. Return the exit status."""
    options = command_line().parse_args()
    os.umask(0o022)  # what is installed is read by the service's account
    machine = Machine(options.root.resolve(), dry_run=options.dry_run)
    command: Callable[[Machine, argparse.Namespace], int | None] = options.run
    try:
        return command(machine, options) or 0
    except NotInstalled as error:
        print(f"Error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("Error: it was interrupted. The same command goes on where this ended.", file=sys.stderr)
    except PermissionError as error:
        print(f"Error: {error.filename}: {error.strerror}. Run it as root: sudo …", file=sys.stderr)
    except OSError as error:
        print(f"Error: {error.filename}: {error.strerror}", file=sys.stderr)
    return 1


def _install(machine: Machine, options: argparse.Namespace) -> None:
    before = read_answers(machine)
    answers = _answered(before or Answers(memory_mib=usual_memory_mib()), options)
    if before is None and not answers.domain and not options.no_caddy:
        raise NotInstalled("Name what phones will reach it by: --domain liftlog.example.com (or --no-caddy)")
    if before is not None and options.database_url:
        raise NotInstalled("The settings are there already: change DATABASE_URL in /etc/liftlog/liftlog.env")
    checks.check(machine, answers, options.database_url, needs_dns=not options.no_dns_check)
    changes.bring(machine, SOURCE, answers, options.database_url)
    if not machine.dry_run:
        print(f"LiftLog answers on {answers.url}. A phone's key: liftlog backup-key NAME. How it is: liftlog status")


def _answered(before: Answers, options: argparse.Namespace) -> Answers:
    """Return what was answered before, and in its place what is answered now."""
    given = {
        "domain": "" if options.no_caddy else options.domain,
        "own_certificates": options.own_certificates,
        "port": options.port,
        "memory_mib": options.memory,
    }
    return replace(before, **{name: value for name, value in given.items() if value is not None})


def _upgrade(machine: Machine, _options: argparse.Namespace) -> None:
    answers = checks.check_installed(machine)
    checks.check(machine, answers, None, needs_dns=False)
    changes.bring(machine, SOURCE, answers, None)


def _uninstall(machine: Machine, _options: argparse.Namespace) -> None:
    checks.check_installed(machine)
    changes.remove(machine)
    print("The data is in /var/lib/liftlog, and the settings in /etc/liftlog: they stay, as does the account liftlog")


def _status(machine: Machine, _options: argparse.Namespace) -> int:
    return 0 if everyday.tell_status(machine, checks.check_installed(machine)) else 1


def _backup(machine: Machine, options: argparse.Namespace) -> None:
    checks.check_installed(machine)
    everyday.back_up(machine, options.file)


def _restore(machine: Machine, options: argparse.Namespace) -> None:
    checks.check_installed(machine)
    everyday.restore(machine, options.file)


def _backup_key(machine: Machine, options: argparse.Namespace) -> None:
    everyday.make_backup_key(machine, checks.check_installed(machine), options.name)


def _demo(machine: Machine, _options: argparse.Namespace) -> None:
    everyday.play_demo(machine, checks.check_installed(machine))


def command_line() -> argparse.ArgumentParser:
    """Return what understands the command line."""
    parser = argparse.ArgumentParser(prog=os.environ.get("PROGRAM", "liftlog"), description=__doc__)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--dry-run", action="store_true", help="show each step, and do none")
    shared.add_argument(
        "--root", type=Path, default=Path("/"), metavar="DIR", help="install below DIR; nothing is started"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[Machine, argparse.Namespace], int | None], says: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=says, description=says, parents=[shared])
        command.set_defaults(run=run)
        return command

    install = add("install", _install, "install this release, or change what was answered before; may be repeated")
    install.add_argument("--domain", help="the name that phones will reach it by, like liftlog.example.com")
    install.add_argument(
        "--own-certificates", action=argparse.BooleanOptionalAction, help="Caddy's own authority signs"
    )
    install.add_argument("--no-caddy", action="store_true", help="a proxy of yours takes requests to 127.0.0.1")
    install.add_argument("--port", type=_port, help="of the server behind the proxy; default 8080")
    install.add_argument("--memory", type=int, metavar="MIB", help="most memory; default 1024, or 3/4 of the machine's")
    install.add_argument("--database-url", metavar="URL", help="a PostgreSQL of yours; default: one that comes along")
    install.add_argument("--no-dns-check", action="store_true", help="the name will be made later")
    add("upgrade", _upgrade, "put this release in the place of the one that runs, which comes back if it fails")
    add("uninstall", _uninstall, "remove everything but the data and the settings")
    add("status", _status, "tell how the server is; the exit status is 0 if it is well")
    add("backup", _backup, "dump the database now").add_argument("file", type=Path, nargs="?", help="also copied here")
    add("restore", _restore, "put a dump in place of the database").add_argument("file", type=Path)
    add("backup-key", _backup_key, "make the key for a phone's backups, and show it once").add_argument("name")
    add("demo", _demo, "play two phones against the server, as phones reach it")
    return parser


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else 0
    if not 1024 <= port <= 65535:
        raise argparse.ArgumentTypeError("must be from 1024 to 65535: the service has no rights to the lower ones")
    return port


if __name__ == "__main__":
    sys.exit(main())
