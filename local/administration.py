"""`make overview` and `make delete-account ACCOUNT=…`: what /admin of a running server (BASE_URL) shows and does."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from local import operators

ANSWER_SECONDS = 30.0
_TABLES = 5  # that are named, the largest


def main() -> int:
    """Do what the command line says. Return the exit status."""
    options = _options()
    try:
        if options.command == "overview":
            for name, text in _facts(operators.ask("/admin/overview", None, ANSWER_SECONDS)):
                print(f"{name:<12}{text}")
        else:
            _delete(options.account)
    except operators.NotDone as error:
        print(f"make {options.command}: {error}", file=sys.stderr)
        return 1
    return 0


def _facts(seen: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a person wants to know, and under which name."""
    accounts, planner, runs = seen["accounts"], seen["planner"], seen["cleanup_runs"]
    about = "about " if accounts["is_estimate"] else ""
    created = sum(seen["created_per_day"].values())
    yield (
        "accounts",
        f"{about}{accounts['total']:,}, {about}{accounts['active']:,} used and {created:,} created in 30 days",
    )
    yield "storage", f"{sum(table['bytes'] for table in seen['tables']):,} bytes"
    for table in seen["tables"][:_TABLES]:
        yield "", f"{table['name']} {table['bytes']:,}"
    yield "backups", ", ".join(f"{kept['name']} {kept['count']:,}" for kept in seen["backups"]) or "no name has a key"
    yield "planner", f"{planner['model']} at {planner['endpoint']}, circuit {planner['circuit']}"
    yield "cleanup", f"last run {runs[0]['finished']}" if runs else "has not run yet"
    hit = ", ".join(f"{name} {counted['days']:,}" for name, counted in seen["quotas"].items())
    yield "quotas", f"hit in 30 days: {hit}" if hit else "none hit in 30 days"
    yield "versions", f"schema {seen['schema']}, PostgreSQL {seen['postgresql']} {seen['revision']}".rstrip()


def _delete(account: str) -> None:
    """Delete an account that is typed once more. Raises NotDone."""
    print(
        f"This deletes the account {account} with everything of it, for good. Type it once more: ", end="", flush=True
    )
    again = sys.stdin.readline().strip()
    deleted = operators.ask("/admin/delete-account", {"account": account, "again": again}, ANSWER_SECONDS)
    print(f"deleted {deleted['userId']}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.administration", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("overview", help="accounts, storage, backups, planner, cleanup, quotas, versions")
    deletion = commands.add_parser("delete-account", help="delete one account, which is to be typed once more")
    deletion.add_argument("account", metavar="ACCOUNT", help="its id or its lookup")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
