"""Releases, made and taken back: what deploy.sh, rollback.sh and cloudbuild.yaml run (docs/deployment.md).

Whatever is interrupted can be started again: what is deployed is asked of Google Cloud, not remembered.
"""

import argparse
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from scripts.cloud import Cloud, Failed, complain
from scripts.deployments import Deployment, Options
from scripts.rollbacks import list_releases, rollback
from scripts.traffic import close, open_again, pin

INTERRUPTED = 130
VERSION = re.compile(r"v\d+\.\d+\.\d+([-.][0-9A-Za-z.-]+)?")
TAG = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,62}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m scripts.release", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("deploy", "release the packages of --dist"),
        ("rollback", "give the traffic back to an earlier release"),
        ("list", "show the releases"),
        ("pin", "fix the traffic to the revisions that have it"),
        ("close", "have all public functions answer 503"),
        ("open", "end that"),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("environment", choices=("staging", "production"))
        command.add_argument("--dry-run", action="store_true", help="show what would be done")
    commands.choices["deploy"].add_argument("--dist", type=Path, default=Path("dist"), help="folder of the packages")
    commands.choices["deploy"].add_argument("tag", help="v1.2.3, or in staging also latest")
    commands.choices["deploy"].add_argument(
        "--watch-minutes", type=float, default=5.0, help="at 10 %%, 0: not at all (5)"
    )
    commands.choices["rollback"].add_argument("target", nargs="?", default="", help="a release, a tag, or a revision")
    return parser.parse_args()


def _deploy(cloud: Cloud, arguments: argparse.Namespace) -> None:
    tag = arguments.tag
    if not TAG.fullmatch(tag):
        raise Failed("a tag has letters, digits, dots and hyphens")
    if cloud.environment == "production" and not VERSION.fullmatch(tag):
        raise Failed(f"production takes a version like v1.2.3, not {tag}: what runs there must be nameable")
    Deployment(cloud, Options(tag, arguments.dist, arguments.watch_minutes)).run()


def main() -> int:
    """Run one command. Return the exit status."""
    arguments = _arguments()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    commands: dict[str, Callable[[Cloud], None]] = {
        "deploy": lambda cloud: _deploy(cloud, arguments),
        "rollback": lambda cloud: rollback(cloud, arguments.target),
        "list": list_releases,
        "pin": pin,
        "close": close,
        "open": open_again,
    }
    try:
        commands[arguments.command](Cloud(arguments.environment, dry_run=arguments.dry_run))
    except Failed as error:
        complain(error)
        return 1
    except KeyboardInterrupt:
        complain(Failed("interrupted; start it again, or roll back"))
        return INTERRUPTED
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # one is enough
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
