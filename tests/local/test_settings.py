"""Settings of the local commands, as docs/settings.md and the README have them."""

import pytest

from local.settings import client_settings, local_settings
from shared.errors import InvalidSetting

NAMES = ("PORT", "HOST", "DATA_DIR", "DATABASE_URL", "RATE_LIMIT_DATABASE_URL", "BASE_URL", "OPERATOR_TOKEN")


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_nobody_but_this_machine_reaches_the_server_unless_it_is_said():
    settings = local_settings()
    assert (settings.host, settings.port, settings.data_dir.name) == ("127.0.0.1", 8080, ".data")
    assert (settings.database_url, settings.rate_limit_database_url) == (None, None)
    assert client_settings().base_url == "http://localhost:8080"


def test_an_empty_variable_is_an_unset_one(monkeypatch):
    before = local_settings()
    for name in NAMES:
        monkeypatch.setenv(name, "")
    assert local_settings() == before


@pytest.mark.parametrize("port", ["0", "65536", "-1", "http", "8080.0", "٨٠٨٠"])
def test_a_port_is_a_number_from_1_to_65535(monkeypatch, port):
    monkeypatch.setenv("PORT", port)
    with pytest.raises(InvalidSetting, match="PORT"):
        local_settings()


@pytest.mark.parametrize("port", ["1", "65535"])
def test_the_first_and_the_last_port_will_do(monkeypatch, port):
    monkeypatch.setenv("PORT", port)
    assert local_settings().port == int(port)
