"""Terraform in tests: where it cannot be had, they are skipped loudly, and fail in CI."""

import json
import os
from functools import cache
from pathlib import Path

import pytest

from rehearsal import terraform
from rehearsal.terraform import DOMAIN, PROJECT, REGION, ROOT, Plan, TerraformUnavailable
from rehearsal.terraform import EXAMPLE as BASICS

__all__ = ["BASICS", "DOMAIN", "PROJECT", "REGION", "ROOT", "Plan", "Terraform", "bootstrap"]
BOTH = 'environments=["staging", "production"]'


class Terraform(terraform.Terraform):
    """The configuration in a folder of its own, ready to be planned."""

    def __init__(self, folder: Path) -> None:
        try:
            super().__init__(folder)
        except TerraformUnavailable as error:
            message = f"terraform is NOT tested: {error}"
            if os.environ.get("CI") == "true":
                pytest.fail(message)
            pytest.skip(message)


@cache
def bootstrap(terraform: Terraform, *variables: str) -> Plan:
    """Plan terraform/bootstrap for both environments, unless a variable (name=value) says otherwise; once for each."""
    assert terraform.run("init", "-backend=false", "-input=false", folder="bootstrap").returncode == 0
    given = [f"-var={name}" for name in (f"project={PROJECT}", BOTH, *variables)]
    planned = terraform.run("plan", "-input=false", "-out=bootstrap.plan", *given, folder="bootstrap")
    assert planned.returncode == 0, planned.stderr
    return Plan(json.loads(terraform.run("show", "-json", "bootstrap.plan", folder="bootstrap").stdout))
