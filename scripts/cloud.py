"""Google Cloud as the scripts see it, through gcloud: each command that changes something is shown before it runs.

Names and places are those of terraform/: functions `liftlog-<family>-<environment>`, packages in the bucket
`<project>-liftlog-source-<environment>`.
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from scripts.remedies import remedy

GATEWAYS = frozenset({"gateway", "operator"})  # both run the gateway's package
CANDIDATE = "candidate"  # the tag of revisions that are tried before they get traffic, as in terraform/lb.tf
MAINTENANCE = "maintenance"  # in the names of revisions that answer 503 to everything (restore.sh)
AT_ONCE = 4
BUILD_SECONDS = 1200.0
_POLL_SECONDS = 2.0
SHORT = {"staging": "stg", "production": "prod"}  # in service accounts' names, as in terraform/network.tf
_IMAGE_BUILD = str(Path(__file__).parent / "service-image.yaml")

T = TypeVar("T")
_printing = threading.Lock()


class Failed(Exception):
    """The work cannot go on; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Service:
    """A function, or what is a service of Cloud Run alone: both have revisions, and traffic among them."""

    name: str
    family: str
    is_function: bool
    source: str  # the object that its newest revision was built from; empty if that is not known
    is_settled: bool  # nothing is being built, and the last build did not fail
    latest: str
    traffic: Mapping[str, int]  # percent by revision
    tags: Mapping[str, str]  # URL by tag
    url: str
    is_public: bool  # by Terraform's label
    is_open: bool  # nobody is asked for an identity

    @property
    def package(self) -> str:
        """The name of its zip."""
        return "gateway" if self.family in GATEWAYS else self.family

    @property
    def serving(self) -> str:
        """The revision with most of the traffic."""
        return max(self.traffic, key=lambda revision: self.traffic[revision], default=self.latest)

    @property
    def candidate(self) -> str:
        """The newest revision, unless that is one that answers 503 to everything."""
        return self.serving if MAINTENANCE in self.latest else self.latest

    @property
    def was_released(self) -> bool:
        """Tell whether its newest revision is other than what Terraform began with (terraform/storage.tf, lb.tf)."""
        return not self.source.endswith(_FIRST_SOURCES)

    @property
    def is_closed(self) -> bool:
        """Tell whether it answers 503 to everything."""
        return MAINTENANCE in self.serving


class Cloud:
    """One environment in one project."""

    def __init__(self, environment: str, *, dry_run: bool = False) -> None:
        """Read GCP_PROJECT_ID and REGION, else ask gcloud. Raises Failed."""
        self.environment = environment
        self.dry_run = dry_run
        self.region = os.environ.get("REGION") or "us-central1"
        self.project = os.environ.get("GCP_PROJECT_ID", "")
        self.project = self.project or self.read("config", "get-value", "project").strip()
        if not self.project:
            raise Failed("no project: set GCP_PROJECT_ID, or run `gcloud config set project …`")
        self.bucket = os.environ.get("SOURCE_BUCKET") or f"{self.project}-liftlog-source-{environment}"

    def read(self, *arguments: str, stdin: str | None = None) -> str:
        """Run a command that changes nothing, and return what it prints. Raises Failed."""
        return self._gcloud(arguments, stdin)

    def change(self, *arguments: str, stdin: str | None = None) -> str:
        """Show a command that changes something, and run it unless this is a dry run. Raises Failed."""
        say(f"  $ gcloud {' '.join(arguments)}")
        return "" if self.dry_run else self._gcloud(arguments, stdin)

    def _gcloud(self, arguments: Iterable[str], stdin: str | None) -> str:
        project = [f"--project={self.project}"] if self.project else []
        command = ["gcloud", *arguments, *project, "--quiet"]
        ran = subprocess.run(  # in a group of its own: Ctrl-C ends what we do, not what is half done
            command, input=stdin or "", capture_output=True, text=True, check=False, start_new_session=True
        )
        if ran.returncode:
            cause = remedy(ran.stderr, self.project)
            raise Failed(f"gcloud {' '.join(arguments)}\n    {_last_error(ran.stderr)}{cause and f' ({cause})'}")
        return ran.stdout

    def services(self) -> dict[str, Service]:
        """Return everything of this environment that has revisions, by name. Raises Failed."""
        found = json.loads(self.read("run", "services", "list", f"--region={self.region}", "--format=json"))
        functions = {
            function["name"].rpartition("/")[2]: function
            for function in json.loads(
                self.read("functions", "list", "--v2", f"--regions={self.region}", "--format=json")
            )
        }
        services = {}
        for entry in found:
            name = entry["metadata"]["name"]
            if name.startswith("liftlog-") and name.endswith(f"-{self.environment}"):
                services[name] = _service(name, entry, functions.get(name), self.environment)
        return dict(sorted(services.items()))

    def revisions(self) -> set[str]:
        """Return the names of all revisions. Raises Failed."""
        listed = self.read("run", "revisions", "list", f"--region={self.region}", "--format=value(metadata.name)")
        return set(listed.split())

    def set_traffic(self, service: str, traffic: Mapping[str, int], *, tag: str = "") -> None:
        """Give revisions their shares of the traffic, and let one be reached by the candidates' tag. Raises Failed."""
        shares = ",".join(f"{revision}={percent}" for revision, percent in traffic.items())
        tags = [f"--update-tags={CANDIDATE}={tag}"] if tag else []
        self.change(
            "run", "services", "update-traffic", service, f"--region={self.region}", f"--to-revisions={shares}", *tags,
            "--format=none",
        )  # fmt: skip

    def deploy(self, service: Service, package: str) -> None:
        """Build a function from a package in the bucket; its traffic stays as it is. Raises Failed."""
        if service.is_function:
            self.change(
                "functions", "deploy", service.name, "--gen2", f"--region={self.region}",
                f"--source=gs://{self.bucket}/{package}", "--format=none",
            )  # fmt: skip
        else:
            self._deploy_service(service, package)

    def open(self, service: str) -> None:
        """Let everybody call it: Cloud Run asks nobody for an identity any more. Makes no revision. Raises Failed.

        Recommended in place of a grant to allUsers, which organisations with domain-restricted sharing refuse
        (cloud.google.com/run/docs/authenticating/public); the functions' API has no such field
        (terraform-provider-google #23360).
        """
        self.change(
            "run", "services", "update", service, f"--region={self.region}", "--no-invoker-iam-check", "--format=none"
        )

    def close(self, service: Service, traffic: Mapping[str, int], stamp: str) -> None:
        """Make a revision that answers 503 to everything; traffic stays as it is. Raises Failed."""
        self.set_traffic(service.name, traffic)
        self.change(
            "run", "services", "update", service.name, f"--region={self.region}", "--update-env-vars=MAINTENANCE=true",
            "--no-traffic", f"--revision-suffix={MAINTENANCE}-{stamp}", "--format=none",
        )  # fmt: skip

    @staticmethod
    def closed_revision(service: Service, stamp: str) -> str:
        """Return the name of the revision that `close` makes."""
        return f"{service.name}-{MAINTENANCE}-{stamp}"

    def forget_closing(self, service: str) -> None:
        """Make a revision, without traffic, that serves again, so that later ones do. Raises Failed."""
        self.change(
            "run", "services", "update", service, f"--region={self.region}", "--remove-env-vars=MAINTENANCE",
            "--no-traffic", "--format=none",
        )  # fmt: skip

    def _deploy_service(self, service: Service, package: str) -> None:
        """Make the image that Cloud Functions would make, and give the service a revision with what that build made.

        By its digest: a tag could be moved in between. The label remembers the package.
        """
        image = f"{self.region}-docker.pkg.dev/{self.project}/liftlog-{self.environment}/{service.name}"
        image = f"{image}:{package.removesuffix('.zip')}"
        account = f"liftlog-build-{SHORT[self.environment]}@{self.project}.iam.gserviceaccount.com"
        digest = self.change(
            "builds", "submit", f"gs://{self.bucket}/{package}", f"--config={_IMAGE_BUILD}", f"--region={self.region}",
            f"--substitutions=_IMAGE={image},_TARGET={service.package},_ACCOUNT={account}",
            f"--gcs-source-staging-dir=gs://{self.bucket}/builds", "--suppress-logs",
            "--format=value(results.images[0].digest)",
        ).strip()  # fmt: skip
        if not self.dry_run and not _DIGEST.fullmatch(digest):
            raise Failed(f"the build of {package} names no image: {digest[:100]}")
        self.change(
            "run", "deploy", service.name, f"--region={self.region}",
            f"--image={image.rpartition(':')[0]}@{digest or 'DIGEST'}", "--no-traffic",
            f"--update-labels={_PACKAGE}={package.removesuffix('.zip')}", "--format=none",
        )  # fmt: skip

    def wait_until_settled(self) -> dict[str, Service]:
        """Return the services when none is being built: an interrupted run may have left one. Raises Failed."""
        deadline = time.monotonic() + BUILD_SECONDS
        while True:
            services = self.services()
            building = [service.name for service in services.values() if service.source == _BEING_BUILT]
            if not building:
                return services
            if time.monotonic() > deadline:
                raise Failed(f"still being built: {', '.join(building)}")
            say(f"waiting for {', '.join(building)}, which an earlier run left being built")
            time.sleep(_POLL_SECONDS * 5)


_PACKAGE = "package"  # the label of a service with the package of its newest revision
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_BEING_BUILT = "(being built)"
_FIRST_SOURCES = ("first.zip", "container/hello.zip")
_NOBODY_IS_ASKED = "run.googleapis.com/invoker-iam-disabled"  # documented as 'true'; gcloud writes 'True'


def _service(name: str, entry: dict[str, Any], function: dict[str, Any] | None, environment: str) -> Service:
    status = entry.get("status", {})
    traffic: dict[str, int] = {}
    for share in status.get("traffic", []):
        if share.get("percent"):
            traffic[share["revisionName"]] = traffic.get(share["revisionName"], 0) + share["percent"]
    if function is None:
        image = entry["spec"]["template"]["spec"]["containers"][0]["image"]
        source = f"{entry['metadata'].get('labels', {}).get(_PACKAGE) or image.rpartition(':')[2]}.zip"
        state = "ACTIVE"
    else:
        source = function["buildConfig"].get("source", {}).get("storageSource", {}).get("object", "")
        state = function.get("state", "ACTIVE")
    return Service(
        name=name,
        family=name.removeprefix("liftlog-").removesuffix(f"-{environment}").replace("-", "_"),
        is_function=function is not None,
        source=_BEING_BUILT if state == "DEPLOYING" else source,
        is_settled=state == "ACTIVE",
        latest=status.get("latestReadyRevisionName", ""),
        traffic=traffic,
        tags={share["tag"]: share["url"] for share in status.get("traffic", []) if share.get("tag")},
        url=status.get("url", ""),
        is_public=entry["metadata"].get("labels", {}).get("access") == "public",
        is_open=entry["metadata"].get("annotations", {}).get(_NOBODY_IS_ASKED, "").lower() == "true",
    )


def _last_error(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line]
    return (errors or lines or ["it says nothing"])[-1]


def say(line: str) -> None:
    """Tell what is being done."""
    with _printing:
        print(line, flush=True)


def at_once(function: Callable[[T], None], things: Iterable[T]) -> None:
    """Do something to several things at once. Raises Failed with every reason, after all have been tried."""
    reasons: list[str] = []

    def attempt(thing: T) -> None:
        try:
            function(thing)
        except Failed as error:
            reasons.append(str(error))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(attempt, things))
    if reasons:
        raise Failed("\n  ".join(reasons))


def complain(error: Exception) -> None:
    """Say on standard error why the work ended."""
    print(f"Error: {error}", file=sys.stderr, flush=True)
