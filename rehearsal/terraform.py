"""Terraform on a machine without a cloud: a plan asks nobody for anything, so it needs no project and no credentials.

It runs in a copy of the configuration. The CLI is the one that TERRAFORM names (default `terraform`).
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from rehearsal.settings import terraform_settings

ROOT = Path(__file__).parent.parent
PROJECT, REGION = "liftlog-example", "us-central1"
DOMAIN = "api.example.com"  # with one there is a load balancer
EXAMPLE = {
    "project": PROJECT,
    "alert_emails": ["alerts@example.com"],
    "operators": ["user:operator@example.com"],
    "owner": "the team that trains, team@example.com",
    "paging_channels": [f"projects/{PROJECT}/notificationChannels/1"],
    "repository_url": "https://github.com/example/liftlog-backend",
}
NO_CLOUD = "no-cloud-is-asked"  # where credentials would be
LEFT_OUT = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*.tfvars")


class TerraformUnavailable(Exception):
    """There is no terraform here, or its providers cannot be had; the message says which."""


class PlanFailed(Exception):
    """Terraform refuses the configuration; the message is what it says."""


class Terraform:
    """The configuration in a folder of its own, ready to be planned."""

    def __init__(self, folder: Path) -> None:
        """Copy the configuration and get the providers. Raises TerraformUnavailable."""
        self._cli = _cli()
        self.folder = folder / "terraform"
        shutil.copytree(ROOT / "terraform", self.folder, ignore=LEFT_OUT)
        shutil.copytree(ROOT / "docs" / "playbooks", folder / "docs" / "playbooks")
        (folder / "functions").mkdir()
        shutil.copy(ROOT / "functions" / "manifest.yaml", folder / "functions")
        (self.folder / "backend_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
        initialised = self.run("init", "-input=false", "-no-color")
        if initialised.returncode:
            raise TerraformUnavailable("its providers cannot be had: " + initialised.stderr.strip()[-300:])

    def run(self, *arguments: str, folder: str = ".") -> subprocess.CompletedProcess[str]:
        """Run the CLI. Nothing of the caller's own set-up reaches it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_VAR_", "TF_CLI_ARGS"))}
        kept.pop("TF_WORKSPACE", None)
        alone = {
            "TF_IN_AUTOMATION": "true",
            "CHECKPOINT_DISABLE": "true",
            "GOOGLE_OAUTH_ACCESS_TOKEN": NO_CLOUD,
        }
        return subprocess.run(
            [self._cli, f"-chdir={self.folder / folder}", *arguments],
            env=kept | alone, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def plan(self, environment: str, **variables: Any) -> dict[str, Any]:
        """Return the plan of an empty project, as `terraform show -json` writes it. Raises PlanFailed."""
        name = f"{environment}-{len(list(self.folder.glob('*.plan')))}"
        values = self.folder / f"{name}.tfvars.json"
        values.write_text(json.dumps(EXAMPLE | {"environment": environment} | variables))
        plan = self.folder / f"{name}.plan"
        planned = self.run("plan", "-input=false", "-no-color", f"-var-file={values}", f"-out={plan}")
        if planned.returncode:
            raise PlanFailed(planned.stdout[-3000:] + planned.stderr[-3000:])
        shown: dict[str, Any] = json.loads(self.run("show", "-json", str(plan)).stdout)
        return shown


class Plan:
    """What a plan makes, by type."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document

    def all(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the planned values of a type of resource, by address."""
        return {address: values for address, found, values in self.resources if found == kind}

    def one(self, kind: str) -> dict[str, Any]:
        """Return the values of the only resource of a type."""
        (values,) = self.all(kind).values()
        return values

    def of_function(self, kind: str, family: str) -> dict[str, dict[str, Any]]:
        """Return what a family's module makes of a type."""
        prefix = f'module.function["{family}"].'
        return {address: values for address, values in self.all(kind).items() if address.startswith(prefix)}

    @cached_property
    def resources(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Every resource that is planned: address, type, values."""
        return list(_walk(self.document["planned_values"]["root_module"]))


def _walk(module: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for resource in module.get("resources", []):
        yield resource["address"], resource["type"], resource["values"]
    for child in module.get("child_modules", []):
        yield from _walk(child)


def _cli() -> str:
    """Return the CLI's path. Raises TerraformUnavailable."""
    named = terraform_settings().cli
    found = shutil.which(str(ROOT / named) if "/" in named else named)
    if found is None:
        raise TerraformUnavailable(f"there is no {named}")
    return found
