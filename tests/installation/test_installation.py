"""A server of one's own from its installation to its end, with the real Caddy in front and real phones' requests."""

import gzip
import hashlib
import os
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from client.model_server import ModelServer
from local.secrets import WEB_KEY
from tests.databases import POSTGRES_15
from tests.hub_clients import Driver
from tests.installation import systemd
from tests.installation.installations import (
    SERVICE,
    Installation,
    broken_release,
    former_release,
    require_caddy,
)
from tests.phones import OCTETS
from tests.processes import peak_bytes
from tests.servers import Servers, manifest
from tests.waiting import WAIT_SECONDS, wait_for

MIB = 1024 * 1024
AT_ONCE = 8
ACCOUNTS_PER_HOUR = 20


@dataclass(frozen=True)
class Upgraded:
    """An installation, and what happened to it before this release came."""

    installation: Installation
    former: Path  # where `current` led to while the release before this one ran
    account: str  # that it made
    refused: subprocess.CompletedProcess[str]  # the upgrade to a release that does not come up
    afterwards: "Found"
    said: str  # by the upgrade to this one


@dataclass(frozen=True)
class Found:
    """What is there after an upgrade."""

    current: Path
    unit: str
    postgres_version: str
    knows_account: bool


@pytest.fixture(scope="module")
def upload():
    """Return a phone's backup of 20 MiB."""
    return gzip.compress(os.urandom(20 * MIB), compresslevel=0)


@pytest.fixture(scope="module")
def model():
    with ModelServer() as model:
        yield model


@pytest.fixture(scope="module")
def upgraded(model, tmp_path_factory):
    """Return an installation that was made by the release before this one, used, and brought to this one."""
    require_caddy()
    installation = Installation()
    try:
        folder = tmp_path_factory.mktemp("releases")
        yield _upgrade(installation, model, former_release(folder / "former"), broken_release(folder / "broken"))
    finally:
        installation.close()


def _upgrade(installation, model, before, broken):
    installation.install(source=before)
    former = installation.path("/opt/liftlog/current").readlink()
    with installation.path("/etc/liftlog/liftlog.env").open("a") as settings:
        settings.write(f"OPENAI_BASE_URL={model.base_url}\nQUOTA_ACCOUNTS_PER_HOUR={ACCOUNTS_PER_HOUR}\n")
    account = create_account(installation).json()["id"]
    refused = installation.run("upgrade", source=broken)
    afterwards = found(installation, account)
    said = installation.done("upgrade")
    return Upgraded(installation, former, account, refused, afterwards, said)


def found(installation, account):
    return Found(
        installation.path("/opt/liftlog/current").readlink(),
        installation.path(f"/etc/systemd/system/{SERVICE}").read_text(),
        installation.path("/var/lib/liftlog/postgres/PG_VERSION").read_text().strip(),
        knows(installation, account),
    )


@pytest.fixture(scope="module")
def server(upgraded):
    return upgraded.installation


def create_account(server, **options):
    return server.ask("POST", "/user/create", json={}, **options)


def knows(server, account):
    return server.ask("GET", f"/user/{account}").status_code == 200


def new_phone(server, name):
    """Have a key made as a person does, and return what a phone then sends along, and where to."""
    said = server.done("backup-key", name).split()
    url, key = said[said.index("Endpoint") + 1], said[-1]
    assert url == f"{server.url}/backup?user={name}"
    return url.removeprefix(server.url), OCTETS | {"X-Api-Key": key}


def own_address():
    """Return the address by which this machine reaches others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return probe.getsockname()[0]


# what a person meets


def test_the_demo_s_phones_get_on_with_it_over_https(server):
    said = server.done("demo")
    assert f"steps went well on {server.url}" in said


def test_status_tells_that_it_is_well_and_when_it_was_dumped(server):
    said = server.done("status")
    assert "server and database are ready" in said
    assert "liftlog-" in said
    assert server.url in said


@pytest.mark.parametrize("transport", ["WebSockets", "LongPolling"])
def test_a_chat_passes_through_caddy_as_it_is_written(server, monkeypatch, transport):
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", str(server.authority))
    key = (server.path("/var/lib/liftlog") / "secrets" / WEB_KEY).read_text()
    driver = Driver()
    chat = driver.connect(f"{server.url}/ai-chat-v2", transport, token=f"Web {key}")
    chat.wait_for("connected")
    assert chat.invoke("SendMessage", "How often?", 3) is None
    assert len(chat.texts) > 1
    chat.stop()
    driver.close()


# what strangers meet


def test_operators_routes_are_closed_from_outside_and_from_this_machine(server):
    routes = [route for entry in manifest().values() if entry["access"] == "private" for route in entry["routes"]]
    assert "POST /backup-key" in routes
    for route in routes:
        method, path = route.split(" ")
        for past_caddy in (False, True):
            refused = server.ask(method, path, past_caddy=past_caddy, json={} if method == "POST" else None)
            assert refused.status_code in {401, 403}, f"{route} is open"
    token = server.settings["OPERATOR_TOKEN"]
    said = server.ask("GET", "/metrics/summary", headers={"Authorization": f"Bearer {token}"})
    assert said.status_code == 200


def test_who_asks_is_who_caddy_says_and_not_who_he_says_he_is(server):
    """An address makes so many accounts in an hour; what a client claims in X-Forwarded-For is another each time."""
    address = own_address()
    if address.startswith("127."):
        pytest.skip("this machine has no address but its own loopback, which is nobody's")
    url = f"https://{address}:{server.https_port}/user/create"
    statuses = []
    with requests.Session() as session:
        session.mount("https://", AsLocalhost())
        for number in range(ACCOUNTS_PER_HOUR + 1):
            headers = {"Host": f"localhost:{server.https_port}", "X-Forwarded-For": f"203.0.113.{number}"}
            answer = session.post(url, json={}, headers=headers, verify=str(server.authority), timeout=WAIT_SECONDS)
            statuses.append(answer.status_code)
    assert statuses == [200] * ACCOUNTS_PER_HOUR + [429]
    assert create_account(server).status_code == 200  # from the loopback, nobody's


class AsLocalhost(requests.adapters.HTTPAdapter):
    """Asks an address for the site localhost."""

    def init_poolmanager(self, *arguments, **options):
        super().init_poolmanager(*arguments, server_hostname="localhost", assert_hostname="localhost", **options)


def test_what_a_phone_sent_is_not_in_caddy_s_log(server):
    """Caddy writes the request of each error down, but for headers that it knows to be secret; X-Api-Key is not one."""
    path, headers = new_phone(server, "dan")
    server.systemctl("stop", SERVICE)
    with socket.create_server(("127.0.0.1", server.port)) as broken:
        with ThreadPoolExecutor(1) as executor:
            asked = executor.submit(server.ask, "POST", f"{path}&id=a-token", data=b"x", headers=headers)
            broken.accept()[0].close()
        assert asked.result().status_code == 502
    server.systemctl("restart", SERVICE)
    log = systemd.log_of(server.root, "caddy").read_text()
    assert '"status":502' in log
    assert headers["X-Api-Key"] not in log
    assert "a-token" not in log


# backups of phones


def test_eight_backups_at_once_are_stored_whole_in_flat_memory(server, upload):
    path, headers = new_phone(server, "ann")
    assert server.ask("POST", path, data=upload[:-1], headers=headers).status_code == 400  # the route is warm
    worker = worker_of(server)
    before = peak_bytes(worker)
    contents = [upload, *(gzip.compress(number.to_bytes(1) + upload, compresslevel=0) for number in range(AT_ONCE - 1))]
    with ThreadPoolExecutor(AT_ONCE) as executor:
        answers = list(executor.map(lambda body: server.ask("POST", path, data=body, headers=headers), contents))
    assert [answer.status_code for answer in answers] == [200] * AT_ONCE
    assert peak_bytes(worker) - before < 16 * MIB
    stored = answers[0].json()
    assert stored["sha256"] == hashlib.sha256(upload).hexdigest()
    assert server.ask("GET", f"/backup/{stored['id']}", headers=headers).content == upload


def test_the_largest_backup_passes_and_a_larger_one_is_refused_by_the_server(server):
    path, headers = new_phone(server, "bob")
    largest = gzip_of(64 * MIB)
    assert server.ask("POST", path, data=largest, headers=headers).status_code == 200
    refused = server.ask("POST", path, data=largest + b"!", headers=headers)
    assert (refused.status_code, refused.headers["Content-Type"]) == (413, "application/problem+json")


def gzip_of(size):
    """Return a gzip file of that size."""
    frame = len(gzip.compress(b"", compresslevel=0))
    content = os.urandom(size - frame - 5 * (size // 65_000))
    compressed = gzip.compress(content, compresslevel=0)
    return compressed if len(compressed) == size else gzip_exactly(content, size)


def gzip_exactly(content, size):
    for _ in range(20):
        compressed = gzip.compress(content, compresslevel=0)
        if len(compressed) == size:
            return compressed
        content = os.urandom(len(content) + size - len(compressed))
    raise AssertionError("no such gzip file")


def worker_of(server):
    found = server.process.children(recursive=True)
    return next(child for child in found if "functions_framework" in child.cmdline() and not child.children())


# upgrades


def test_an_upgrade_dumps_first_and_keeps_what_the_former_release_stored(upgraded):
    server = upgraded.installation
    dumped, migrated = upgraded.said.index("backed up liftlog_user_data"), upgraded.said.index("schema ")
    assert dumped < migrated
    assert "→" in upgraded.said[migrated:].splitlines()[0]
    assert "PostgreSQL 15 → " in upgraded.said or not POSTGRES_15.exists()
    assert knows(server, upgraded.account)
    assert server.path("/opt/liftlog/current").readlink() != upgraded.former
    assert (server.path("/opt/liftlog") / upgraded.former).is_dir()  # to go back to by hand


def test_a_release_that_does_not_come_up_gives_way_to_the_former_one(upgraded):
    """Also where it has brought the database to another PostgreSQL on the way."""
    assert upgraded.refused.returncode == 1
    assert "The former release" in upgraded.refused.stderr
    assert "journalctl -u liftlog" in upgraded.refused.stderr
    assert upgraded.afterwards.current == upgraded.former
    assert "TasksMax=1024" in upgraded.afterwards.unit
    assert upgraded.afterwards.knows_account
    if POSTGRES_15.exists():
        assert "PostgreSQL 15 → " in upgraded.refused.stdout
        assert upgraded.afterwards.postgres_version == "15"


def test_what_is_so_already_is_left_alone(server):
    before = len(server.commands)
    process = server.process
    said = server.install()
    assert "write" not in said
    assert [words[0] for words in server.commands[before:]] == ["is-active"]
    assert server.process == process


# another machine


@pytest.fixture
def second():
    installation = Installation()
    yield installation
    installation.close()


def test_a_second_machine_takes_over_and_an_end_keeps_the_data(server, upgraded, second, upload, tmp_path):
    path, headers = new_phone(server, "cleo")
    stored = server.ask("POST", path, data=upload, headers=headers).json()
    dump = tmp_path / "moved.dump"
    server.done("backup", str(dump))
    assert dump.stat().st_mode & 0o077 == 0

    second.install()
    assert not knows(second, upgraded.account)
    second.done("restore", str(dump))
    shutil.copytree(
        server.path("/var/lib/liftlog/phone-backups"), second.path("/var/lib/liftlog/phone-backups"), dirs_exist_ok=True
    )
    assert knows(second, upgraded.account)
    assert second.ask("GET", f"/backup/{stored['id']}", headers=headers).content == upload
    second.done("demo")

    processes = [second.process, *second.process.children(recursive=True)]
    second.done("uninstall")
    wait_for(lambda: not any(child.is_running() for child in processes))
    assert not second.path("/opt/liftlog").exists()
    assert not list(second.path("/etc/systemd/system").glob("liftlog*"))
    assert "liftlog" not in second.path("/etc/caddy/Caddyfile").read_text()
    assert "skip_install_trust" in second.path("/etc/caddy/Caddyfile").read_text()
    assert second.path("/var/lib/liftlog/postgres/PG_VERSION").exists()
    assert second.path("/etc/liftlog/liftlog.env").exists()
    assert server.process.is_running()


def test_it_moves_to_a_database_elsewhere_and_back(server, upgraded, own_url, tmp_path):
    """As to the cloud: `liftlog backup`, `make restore` with DATABASE_URL there, and the other way round."""
    there, back = tmp_path / "there.dump", tmp_path / "back.dump"
    server.done("backup", str(there))
    make(own_url, "restore", there)
    with Servers(own_url) as elsewhere:
        url = elsewhere["gateway"].url
        assert requests.get(f"{url}/user/{upgraded.account}", timeout=WAIT_SECONDS).status_code == 200
        subprocess.run([sys.executable, "-m", "client.demo"], env=os.environ | {"BASE_URL": url}, check=True)
        newer = requests.post(f"{url}/user/create", json={}, timeout=WAIT_SECONDS).json()["id"]
    make(own_url, "backup", back)
    assert not knows(server, newer)
    server.done("restore", str(back))
    assert knows(server, newer)
    assert knows(server, upgraded.account)
    server.done("demo")


def make(database_url, command, file):
    """Do what `make backup FILE=…` and `make restore FILE=…` do."""
    subprocess.run(
        [sys.executable, "-m", "local.backups", command, file],
        env=os.environ | {"DATABASE_URL": database_url},
        check=True,
    )
