"""Running functions as they run in the cloud: functions-framework in a process of its own, spoken to over a socket."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import requests
import yaml

from local.processes import free_port, wait_until_listening
from shared.data.pool import Database
from shared.paths import bare_path
from tests.databases import BACKUP_FOLDER
from tests.waiting import WAIT_SECONDS

FUNCTIONS = Path(__file__).parent.parent / "functions"
CHAT_TOKEN_KEY = "signs the connection tokens of tests"


@cache
def manifest() -> dict[str, dict[str, Any]]:
    functions: dict[str, dict[str, Any]] = yaml.safe_load((FUNCTIONS / "manifest.yaml").read_text())["functions"]
    return functions


class Server:
    """One function in a process of its own."""

    def __init__(
        self,
        name: str,
        *,
        source: Path | None = None,
        python: Path | str = sys.executable,
        port: int | None = None,
        stdout: IO[bytes] | None = None,
        **environment: str,
    ) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [python, "-m", "functions_framework"],
            env=os.environ
            | {
                "FUNCTION_TARGET": name,
                "FUNCTION_SOURCE": str(source or FUNCTIONS / name / "main.py"),
                "HOST": "127.0.0.1",
                "PORT": str(self.port),
                "THREADS": "66",
                "CHAT_TOKEN_KEY": CHAT_TOKEN_KEY,
                "BACKUP_STORE": f"file://{os.environ.get(BACKUP_FOLDER, '')}",
                "DB_POOL_SIZE": "16",
                "LOG_LEVEL": "ERROR",
            }
            | environment,
            stdout=stdout,
        )
        assert wait_until_listening(self.process, ("127.0.0.1", self.port)), f"{name} did not start"

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


class Servers:
    """The functions on one database, each started when it is first asked for."""

    def __init__(
        self,
        database_url: str,
        *,
        stdout: IO[bytes] | None = None,
        url_for: Callable[[str, str], str] = lambda url, _family: url,
        **environment: str,
    ) -> None:
        """`url_for`: the database's URL as a family uses it."""
        self._stdout = stdout
        self._url_for = partial(url_for, database_url)
        self._environment: dict[str, Any] = {"DATABASE_URL": database_url} | environment
        self._running: dict[str, Server] = {}
        self._starting = threading.Lock()
        self.database_url = database_url
        self.db = Database(database_url, 4, 30)  # what the servers see, for tests that must look behind them

    def __getitem__(self, name: str) -> Server:
        with self._starting:
            if name not in self._running:
                own = self._environment | {"DATABASE_URL": self._url_for(name)}
                self._running[name] = Server(name, stdout=self._stdout, **own)
            return self._running[name]

    def __enter__(self) -> "Servers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.db.close()
        for server in self._running.values():
            server.process.terminate()
        for server in self._running.values():
            server.stop()


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status_code: int
    headers: Any
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def fields(self) -> set[str]:
        """The fields that a problem names."""
        return {error["field"] for error in self.json["errors"]}


def family_of(path: str) -> str:
    """Return the family that serves a path, from the manifest: what has no argument in its path is found first."""
    bare = bare_path(path.partition("?")[0]).lower()
    routes = [(route.split(" ")[1], name) for name, entry in manifest().items() for route in entry["routes"]]
    for known, name in sorted(routes, key=lambda route: "{" in route[0]):
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", known), bare):
            return name
    return "user"


class Caller:
    """Sends requests to the gateway, or each to its family alone."""

    def __init__(self, servers: Servers, *, alone: bool) -> None:
        self._servers = servers
        self.alone = alone
        self.db = servers.db
        self.database_url = servers.database_url
        self._session = requests.Session()

    def server(self, path: str) -> Server:
        """The server that a path goes to."""
        return self._servers[family_of(path) if self.alone else "gateway"]

    def url(self, path: str) -> str:
        return self.server(path).url + path

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        return self.at(self.server(path).url, method, path, body, **options)

    def at(self, base_url: str, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        """Send a request to one server, whatever the manifest says of its path."""
        options["json" if isinstance(body, dict | list) else "data"] = body
        response = self._session.request(method, base_url + path, timeout=WAIT_SECONDS, **options)
        return Answer(response.status_code, response.headers, response.content)
