"""An environment that stands: applied to no cloud, with a state of its own, to see what the next plan changes.

It takes providers that make objects up. The real ones ask Google, which refuses the tests' token: then what only an
apply shows is skipped, loudly, in CI as well, since no CI has a project to play with.
"""

import itertools
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.terraform.planning import BASICS, Terraform

_ASKS_GOOGLE = re.compile(r"Error 401|invalid authentication credentials|UNAUTHENTICATED|dial tcp|oauth2")
_numbers = itertools.count()


class Standing:
    """One environment with its state. `fork` gives another of the same state, to be changed by one test."""

    def __init__(self, terraform: Terraform, environment: str, **variables: Any) -> None:
        self.terraform = terraform
        self.variables = BASICS | variables | {"environment": environment}
        self._number = next(_numbers)

    @property
    def state(self) -> Path:
        return self.terraform.folder.parent / f"standing-{self._number}.tfstate"

    def apply(self, *arguments: str) -> None:
        """Bring everything about. Skips the test where that would ask Google."""
        done = self._run("apply", "-auto-approve", *arguments)
        if done.returncode and _ASKS_GOOGLE.search(done.stderr):
            pytest.skip(f"what only an apply shows is NOT tested: {done.stderr.strip()[-200:]}")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr

    def fork(self) -> "Standing":
        """Return an environment in the same state."""
        other = Standing(self.terraform, **self.variables)
        shutil.copy(self.state, other.state)
        return other

    def changes(self, **variables: Any) -> dict[str, dict[str, Any]]:
        """Return what a plan would change now, by address: `actions`, `before`, `after`."""
        plan = self.state.with_suffix(".plan")
        done = self._run("plan", f"-out={plan}", more=variables)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        document = json.loads(self.terraform.run("show", "-json", str(plan)).stdout)
        entries = document.get("resource_changes", [])
        return {entry["address"]: entry["change"] for entry in entries if entry["change"]["actions"] != ["no-op"]}

    def destroy(self) -> None:
        """Remove everything again."""
        done = self._run("apply", "-destroy", "-auto-approve")
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr

    def resources(self) -> set[str]:
        """Return the addresses of what is there."""
        return set(self.terraform.run("state", "list", f"-state={self.state}").stdout.split())

    def _run(self, command: str, *arguments: str, more: dict[str, Any] | None = None) -> Any:
        values = self.state.with_suffix(".tfvars.json")
        values.write_text(json.dumps(self.variables | (more or {})))
        common = ("-input=false", "-no-color", f"-state={self.state}", f"-var-file={values}")
        return self.terraform.run(command, *common, *arguments)
