"""The configuration is copied once for each worker, and planned once for each environment."""

from pathlib import Path

import pytest

from tests.terraform.planning import DOMAIN, Plan, Terraform


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return Terraform(Path(tmp_path_factory.mktemp("terraform")))


@pytest.fixture(scope="session")
def production(terraform: Terraform) -> Plan:
    return Plan(terraform.plan("production", domain=DOMAIN))


@pytest.fixture(scope="session")
def staging(terraform: Terraform) -> Plan:
    return Plan(terraform.plan("staging"))
