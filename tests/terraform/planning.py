"""Terraform in tests: where it cannot be had, they are skipped loudly, and fail in CI."""

import os
from pathlib import Path

import pytest

from rehearsal import terraform
from rehearsal.terraform import DOMAIN, PROJECT, REGION, ROOT, Plan, TerraformUnavailable
from rehearsal.terraform import EXAMPLE as BASICS

__all__ = ["BASICS", "DOMAIN", "PROJECT", "REGION", "ROOT", "Plan", "Terraform"]


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
