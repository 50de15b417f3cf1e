"""MIGRATION_ROADMAP.md, played: the original on the name, ours on the address, the switch, and back.

DNS is a proxy that says where the name leads; the original is a stand-in with its routes, on the same database, that
checks passwords as it did (PBKDF2) and knows no /health/ready. The load balancer is our gateway.
"""

import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from hashlib import pbkdf2_hmac
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from scripts import doctor
from shared.data.pool import Database
from tests.scripts.fake_cloud import run
from tests.scripts.gcloud_stand_in import StandIn
from tests.scripts.test_release import DEPLOY, ROOT, packages
from tests.servers import Server
from tests.waiting import WAIT_SECONDS

NAME = "http://api.example.test"  # where apps have it compiled in
FUNCTIONS = ("operator", "migrate", "metrics", "user")


class Original:
    """The original backend, as far as an app meets it here."""

    def __init__(self, db: Database) -> None:
        original = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                original.answer(self, None)

            def do_POST(self) -> None:
                original.answer(self, json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def log_message(self, *_args: object) -> None:
                """Silent."""

        self._db = db
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, request: Any, body: Any) -> None:
        status = 404  # /health/ready, and whatever else it never had
        if request.path == "/health":
            status = 200
        elif request.path.startswith("/user/") and body is None:
            status = 200 if self._row(request.path[6:]) else 404
        elif request.path == "/user/delete":
            status = 200 if self._knows(body["id"], body["password"]) else 401
        request.send_response(status)
        request.send_header("Content-Length", "2")
        request.end_headers()
        request.wfile.write(b"{}")

    def _row(self, user_id: str) -> Any:
        return self._db.rows("SELECT hashed_password, salt FROM users WHERE id = CAST(:id AS uuid)", id=user_id)

    def _knows(self, user_id: str, password: str) -> bool:
        ((hashed, salt),) = self._row(user_id)
        made = pbkdf2_hmac("sha512", password.encode(), bytes(salt), 350_000, 64)
        return made == (bytes.fromhex(hashed) if len(hashed) == 128 else b64decode(hashed))

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Dns(StandIn):
    """The project, and the resolver of everybody outside: `leads_to` is where the name leads."""

    leads_to = ""
    balancer = ""  # where candidate.NAME leads, which is ours alone

    def answer(self, method: str, url: str, headers: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
        parts = urlsplit(url)
        if (parts.hostname or "").endswith("example.test"):
            kept = {key: headers[key] for key in ("Content-Type",) if key in headers}
            there = self.balancer if (parts.hostname or "").startswith("candidate.") else self.leads_to
            found = requests.request(
                method, there + parts.path, data=body, headers=kept, timeout=WAIT_SECONDS, proxies={"http": ""}
            )
            return found.status_code, found.content, {}
        return super().answer(method, url, headers, body)


@pytest.fixture
def ours(own_url) -> Iterator[dict[str, Server]]:
    settings = {"DATABASE_URL": own_url, "ENVIRONMENT": "staging", "LEGACY_PASSWORD_HASH": "true"}
    servers = {name: Server(name, OPERATOR_IAM="true", **settings) for name in ("gateway", "migrate")}
    yield servers
    for server in servers.values():
        server.stop()


@pytest.fixture
def original(own_db) -> Iterator[Original]:
    running = Original(own_db)
    yield running
    running.stop()


@pytest.fixture
def cloud(ours, original, tmp_path) -> Iterator[Dns]:
    names = {family: f"liftlog-{family}-staging" for family in FUNCTIONS}
    with Dns({names[family]: "first.zip" for family in FUNCTIONS}) as running:
        running.variables = running.install(tmp_path) | {"SERVICE_URL": NAME}
        operators = ours["gateway"].url
        running.urls = {names["operator"]: operators, f"candidate---{names['operator']}": operators}
        running.urls[names["migrate"]] = ours["migrate"].url
        running.leads_to, running.balancer = original.url, operators
        yield running


def dist_of(tmp_path, tag):
    dist = packages(tmp_path, tag, {})
    listed = json.loads((dist / "manifest.json").read_text())
    listed["functions"]["user"] = {"object": "user-1.zip"}
    (dist / "manifest.json").write_text(json.dumps(listed))
    (dist / "user.zip").write_bytes(b"user")
    return dist


def test_the_whole_move_and_back(cloud, ours, original, tmp_path):
    seen_here = {"SERVICE_ADDRESS": f"127.0.0.1:{ours['gateway'].port}"}

    def deploy(tag, **environment):
        command = (DEPLOY, "staging", tag, "--dist", dist_of(tmp_path, tag), "--watch-minutes", "0.001")
        return run(cloud, tmp_path, *command, env=cloud.variables | environment)

    def smoke(**environment):
        script = ROOT / "scripts" / "smoke.sh"
        return run(cloud, tmp_path, script, NAME, "--environment=staging", env=cloud.variables | environment)

    # Step 2: the name leads to the original. Asked there, a release would take itself back.
    refused = deploy("v1.0.0")
    assert refused.returncode == 1
    assert "Rolling the traffic back" in refused.stdout, refused.stdout + refused.stderr
    done = deploy("v1.0.0", **seen_here)
    assert done.returncode == 0, done.stdout + done.stderr
    assert smoke(**seen_here).returncode == 0
    assert smoke().returncode == 1
    made_here = requests.post(f"{ours['gateway'].url}/v2/user/create", json={}, timeout=WAIT_SECONDS).json()
    account = {"id": made_here["id"], "password": made_here["password"]}
    assert requests.post(f"{original.url}/user/delete", json=account, timeout=WAIT_SECONDS).status_code == 200
    # Step 3: the record names ours.
    cloud.leads_to = ours["gateway"].url
    assert smoke().returncode == 0
    assert deploy("v1.0.1").returncode == 0
    # And back: it names the original again, which has what was written here.
    cloud.leads_to = original.url
    phone = requests.Session()
    phone.proxies = {"http": cloud.url}
    assert phone.get(f"{NAME}/user/{made_here['id']}", timeout=WAIT_SECONDS).status_code == 200
    assert phone.post(f"{NAME}/user/delete", json=account, timeout=WAIT_SECONDS).status_code == 200
    wrong = account | {"password": "another"}
    assert phone.post(f"{NAME}/user/delete", json=wrong, timeout=WAIT_SECONDS).status_code == 401


def test_the_doctor_asks_the_address_too(cloud, ours, monkeypatch):
    monkeypatch.setenv("http_proxy", cloud.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert doctor._status(f"{NAME}/health/ready") == "404"  # what DNS says today
    monkeypatch.setenv("SERVICE_ADDRESS", f"127.0.0.1:{ours['gateway'].port}")
    assert doctor._status(f"{NAME}/health/ready") == "200"
