"""The configuration is planned once for each worker and environment."""

import pytest

from tests.terraform.planning import Plan, Terraform


@pytest.fixture(scope="session")
def staging(terraform: Terraform) -> Plan:
    return Plan(terraform.plan("staging"))
