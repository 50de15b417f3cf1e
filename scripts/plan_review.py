"""What a plan of Terraform destroys: read from its JSON (`terraform show -json`, format 1)."""

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What cannot be made again as it was: data, and what the world outside knows.
IRREPLACEABLE = (
    "google_sql_database_instance", "google_sql_database", "google_sql_user", "google_storage_bucket",
    "google_secret_manager_secret", "google_compute_global_address", "google_certificate_manager_certificate",
    "google_certificate_manager_dns_authorization",
    "google_compute_region_network_endpoint_group", "google_compute_url_map",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """A resource that the plan destroys, for good or to make another."""

    address: str
    kind: str
    replaced: bool

    @property
    def is_irreplaceable(self) -> bool:
        return self.kind in IRREPLACEABLE

    def __str__(self) -> str:
        what = "replace" if self.replaced else "destroy"
        return f"{'!!' if self.is_irreplaceable else '  '} {what}  {self.address}"


def destructive(plan: dict[str, Any]) -> list[Change]:
    """Return what the plan destroys, the irreplaceable first. Data sources are read, and nothing of them is lost."""
    found = [
        Change(entry["address"], entry["type"], "create" in entry["change"]["actions"])
        for entry in plan.get("resource_changes", [])
        if "delete" in entry["change"]["actions"] and entry.get("mode") != "data" and not is_rotation(entry)
    ]
    return sorted(found, key=lambda change: (not change.is_irreplaceable, change.address))


def is_rotation(entry: dict[str, Any]) -> bool:
    """Tell whether a secret's new version is there before the old one goes, which is only disabled."""
    change = entry["change"]
    is_disabled = (change.get("before") or {}).get("deletion_policy") == "DISABLE"
    is_version = entry["type"] == "google_secret_manager_secret_version"
    return is_version and change["actions"] == ["create", "delete"] and is_disabled


def counts(plan: dict[str, Any]) -> dict[str, int]:
    """Return how many resources the plan creates, updates and so on."""
    found: dict[str, int] = {}
    for entry in plan.get("resource_changes", []):
        action = "+".join(entry["change"]["actions"])
        found[action] = found.get(action, 0) + 1
    return found


def main() -> int:
    """Review a plan. Return 1 if it destroys something that is not allowed."""
    parser = argparse.ArgumentParser(prog="scripts/plan-review")
    parser.add_argument("plan", type=Path)
    parser.add_argument("--allow", action="append", default=[], help="an address that may be destroyed")
    arguments = parser.parse_args()
    plan = json.loads(arguments.plan.read_text())
    print(", ".join(f"{count} {action}" for action, count in sorted(counts(plan).items())) or "no changes")
    for entry in plan.get("resource_changes", []):
        if is_rotation(entry):
            print(f"   rotate   {entry['address']}: the new version first, then the old one is disabled")
    found = destructive(plan)
    for change in found:
        print(f"{change}{'  (allowed)' if change.address in arguments.allow else ''}")
    refused = [change for change in found if change.address not in arguments.allow]
    if refused:
        print(
            f"Stopped: {len(refused)} destructive changes. If they are meant: "
            + " ".join(f"--allow '{change.address}'" for change in refused),
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
