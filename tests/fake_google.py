"""Stand-ins for Google's APIs, spoken to over real HTTP. Each answers what its REST reference documents."""

import json
import re
from base64 import b64encode
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.fake_server import FakeServer

Answer = tuple[int, dict[str, Any]]


class FakeApi(FakeServer):
    """An HTTP server on a port of its own. `answers`: pattern of "METHOD /path" → function of its match and body."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.answers: dict[str, Callable[[re.Match[str], Any], Answer]] = {}
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                body: Any = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if body and self.headers.get_content_type() == "application/json":
                    body = json.loads(body)
                status, answer = api.answer(self.command, self.path, body or None)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_args: object) -> None:
                """Tests look at `requests` instead."""

        super().__init__(Handler)

    def answer(self, method: str, path: str, body: Any) -> Answer:
        self.requests.append((method, path, body))
        for pattern, respond in self.answers.items():
            match = re.fullmatch(pattern, f"{method} {path.partition('?')[0]}")
            if match:
                return respond(match, body)
        return 404, {"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}}


class FakeScheduler(FakeApi):
    """Cloud Scheduler v1: one job, which can be looked at, paused, resumed and run (REST, projects.locations.jobs)."""

    NAME = "projects/a-project/locations/us-central1/jobs/liftlog-cleanup-staging"

    def __init__(self) -> None:
        super().__init__()
        self.state = "ENABLED"
        self.runs = 0
        self.fails = False
        self.answers[rf"(GET|POST) /v1/{self.NAME}(?::(pause|resume|run))?"] = self._job

    def _job(self, match: re.Match[str], _body: Any) -> Answer:
        if self.fails:
            return 403, {"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}
        action = match[2]
        self.state = {"pause": "PAUSED", "resume": "ENABLED"}.get(action, self.state)
        self.runs += action == "run"
        return 200, {
            "name": self.NAME, "schedule": "0 * * * *", "timeZone": "UTC", "state": self.state,
            "lastAttemptTime": "2026-11-24T11:00:00Z", "scheduleTime": "2026-11-24T12:00:00Z",
        }  # fmt: skip


class FakeSecretManager(FakeApi):
    """Secret Manager v1: the newest version of each secret (REST, projects.secrets.versions.access)."""

    PROJECT = "a-project"

    def __init__(self) -> None:
        super().__init__()
        self.versions: dict[str, list[str]] = {}
        self.status = 200  # else what every request gets
        self.answers[rf"GET /v1/projects/{self.PROJECT}/secrets/([\w-]+)/versions/latest:access"] = self._access

    def _access(self, match: re.Match[str], _body: Any) -> Answer:
        if self.status != 200:
            return self.status, {"error": {"code": self.status, "message": "no", "status": "UNAVAILABLE"}}
        versions = self.versions.get(match[1])
        if not versions:
            return 404, {"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}}
        name = f"projects/1/secrets/{match[1]}/versions/{len(versions)}"
        return 200, {"name": name, "payload": {"data": b64encode(versions[-1].encode()).decode()}}
