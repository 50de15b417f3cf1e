"""An empty project with IAM before it: what no planned binding allows is refused with 403, as in the cloud."""

import json
from base64 import urlsafe_b64decode
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from rehearsal.terraform import Plan
from tests.scripts.fake_cloud import PROJECT, REGION, Answer, FakeProject, not_found
from tests.scripts.permissions import Policy, needed
from tests.waiting import WAIT_SECONDS

DEPLOYER = f"liftlog-deployer@{PROJECT}.iam.gserviceaccount.com"
FIRST = "-00001-"  # in the names of revisions that Terraform made, of terraform/first
NOT_RELEASED = (503, b'{"title": "Nothing is released yet."}')


class GuardedProject(FakeProject):
    """The project as the bootstrap leaves it: no function, no bucket, few APIs. gcloud is the deployer."""

    account = DEPLOYER

    def __init__(self, bootstrap: Plan) -> None:
        super().__init__({}, {})
        self.policy = Policy(bootstrap)
        self.enabled = _services(bootstrap)
        self.real: dict[str, str] = {}  # where a function's code runs, by name
        self.refusals: list[str] = []
        self._has_bucket = False
        self._planned: dict[str, Any] = {}  # settings by function

    def apply(self, plan: Plan) -> list[str]:
        """Make what is planned, as far as scripts meet it. Return what the deployer may not make: then nothing is."""
        refused = self.policy.refused(f"serviceAccount:{self.account}", plan)
        if refused:
            return refused
        self.policy.take(plan)
        self.enabled |= _services(plan)
        self._has_bucket = True
        for values in plan.all("google_cloudfunctions2_function").values():
            name, config = values["name"], values["service_config"]
            if name not in self.functions:
                self.add_function(name, "first.zip", values["labels"])
                self.urls |= {prefix + name: self._front(prefix + name) for prefix in _TRACKS}
            elif config != self._planned[name]:
                self.new_revision(name)  # whose traffic is what it was: all_traffic_on_latest_revision is false
            self._planned[name] = config
        for values in plan.all("google_secret_manager_secret").values():
            self.versions.setdefault(values["secret_id"], [])
        return []

    def _front(self, name: str) -> str:
        return f"{self.url}/run/{name}"

    def answer(self, method: str, url: str, headers: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
        """Ask IAM, then answer."""
        parts = urlsplit(url)
        host = (parts.hostname or "").removesuffix(".fake").removeprefix(f"{REGION}-")
        if parts.path.startswith("/run/") and not (parts.hostname or "").endswith(".fake"):
            return self._call(method, parts.path.split("/", 3), headers, body)
        if host == "token":
            if b"target_audience" in _assertion(body) and not self._may("iam.serviceAccounts.getOpenIdToken", DEPLOYER):
                return *self._refuse(f"an identity token: {DEPLOYER}"), {}
        elif f"{_API.get(host, host)}.googleapis.com" not in self.enabled:
            return *self._refuse(f"SERVICE_DISABLED: {host} has not been used in project {PROJECT}"), {}
        else:
            permission = needed(f"{method} {host}{unquote(parts.path)}")
            if not self._may(permission):
                return *self._refuse(permission), {}
        return super().answer(method, url, headers, body)

    def storage(
        self, method: str, path: str, query: dict[str, str], headers: Any, body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        """Answer Cloud Storage, which has no bucket before the first apply."""
        return super().storage(method, path, query, headers, body) if self._has_bucket else (*not_found(path), {})

    def _may(self, permission: str, resource: str = "") -> bool:
        return self.policy.may(f"serviceAccount:{self.account}", permission, resource)

    def _refuse(self, what: str) -> Answer:
        self.refusals.append(what)
        return 403, {"error": {"code": 403, "message": f"Permission denied: {what}", "status": "PERMISSION_DENIED"}}

    def _call(self, method: str, path: list[str], headers: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
        """Let a caller in whom Cloud Run would let in, to the revision that serves."""
        track, _, name = path[2].rpartition("---")
        if not self.is_open(name) and not self._is_invoker(headers.get("Authorization", ""), name):
            return *self._refuse(f"run.routes.invoke on {name}"), {}
        revision = self.tags(name)[track] if track else max(self.traffic(name), key=self.traffic(name).__getitem__)
        if FIRST in revision:
            return *NOT_RELEASED, {"Retry-After": "60"}
        kept = {key: headers[key] for key in ("Content-Type", "Authorization") if key in headers}
        answer = requests.request(
            method, f"{self.real[name]}/{path[3] if len(path) > 3 else ''}", data=body, headers=kept,
            timeout=WAIT_SECONDS,
        )  # fmt: skip
        return answer.status_code, answer.content, {"Content-Type": answer.headers["Content-Type"]}

    def _is_invoker(self, header: str, name: str) -> bool:
        if header.count(".") != 2:
            return False
        email = json.loads(_segment(header.split(".")[1]))["email"]
        return self.policy.may(f"serviceAccount:{email}", "run.routes.invoke", name)


_TRACKS = ("", "candidate---")
_API = {"sql": "sqladmin"}


def _services(plan: Plan) -> set[str]:
    return {values["service"] for values in plan.all("google_project_service").values()}


def _assertion(body: bytes) -> bytes:
    return _segment(body.partition(b"assertion=")[2].decode().split(".")[1])


def _segment(text: str) -> bytes:
    return urlsafe_b64decode(text + "==")
