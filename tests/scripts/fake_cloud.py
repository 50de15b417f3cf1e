"""A Google Cloud project as gcloud sees it: the APIs that the scripts use, over real HTTP, with what they change kept.

gcloud reaches it through its own settings: endpoint overrides with one made-up host for each API, and a proxy, since
gcloud puts the region before Cloud Run's host. Each answer has what the API's REST reference documents.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from hashlib import md5, sha256
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.fake_server import FakeServer
from tests.waiting import WAIT_SECONDS

PROJECT, REGION = "a-project", "us-central1"
BUCKET = "a-project-liftlog-source-staging"
OPERATOR = f"operator@{PROJECT}.iam.gserviceaccount.com"  # who gcloud is
GCLOUD_AUDIENCE = "32555940559.apps.googleusercontent.com"  # gcloud's own client id, which Cloud Run accepts
APIS = (
    "run", "cloudfunctions", "storage", "sql", "secretmanager", "logging", "cloudbuild", "cloudresourcemanager",
    "serviceusage", "iam", "artifactregistry", "compute", "cloudscheduler",
    "cloudbilling",
)  # fmt: skip
GCLOUD = shutil.which("gcloud")
GCLOUD_FOLDER = "TEST_GCLOUD_FOLDER"  # the environment variable that says where a quick one is
Answer = tuple[int, Any]


def needs_gcloud() -> None:
    """Skip loudly where there is no gcloud; in CI that is an error."""
    if GCLOUD is None:
        reason = "gcloud is not installed: what the scripts say to Google Cloud is NOT tested"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


class FakeCloud(FakeServer):
    """The project. Routes are "METHOD api/path" patterns; a test adds its own with `answers`."""

    account = OPERATOR

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.variables: dict[str, str] = {}  # more environment, of a test
        self.answers: dict[str, Callable[..., Answer]] = {}
        self.lock = threading.RLock()
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self._credentials = {
            "type": "service_account", "client_email": self.account, "client_id": "1", "private_key_id": "a-key",
            "private_key": pem, "project_id": PROJECT, "token_uri": "http://token.fake/token",
        }  # fmt: skip
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = self._chunks()
                status, answer, headers = cloud.answer(self.command, self.path, self.headers, body)
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in ({"Content-Type": "application/json"} | headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            def _chunks(self) -> bytes:
                found = b""
                while size := int(self.rfile.readline(), 16):
                    found += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return found

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - http.server's names

            def log_message(self, *_args: object) -> None:
                """Tests look at `requests` instead."""

        super().__init__(Handler)

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the environment in which gcloud talks with this project and nobody else."""
        credentials = folder / "credentials.json"
        credentials.write_text(json.dumps(self._credentials))
        ours = {
            "CLOUDSDK_CONFIG": str(folder / "gcloud"),
            "CLOUDSDK_CORE_PROJECT": PROJECT,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
            "CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE": str(credentials),
            "CLOUDSDK_AUTH_TOKEN_HOST": "http://token.fake/token",
            "CLOUDSDK_STORAGE_USE_GCLOUD_CRC32C": "false",
            "GCP_PROJECT_ID": PROJECT,
            "REGION": REGION,
            "http_proxy": self.url,
            "no_proxy": "127.0.0.1",
        } | {f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{api.upper()}": f"http://{api}.fake/" for api in APIS}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLOUDSDK_", "GOOGLE_"))}
        folders = [str(programs(folder)), *filter(None, [os.environ.get(GCLOUD_FOLDER)]), os.environ["PATH"]]
        return kept | ours | {"PATH": ":".join(folders)}

    def answer(self, method: str, url: str, headers: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
        parts = urlsplit(url)
        host = (parts.hostname or "").removesuffix(".fake").removeprefix(f"{REGION}-")
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        where = f"{method} {host}{parts.path}"
        with self.lock:
            if host == "storage":
                found = self.storage(method, parts.path, query, headers, body)
                self.requests.append((method, f"{host}{unquote(parts.path)}", None))
                return found
            if host == "token":
                return 200, self._token(parse_qs(body.decode())["assertion"][0]), {}
            value = json.loads(body) if body else None
            self.requests.append((method, f"{host}{parts.path}", value))
            for pattern, respond in self.answers.items():
                match = re.fullmatch(pattern, where)
                if match:
                    status, answer = respond(match, value, query)
                    return status, answer, {}
        return *not_found(where), {}

    def certificates(self) -> dict[str, str]:
        """Return the key that identity tokens are signed with, as Google publishes its own: PEM by key id."""
        public = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return {"a-key": public.decode()}

    def _token(self, assertion: str) -> dict[str, Any]:
        """Exchange a service account's assertion for an access token or an identity token (RFC 7523)."""
        asked = json.loads(urlsafe_b64decode(assertion.split(".")[1] + "=="))
        if "target_audience" not in asked:
            return {"access_token": "an-access-token", "expires_in": 3600, "token_type": "Bearer"}
        now = int(time.time())
        claims = {
            "iss": "https://accounts.google.com", "aud": asked["target_audience"], "email": self.account,
            "email_verified": True, "sub": "1", "iat": now, "exp": now + 3600,
        }  # fmt: skip
        head, body = (_segment(json.dumps(part).encode()) for part in ({"alg": "RS256", "kid": "a-key"}, claims))
        signed = f"{head}.{body}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return {"id_token": f"{signed}.{_segment(signature)}"}

    def storage(
        self, method: str, path: str, query: dict[str, str], headers: Any, body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        """Answer Cloud Storage; a project without a bucket answers that there is none."""
        del method, query, headers, body
        return *not_found(path), {}

    def changes(self, pattern: str = "") -> list[str]:
        """Return what was asked to change, as "METHOD api/path"."""
        return [
            f"{method} {path}"
            for method, path, _ in self.requests
            if method != "GET" and re.search(pattern, f"{method} {path}")
        ]


def _segment(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def not_found(what: str) -> Answer:
    return 404, {"error": {"code": 404, "message": f"not found: {what}", "status": "NOT_FOUND"}}


class FakeBucket(FakeCloud):
    """Cloud Storage's JSON API v1 with one bucket: objects by name, with generations."""

    def __init__(self) -> None:
        super().__init__()
        self.objects: dict[str, bytes] = {}
        self.generations: dict[str, int] = {}
        self._uploads: dict[str, tuple[str, int | None]] = {}
        self._clock = 0

    def storage(
        self, method: str, path: str, query: dict[str, str], headers: Any, body: bytes
    ) -> tuple[int, Any, dict[str, str]]:
        base = re.escape(BUCKET)
        upload = re.fullmatch(rf"(?:/resumable)?/upload/storage/v1/b/{base}/o", path)
        if upload:
            return self._upload(method, query, headers, body)
        copied = re.fullmatch(rf"/storage/v1/b/{base}/o/(.+)/(?:rewriteTo|copyTo)/b/{base}/o/(.+)", path)
        if copied and unquote(copied[1]) in self.objects:
            _, metadata, _ = self._store(unquote(copied[2]), self.objects[unquote(copied[1])], None)
            done = {"kind": "storage#rewriteResponse", "done": True, "resource": metadata}
            return 200, done if "rewriteTo" in path else metadata, {}
        one = re.fullmatch(rf"(/download)?/storage/v1/b/{base}/o/(.+)", path)
        if one:
            return self._object(method, unquote(one[2]), download=bool(one[1]) or query.get("alt") == "media")
        if re.fullmatch(rf"/storage/v1/b/{base}/o", path):
            return 200, self._list(query), {}
        if re.fullmatch(rf"/storage/v1/b/{base}", path):
            return 200, {"kind": "storage#bucket", "name": BUCKET, "id": BUCKET, "location": "US-CENTRAL1"}, {}
        return *not_found(path), {}

    def _upload(self, method: str, query: dict[str, str], headers: Any, body: bytes) -> tuple[int, Any, dict[str, str]]:
        wanted = int(query["ifGenerationMatch"]) if "ifGenerationMatch" in query else None
        if "upload_id" in query:
            name, wanted = self._uploads[query["upload_id"]]
            if method == "PUT" and headers.get("Content-Range", "").startswith("bytes */"):
                return 308, {}, {}
            return self._store(name, body, wanted)
        if query.get("uploadType") == "resumable":
            name = query.get("name") or json.loads(body)["name"]
            upload_id = str(len(self._uploads))
            self._uploads[upload_id] = (name, wanted)
            location = f"http://storage.fake/upload/storage/v1/b/{BUCKET}/o?uploadType=resumable&upload_id={upload_id}"
            return 200, {}, {"Location": location}
        boundary = re.search(r"boundary=['\"]?([^'\";]+)", headers["Content-Type"])
        assert boundary is not None
        parts = body.split(b"--" + boundary[1].encode())
        metadata, content = (
            part.partition(b"\n\n" if b"\r\n\r\n" not in part else b"\r\n\r\n")[2] for part in parts[1:3]
        )
        content = content.removesuffix(b"\n").removesuffix(b"\r")
        return self._store(json.loads(metadata)["name"], content, wanted)

    def _store(self, name: str, content: bytes, wanted: int | None) -> tuple[int, Any, dict[str, str]]:
        if wanted is not None and self.generations.get(name, 0) != wanted:
            return 412, {"error": {"code": 412, "message": "At least one of the pre-conditions did not hold."}}, {}
        self._clock += 1
        self.objects[name], self.generations[name] = content, self._clock
        return 200, self._metadata(name), {}

    def _object(self, method: str, name: str, *, download: bool) -> tuple[int, Any, dict[str, str]]:
        if name not in self.objects:
            return *not_found(name), {}
        if method == "DELETE":
            del self.objects[name], self.generations[name]
            return 204, b"", {}
        if download:
            return 200, self.objects[name], {"Content-Type": "application/octet-stream"}
        return 200, self._metadata(name), {}

    def _list(self, query: dict[str, str]) -> dict[str, Any]:
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        names, prefixes = [], set()
        for name in sorted(self.objects):
            if name.startswith(prefix):
                below = name[len(prefix) :]
                if delimiter and delimiter in below:
                    prefixes.add(prefix + below.partition(delimiter)[0] + delimiter)
                else:
                    names.append(name)
        return {"kind": "storage#objects", "prefixes": sorted(prefixes), "items": [self._metadata(n) for n in names]}

    def _metadata(self, name: str) -> dict[str, Any]:
        return {
            "kind": "storage#object", "name": name, "bucket": BUCKET, "generation": str(self.generations[name]),
            "mediaLink": f"http://storage.fake/download/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}?alt=media",
            "metageneration": "1", "size": str(len(self.objects[name])), "storageClass": "STANDARD",
            "md5Hash": b64encode(md5(self.objects[name], usedforsecurity=False).digest()).decode(),
            "timeCreated": "2026-11-24T12:00:00Z", "updated": "2026-11-24T12:00:00Z", "contentType": "application/json",
        }  # fmt: skip


class FakeRelease(FakeBucket):
    """Cloud Functions v2, Cloud Run v1 (its knative form) and Cloud Build: functions and services with revisions."""

    def __init__(self, functions: dict[str, str], services: dict[str, str] | None = None) -> None:
        """`functions`: name → the object of its source. `services`: of Cloud Run alone: name → image."""
        super().__init__()
        self.functions: dict[str, dict[str, Any]] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.revisions: dict[str, list[str]] = {}
        self.broken: set[str] = set()  # whose builds fail
        self.urls: dict[str, str] = {}  # name of a service → where it really answers
        self.invokers: dict[str, list[str]] = {}  # members by name of a service
        self.operations: dict[str, dict[str, Any]] = {}
        self.builds: dict[str, dict[str, Any]] = {}
        for name, source in functions.items():
            self.add_function(name, source)
        for name, image in (services or {}).items():
            self._add_service(name, image=image)
        functions_path = rf"cloudfunctions/v2/projects/{PROJECT}/locations/{REGION}"
        run_path = rf"run/apis/serving\.knative\.dev/v1/namespaces/{PROJECT}"
        self.answers |= {
            rf"GET {functions_path}/operations/(\w+)": lambda match, *_: (200, self.operations[match[1]]),
            rf"GET {functions_path}/functions": self._list_functions,
            rf"GET {functions_path}/functions/([\w-]+)": self._get_function,
            rf"PATCH {functions_path}/functions/([\w-]+)": self._patch_function,
            rf"GET serviceusage/v1/projects/{PROJECT}/services/([\w.]+)": lambda match, *_: (
                200, {"name": f"projects/1/services/{match[1]}", "state": "ENABLED"}
            ),
            rf"GET cloudbuild/v1/projects/{PROJECT}/locations/{REGION}/defaultServiceAccount": lambda *_: (
                200, {"serviceAccountEmail": f"projects/{PROJECT}/serviceAccounts/{OPERATOR}"}
            ),
            rf"GET cloudresourcemanager/v1/projects/{PROJECT}": lambda *_: (
                200, {"projectId": PROJECT, "projectNumber": "1", "lifecycleState": "ACTIVE", "name": PROJECT}
            ),
            rf"POST cloudbuild/v1/projects/{PROJECT}/locations/{REGION}/builds": self._submit_build,
            rf"GET cloudbuild/v1/projects/{PROJECT}/locations/{REGION}/builds/(\w+)": lambda match, *_: (
                200, self.builds[match[1]]
            ),
            rf"GET {functions_path}/runtimes": lambda *_: (
                200, {"runtimes": [{"name": "python311", "environment": "GEN_2", "stage": "GA"}]}
            ),
            rf"GET {run_path}/services": lambda *_: (
                200, {"kind": "ServiceList", "apiVersion": "serving.knative.dev/v1", "metadata": {},
                      "items": [self._service(name) for name in self.services]}
            ),
            rf"GET {run_path}/services/([\w-]+)": self._get_service,
            rf"PUT {run_path}/services/([\w-]+)": self._put_service,
            rf"GET {run_path}/revisions": self._list_revisions,
            rf"GET run/v1/projects/{PROJECT}/locations/{REGION}/services/([\w-]+):getIamPolicy": lambda match, *_: (
                200, _binding("roles/run.invoker", self.invokers.get(match[1], []))
            ),
        }  # fmt: skip

    def add_function(self, name: str, source: str, labels: dict[str, str] | None = None) -> None:
        """Let there be a function, and its service, made of an object."""
        self._add_service(name, image=f"gcf/{name}")
        self.services[name]["metadata"]["labels"] |= labels or {}
        self.functions[name] = {
            "name": f"projects/{PROJECT}/locations/{REGION}/functions/{name}", "environment": "GEN_2",
            "state": "ACTIVE",
            "buildConfig": {
                "runtime": "python311", "entryPoint": name.split("-")[1], "source": _source(source),
            },
            "serviceConfig": {
                "service": f"projects/{PROJECT}/locations/{REGION}/services/{name}",
                "environmentVariables": {"ENVIRONMENT": "staging"},
                "ingressSettings": "ALLOW_ALL", "allTrafficOnLatestRevision": True,
            },
        }  # fmt: skip

    def _add_service(self, name: str, *, image: str) -> None:
        self.revisions[name] = []
        self.services[name] = {
            "apiVersion": "serving.knative.dev/v1", "kind": "Service",
            "metadata": {
                "name": name, "namespace": PROJECT, "labels": {"cloud.googleapis.com/location": REGION},
                "annotations": {}, "resourceVersion": "1", "generation": 1, "uid": name,
            },
            "spec": {
                "template": {
                    "metadata": {"annotations": {}},
                    "spec": {"containers": [{"image": image, "resources": {"limits": {}}}]},
                },
                "traffic": [{"latestRevision": True, "percent": 100}],
            },
        }  # fmt: skip
        self.new_revision(name)

    def set_public(self, *names: str) -> None:
        """Let services have the label that Terraform gives what is public."""
        for name in names:
            self.services[name]["metadata"]["labels"]["access"] = "public"

    def is_open(self, name: str) -> bool:
        """Say whether everybody may call a service."""
        said: str = self.services[name]["metadata"]["annotations"].get("run.googleapis.com/invoker-iam-disabled", "")
        return said.lower() == "true"

    def new_revision(self, name: str, suffix: str = "") -> str:
        """Let a service have another revision, as any change of its template does."""
        number = len(self.revisions[name]) + 1
        self.revisions[name].append(suffix or f"{name}-{number:05d}-abc")
        return self.revisions[name][-1]

    def traffic(self, name: str) -> dict[str, int]:
        """Return the percentage of each revision that has any."""
        return {
            entry["revisionName"]: entry["percent"]
            for entry in self._service(name)["status"]["traffic"]
            if entry.get("percent")
        }

    def tags(self, name: str) -> dict[str, str]:
        return {
            entry["tag"]: entry["revisionName"]
            for entry in self._service(name)["status"]["traffic"]
            if entry.get("tag")
        }

    def _service(self, name: str) -> dict[str, Any]:
        service = self.services[name]
        latest = self.revisions[name][-1]
        url = self.urls.get(name, f"https://{name}-uc.a.run.app")
        traffic = []
        for entry in service["spec"]["traffic"]:
            shown = dict(entry) | ({"revisionName": latest} if entry.get("latestRevision") else {})
            if entry.get("tag"):
                shown["url"] = self.urls.get(
                    f"{entry['tag']}---{name}", f"https://{entry['tag']}---{name}-uc.a.run.app"
                )
            traffic.append(shown)
        generation = service["metadata"]["generation"]
        return service | {
            "status": {
                "observedGeneration": generation, "url": url, "address": {"url": url}, "traffic": traffic,
                "latestReadyRevisionName": latest, "latestCreatedRevisionName": latest,
                "conditions": [
                    {"type": kind, "status": "True"} for kind in ("Ready", "ConfigurationsReady", "RoutesReady")
                ],
            }
        }  # fmt: skip

    def _get_service(self, match: re.Match[str], _body: Any, _query: Any) -> Answer:
        return (200, self._service(match[1])) if match[1] in self.services else not_found(match[1])

    def _put_service(self, match: re.Match[str], body: Any, _query: Any) -> Answer:
        name = match[1]
        if name not in self.services:
            return not_found(name)
        before = self.services[name]
        body.pop("status", None)
        named = {entry.get("revisionName") for entry in body["spec"]["traffic"]} - {None}
        if not named <= set(self.revisions[name]):
            return 400, {"error": {"code": 400, "message": f"no such revision: {named}", "status": "INVALID_ARGUMENT"}}
        body["metadata"]["generation"] = before["metadata"]["generation"] + 1
        self.services[name] = body
        if _containers(before) != _containers(body):
            self.new_revision(name, body["spec"]["template"]["metadata"].get("name", ""))
        return 200, self._service(name)

    def _submit_build(self, _match: re.Match[str], body: Any, _query: Any) -> Answer:
        name = body["substitutions"]["_IMAGE"].rpartition("/")[2].partition(":")[0]
        number = f"{len(self.builds)}"
        build = self.builds[number] = body | {
            "id": number, "projectId": PROJECT, "status": "FAILURE" if name in self.broken else "SUCCESS",
            "name": f"projects/{PROJECT}/locations/{REGION}/builds/{number}", "logUrl": "http://console.fake/",
            "results": {"images": [{"name": body["substitutions"]["_IMAGE"], "digest": image_digest(name, number)}]},
        }  # fmt: skip
        metadata = {"@type": "type.googleapis.com/google.devtools.cloudbuild.v1.BuildOperationMetadata", "build": build}
        return 200, {"name": f"operations/build/{PROJECT}/{build['id']}", "metadata": metadata, "done": False}

    def _list_revisions(self, _match: re.Match[str], _body: Any, query: dict[str, str]) -> Answer:
        wanted = query.get("labelSelector", "").rpartition("=")[2].strip()
        items = [
            {
                "apiVersion": "serving.knative.dev/v1", "kind": "Revision",
                "metadata": {
                    "name": revision, "namespace": PROJECT, "creationTimestamp": "2026-11-24T12:00:00Z",
                    "labels": {"serving.knative.dev/service": name, "cloud.googleapis.com/location": REGION},
                },
                "spec": {"containers": [{"image": "an-image"}]},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            }
            for name, revisions in self.revisions.items()
            for revision in revisions
            if wanted in {"", name}
        ]  # fmt: skip
        return 200, {"kind": "RevisionList", "apiVersion": "serving.knative.dev/v1", "metadata": {}, "items": items}

    def _function(self, name: str) -> dict[str, Any]:
        function = self.functions[name]
        service = self._service(name)
        details = {"uri": service["status"]["url"], "revision": service["status"]["latestReadyRevisionName"]}
        return function | {"serviceConfig": function["serviceConfig"] | details}

    def _list_functions(self, *_: Any) -> Answer:
        return 200, {"functions": [self._function(name) for name in self.functions]}

    def _get_function(self, match: re.Match[str], _body: Any, _query: Any) -> Answer:
        return (200, self._function(match[1])) if match[1] in self.functions else not_found(match[1])

    def _patch_function(self, match: re.Match[str], body: Any, query: dict[str, str]) -> Answer:
        name = match[1]
        if name not in self.functions:
            return not_found(name)
        function = self.functions[name]
        for path in query["updateMask"].split(","):
            _copy(body, function, [_camel(part) for part in path.split(".")])
        operation = self.operations[f"{len(self.operations)}"] = {
            "name": f"projects/{PROJECT}/locations/{REGION}/operations/{len(self.operations)}", "done": True,
            "metadata": {"@type": "type.googleapis.com/google.cloud.functions.v2.OperationMetadata", "stages": []},
        }  # fmt: skip
        if name in self.broken:
            function["state"] = "FAILED"
            operation |= {"error": {"code": 3, "message": "Build failed: a requirement was not found"}}
            return 200, operation
        function["state"] = "ACTIVE"
        self.new_revision(name)
        if function["serviceConfig"].get("allTrafficOnLatestRevision") and "all_traffic" in query["updateMask"]:
            self.services[name]["spec"]["traffic"] = [{"latestRevision": True, "percent": 100}]
        response = {"@type": "type.googleapis.com/google.cloud.functions.v2.Function"} | self._function(name)
        operation["response"] = response
        return 200, operation


def image_digest(name: str, number: str) -> str:
    """Return the digest of the image that a build has made."""
    return f"sha256:{sha256(f'{name} {number}'.encode()).hexdigest()}"


def _binding(role: str, members: list[str]) -> dict[str, Any]:
    return {"version": 1, "bindings": [{"role": role, "members": members}]} if members else {}


def _accounts(names: list[str]) -> list[str]:
    return [f"serviceAccount:{name}" for name in names]


def _source(name: str) -> dict[str, Any]:
    return {"storageSource": {"bucket": BUCKET, "object": name, "generation": "1"}}


def _containers(service: dict[str, Any]) -> Any:
    return service["spec"]["template"]["spec"]["containers"]


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _copy(source: dict[str, Any], target: dict[str, Any], path: list[str]) -> None:
    for part in path[:-1]:
        source, target = source.get(part, {}), target.setdefault(part, {})
    if path[-1] in source:
        target[path[-1]] = source[path[-1]]


class FakeProject(FakeRelease):
    """All that and Secret Manager v1, Cloud SQL, Cloud Scheduler, Cloud Logging: what the operators' scripts ask."""

    def __init__(
        self, functions: dict[str, str], services: dict[str, str] | None = None, secrets: Iterable[str] = ()
    ) -> None:
        super().__init__(functions, services)
        self.versions: dict[str, list[tuple[bytes, str]]] = {secret: [] for secret in secrets}
        self.readers: dict[str, list[str]] = {}  # accounts by secret
        self.database = "RUNNABLE"
        self.passwords: dict[str, str] = {}  # of the database's users
        self.backups: list[dict[str, Any]] = []
        self.job = "ENABLED"
        self.log: list[dict[str, Any]] = []
        self.apis: list[str] = []
        self.database_clients: list[str] = []  # accounts
        self.is_billed = True
        self.quotas = {"NETWORKS": (1, 5), "BACKEND_SERVICES": (17, 50)}  # used and limit, by metric
        self._answer_operations()
        base = rf"secretmanager/v1/projects/{PROJECT}/secrets/([\w-]+)"
        self.answers |= {
            rf"GET {base}": lambda match, *_: (
                (200, {"name": f"projects/1/secrets/{match[1]}"}) if match[1] in self.versions else not_found(match[1])
            ),
            rf"POST {base}:addVersion": self._add,
            rf"GET {base}/versions": self._list_versions,
            rf"GET {base}/versions/(\w+)": self._get,
            rf"GET {base}/versions/(\w+):access": self._access,
            rf"POST {base}/versions/(\d+):(disable|enable)": self._set_state,
            rf"GET {base}:getIamPolicy": lambda match, *_: (
                200,
                _binding("roles/secretmanager.secretAccessor", _accounts(self.readers.get(match[1], []))),
            ),
        }

    def _answer_operations(self) -> None:
        instance = rf"sql/sql/v1beta4/projects/{PROJECT}/instances/(liftlog-user-data-staging)"
        job = rf"cloudscheduler/v1/projects/{PROJECT}/locations/{REGION}/jobs/(liftlog-cleanup-staging)"
        self.answers |= {
            rf"GET {instance}": lambda match, *_: (200, {"name": match[1], "state": self.database, "project": PROJECT}),
            rf"GET {instance}/backupRuns": lambda *_: (200, {"items": self.backups[::-1]}),
            rf"GET {instance}/backupRuns/(\d+)": self._get_backup,
            rf"POST {instance}/backupRuns": self._make_backup,
            rf"PUT {instance}/users": self._set_password,
            rf"GET {instance}/users/([\w-]+)": lambda match, *_: (200, {"name": match[2], "instance": match[1]}),
            rf"POST {instance}/restoreBackup": lambda *_: (200, self._sql_operation("RESTORE_VOLUME")),
            rf"GET sql/sql/v1beta4/projects/{PROJECT}/operations/(\w+)": lambda match, *_: (
                200, self._sql_operation(match[1])
            ),
            rf"(?:GET|POST) {job}(?::(pause|resume))?": self._answer_job,
            rf"GET cloudbilling/v1/projects/{PROJECT}/billingInfo": lambda *_: (
                200, {"name": f"projects/{PROJECT}/billingInfo", "billingEnabled": self.is_billed}
            ),
            rf"GET compute/compute/v1/projects/{PROJECT}": lambda *_: (
                200, {"kind": "compute#project", "name": PROJECT, "quotas": [
                    {"metric": metric, "limit": float(limit), "usage": float(usage)}
                    for metric, (usage, limit) in self.quotas.items()
                ]}
            ),
            rf"POST cloudresourcemanager/v1/projects/{PROJECT}:getIamPolicy": lambda *_: (
                200, _binding("roles/cloudsql.client", _accounts(self.database_clients))
            ),
            r"POST logging/v2/entries:list": lambda *_: (200, {"entries": self.log}),
            rf"GET serviceusage/v1/projects/{PROJECT}/services": lambda *_: (
                200, {"services": [{"config": {"name": api}, "state": "ENABLED"} for api in self.apis]}
            ),
        }  # fmt: skip

    def _set_password(self, _match: re.Match[str], body: Any, query: dict[str, str]) -> Answer:
        self.passwords[query["name"]] = body["password"]
        return 200, self._sql_operation("UPDATE_USER")

    def _sql_operation(self, kind: str) -> dict[str, Any]:
        return {
            "kind": "sql#operation", "name": kind, "status": "DONE", "operationType": kind, "targetProject": PROJECT,
            "targetId": "liftlog-user-data-staging",
        }  # fmt: skip

    def _make_backup(self, _match: re.Match[str], body: Any, _query: Any) -> Answer:
        self.backups.append({
            "kind": "sql#backupRun", "id": f"{len(self.backups) + 1}", "status": "SUCCESSFUL", "type": "ON_DEMAND",
            "instance": "liftlog-user-data-staging", "description": body.get("description", ""),
            "windowStartTime": "2026-11-24T12:00:00Z", "enqueuedTime": "2026-11-24T12:00:00Z",
        })  # fmt: skip
        return 200, self._sql_operation("BACKUP_VOLUME")

    def _get_backup(self, match: re.Match[str], _body: Any, _query: Any) -> Answer:
        found = [backup for backup in self.backups if backup["id"] == match[2]]
        return (200, found[0]) if found else not_found(f"backup {match[2]}")

    def _answer_job(self, match: re.Match[str], _body: Any, _query: Any) -> Answer:
        self.job = {"pause": "PAUSED", "resume": "ENABLED"}.get(match[2], self.job)
        name = f"projects/{PROJECT}/locations/{REGION}/jobs/{match[1]}"
        return 200, {"name": name, "schedule": "0 * * * *", "timeZone": "Etc/UTC", "state": self.job}

    def _version(self, secret: str, number: int) -> dict[str, Any]:
        return {
            "name": f"projects/1/secrets/{secret}/versions/{number}", "createTime": "2026-11-24T12:00:00Z",
            "state": self.versions[secret][number - 1][1], "etag": '"1"',
        }  # fmt: skip

    def _add(self, match: re.Match[str], body: Any, _query: Any) -> Answer:
        if match[1] not in self.versions:
            return not_found(match[1])
        self.versions[match[1]].append((b64decode(body["payload"]["data"]), "ENABLED"))
        return 200, self._version(match[1], len(self.versions[match[1]])) | {"clientSpecifiedPayloadChecksum": True}

    def _list_versions(self, match: re.Match[str], _body: Any, query: dict[str, str]) -> Answer:
        if match[1] not in self.versions:
            return not_found(match[1])
        found = [self._version(match[1], number) for number in range(len(self.versions[match[1]]), 0, -1)]
        wanted = re.search(r"state\W+(\w+)", query.get("filter", ""), re.IGNORECASE)
        return 200, {"versions": [v for v in found if wanted is None or v["state"] == wanted[1].upper()]}

    def _number(self, match: re.Match[str]) -> int:
        return len(self.versions[match[1]]) if match[2] == "latest" else int(match[2])

    def _get(self, match: re.Match[str], _body: Any, _query: Any) -> Answer:
        if not self.versions.get(match[1]):
            return not_found(match[1])
        return 200, self._version(match[1], self._number(match))

    def _access(self, match: re.Match[str], _body: Any, _query: Any) -> Answer:
        if not self.versions.get(match[1]):
            return not_found(match[1])
        number = self._number(match)
        data = b64encode(self.versions[match[1]][number - 1][0]).decode()
        return 200, {"name": f"projects/1/secrets/{match[1]}/versions/{number}", "payload": {"data": data}}

    def _set_state(self, match: re.Match[str], _body: Any, _query: Any) -> Answer:
        number = int(match[2])
        value, _ = self.versions[match[1]][number - 1]
        self.versions[match[1]][number - 1] = (value, "DISABLED" if match[3] == "disable" else "ENABLED")
        return 200, self._version(match[1], number)


def programs(folder: Path) -> Path:
    """Return a folder of programs that come first: `python3` without any library, and no version manager before it."""
    found = folder / "bin"
    if not found.exists():
        found.mkdir()
        (found / "python3").symlink_to(Path(sys.executable).resolve())
    return found


def run(cloud: FakeCloud, folder: Path, *command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a script against the project. `env`: more variables; `input`: its standard input."""
    environment = cloud.environment(folder) | options.pop("env", {})
    return subprocess.run(
        [str(part) for part in command], env=environment, capture_output=True, text=True, check=False,
        timeout=WAIT_SECONDS, **({"input": ""} | options),
    )  # fmt: skip
