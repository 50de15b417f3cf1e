"""Settings of the rehearsal."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TerraformSettings:
    """Which terraform plans.

    TERRAFORM                 the CLI: its name, or a path from the repository's root; default terraform
    """

    cli: str


def terraform_settings() -> TerraformSettings:
    """Read which terraform plans from the environment."""
    return TerraformSettings(os.environ.get("TERRAFORM") or "terraform")
