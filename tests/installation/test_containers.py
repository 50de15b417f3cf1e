"""The same server in containers: what compose gives them is what the unit gives, and Caddy understands its part."""

import re
import subprocess

import pytest
import yaml

from installation.configuration import Answers
from installation.configuration import write as write_configuration
from installation.machine import Machine
from installation.releases import LOCK, PARTS
from tests.installation.installations import ROOT, require_caddy
from tests.installation.systemd import Unit

CONTAINERFILE = (ROOT / "Containerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVER, CADDY = COMPOSE["services"]["liftlog"], COMPOSE["services"]["caddy"]
NOT_IN_AN_IMAGE = {"installation", "scripts/install.sh", "pyproject.toml", "CHANGELOG.md"}  # what installs and upgrades


def image_variables():
    """Return what the image's last stage sets."""
    text = CONTAINERFILE.rpartition("\nFROM ")[2].replace("\\\n", " ")
    return dict(pair.split("=", 1) for line in re.findall(r"^ENV (.*)$", text, re.MULTILINE) for pair in line.split())


@pytest.fixture(scope="module")
def unit(tmp_path_factory):
    root = tmp_path_factory.mktemp("root")
    write_configuration(
        Machine(root, dry_run=False), Answers(domain="a.example"), ROOT / "installation" / "templates", None
    )
    return Unit(root, "liftlog.service")


def test_the_server_gets_the_settings_that_the_service_gets(unit):
    names = {value.partition("=")[0] for value in unit.all("Environment")} | {"OPERATOR_TOKEN"}
    assert names <= {*image_variables(), *SERVER["environment"]}
    assert image_variables()["ENVIRONMENT"] == "production"
    assert image_variables()["DATA_DIR"] == "/var/lib/liftlog"
    assert unit.one("ExecStart").endswith("python -m local.serve")
    assert CONTAINERFILE.rstrip().endswith('CMD ["python", "-m", "local.serve"]')


def test_neither_container_can_do_more_than_it_must(unit):
    for container in (SERVER, CADDY):
        assert container["read_only"] is True
        assert container["cap_drop"] == ["ALL"]
        assert container["security_opt"] == ["no-new-privileges:true"]
    assert "cap_add" not in SERVER
    assert CADDY["cap_add"] == ["NET_BIND_SERVICE"]
    assert re.search(r"^USER 10001:10001$", CONTAINERFILE, re.MULTILINE)
    assert SERVER["mem_limit"] == "1g"
    assert int(SERVER["stop_grace_period"][:-1]) == int(unit.one("TimeoutStopSec"))
    assert SERVER["pids_limit"] == int(unit.one("TasksMax"))


def test_caddy_alone_is_reached_from_outside_and_believed(unit):
    assert "ports" not in SERVER
    (subnet,) = COMPOSE["networks"]["inside"]["ipam"]["config"]
    assert SERVER["environment"]["TRUSTED_PROXIES"] == subnet["subnet"]
    assert SERVER["networks"] == CADDY["networks"] == ["inside"]


def test_what_is_kept_is_in_volumes():
    kept = [volume.split(":")[0] for container in (SERVER, CADDY) for volume in container["volumes"]]
    assert set(COMPOSE["volumes"]) == {name for name in kept if not name.startswith("./")}
    assert f"{image_variables()['DATA_DIR']}" in SERVER["volumes"][0]
    for name in kept:
        assert not name.startswith("./") or (ROOT / name).is_file()


def test_the_image_holds_what_a_release_does():
    copied = set(re.findall(r"^COPY ([\w.-]+) ", CONTAINERFILE, re.MULTILINE))
    assert copied == set(PARTS) - NOT_IN_AN_IMAGE
    assert LOCK in copied
    sent = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert set(sent) == copied


def test_its_health_is_asked_with_what_is_in_the_image():
    kind, program, option, code = SERVER["healthcheck"]["test"]
    assert (kind, program, option) == ("CMD", "python", "-c")
    compile(code, "healthcheck", "exec")
    assert f":{image_variables()['PORT']}/health/ready" in code


def test_caddy_understands_its_part(tmp_path):
    require_caddy()
    for volume in CADDY["volumes"][:2]:
        file, place, _ = volume.split(":")
        (tmp_path / place.rpartition("/")[2]).write_text((ROOT / file).read_text())
    adapted = subprocess.run(
        ["caddy", "adapt", "--config", tmp_path / "Caddyfile"],
        env={"DOMAIN": "a.example.com", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert '"host":["a.example.com"]' in adapted
    assert '"dial":"liftlog:8080"' in adapted
    assert '"request\\u003eheaders":{"filter":"delete"}' in adapted
