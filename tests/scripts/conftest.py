"""All tests of the scripts that call gcloud call the quick one."""

import pytest


@pytest.fixture(scope="session", autouse=True)
def quick_gcloud(gcloud: None) -> None:
    """Have gcloud's code read once."""
