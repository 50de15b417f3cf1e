"""Checks of everything that a running service needs, each with one line that says why it fails and what to do."""

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from scripts.cloud import SHORT, Cloud, Failed, Service, at_once, complain
from scripts.records import Records
from scripts.traffic import service_url

ROOT = Path(__file__).parent.parent
LOG_WINDOW = "30m"
MOST_OF_A_QUOTA = 0.8  # as the alert has it
NEEDED_SETTINGS = ("ENVIRONMENT", "GCP_PROJECT_ID", "INSTANCE_CONNECTION_NAME")
NEEDED_SECRETS = frozenset(
    {"database-password", "chat-token-key", "operator-token"}
)  # without the others parts are off

# What a log line shows, what kind of cause that is, and what to do. The first that fits counts.
_CAUSES = (
    (r"ModuleNotFoundError|ImportError|cannot import", "import", "the package misses something: roll back"),
    (r"Secret Manager", "secret", "the function's account needs secretAccessor, and the secret a version"),
    (r"is not set|must be (?:a number|true or false|one of|at least|local)|must not be true", "variable",
     "correct the setting (docs/settings.md), in Terraform's variable `settings`"),
    (r"connection pool exhausted|no connection in", "database", "docs/playbooks/database-connections.md"),
    (r"cannot connect|DatabaseUnavailable|database|SQLSTATE", "database",
     "is the instance RUNNABLE, and may the function's account connect?"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Box:
    """One thing that must be well."""

    title: str
    fault: str = ""  # empty: it is well

    def __str__(self) -> str:
        return f"[{' ' if self.fault else 'x'}] {self.title}{f': {self.fault}' if self.fault else ''}"


def explain(text: str) -> str:
    """Say in one line what kind of cause a log line shows, and what to do; empty if it shows none that is known."""
    for pattern, kind, remedy in _CAUSES:
        found = re.search(pattern, text, re.IGNORECASE)
        if found is not None:
            return f"{kind}: {_sentence(text, found)} ({remedy})"
    return ""


def _sentence(text: str, found: re.Match[str]) -> str:
    """Return the line around a match, without what is too long to read."""
    start = text.rfind("\n", 0, found.start()) + 1
    end = text.find("\n", found.end())
    return text[start : end if end >= 0 else None].strip()[:200]


def causes(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the causes that log entries show, the most frequent first, each once."""
    found: Counter[str] = Counter()
    for entry in entries:
        payload = entry.get("jsonPayload", {})
        shown = (entry.get("textPayload"), payload.get("cause"), payload.get("error_type"), payload.get("message"))
        cause = explain("\n".join(text for text in shown if text))
        if cause:
            found[cause] += 1
    return [f"{cause} [{count} times]" for cause, count in found.most_common()]


class Doctor:
    """The checks of one environment."""

    def __init__(self, cloud: Cloud, manifest: Mapping[str, Any]) -> None:
        self._cloud = cloud
        self._manifest = manifest
        self._environment = cloud.environment
        self._instance = f"liftlog-user-data-{cloud.environment}"
        self._services: dict[str, Service] = {}

    def boxes(self) -> list[Box]:
        """Look at everything. A check that cannot be made is a fault that says why."""
        try:
            self._cloud.read("auth", "print-access-token")
            self._services = self._cloud.services()
        except Failed as error:
            return [Box("Logged in, and the GCP project accessible", _reason(error))]
        checks: dict[str, Callable[[], str]] = {
            "GCP project accessible": self._project,
            "Billing enabled": self._billing,
            "APIs enabled": self._apis,
            "Quotas of the project": self._quotas,
            "Functions may reach the database": self._connects,
            "Private functions have callers": self._invokers,
            "Database instance running": self._database,
            "Last backup succeeded": self._backup,
            "Functions deployed": self._functions,
            "Public functions open": self._open,
            "Settings complete": self._settings,
            "No known cause in the logs": self._logs,
            "Cleanup scheduled": self._cleanup,
            "Load balancer configured": self._load_balancer,
            "Service ready": self._ready,
            "A release to roll back to": self._rollback,
        }
        secrets = sorted({secret for row in self._manifest["functions"].values() for secret in row["secrets"]})
        checks |= {f"Secret {secret}": self._secret_check(secret) for secret in secrets}
        found: dict[str, str] = {}

        def look(title: str) -> None:
            try:
                found[title] = checks[title]()
            except Failed as error:
                found[title] = _reason(error)

        at_once(look, checks)
        return [Box(title, found[title]) for title in checks]

    def _project(self) -> str:
        state = self._cloud.read("projects", "describe", self._cloud.project, "--format=value(lifecycleState)").strip()
        return "" if state == "ACTIVE" else f"it is {state}"

    def _billing(self) -> str:
        project = self._cloud.project
        told = self._cloud.read("billing", "projects", "describe", project, "--format=value(billingEnabled)")
        mend = f"gcloud billing projects link {project} --billing-account=ID"
        return "" if told.strip() == "True" else f"the project has no billing account ({mend})"

    def _connects(self) -> str:
        policy = json.loads(self._cloud.read("projects", "get-iam-policy", self._cloud.project, "--format=json"))
        clients = _members(policy, "roles/cloudsql.client")
        lack = [account for account in map(self._account, self._services.values()) if account not in clients]
        return "; ".join(f"{account} has no roles/cloudsql.client (terraform apply)" for account in sorted(lack))

    def _invokers(self) -> str:
        faults = []
        for service in self._services.values():
            if not service.is_public:
                policy = self._cloud.read(
                    "run", "services", "get-iam-policy", service.name, f"--region={self._cloud.region}", "--format=json"
                )
                if not _members(json.loads(policy), "roles/run.invoker"):
                    faults.append(f"nobody may call {service.name} (Terraform's variable `operators`, then apply)")
        return "; ".join(faults)

    def _account(self, service: Service) -> str:
        name = service.name.removesuffix(f"-{self._environment}")
        return f"{name}-{SHORT[self._environment]}@{self._cloud.project}.iam.gserviceaccount.com"

    def _apis(self) -> str:
        wanted = set(re.findall(r'"(\w+\.googleapis\.com)"', (ROOT / "terraform" / "apis.tf").read_text()))
        enabled = set(self._cloud.read("services", "list", "--enabled", "--format=value(config.name)").split())
        missing = ", ".join(sorted(wanted - enabled))
        return f"not enabled: {missing} (terraform apply enables them)" if missing else ""

    def _quotas(self) -> str:
        told = json.loads(self._cloud.read("compute", "project-info", "describe", "--format=json(quotas)"))
        tight = [quota for quota in told["quotas"] if quota["usage"] > MOST_OF_A_QUOTA * quota["limit"]]
        used = ", ".join(f"{quota['metric']} {quota['usage']:g} of {quota['limit']:g}" for quota in tight)
        return f"{used} used (docs/playbooks/quota-use.md)" if used else ""

    def _database(self) -> str:
        state = self._cloud.read("sql", "instances", "describe", self._instance, "--format=value(state)").strip()
        return "" if state == "RUNNABLE" else f"{self._instance} is {state}, not RUNNABLE"

    def _backup(self) -> str:
        listed = self._cloud.read(
            "sql", "backups", "list", f"--instance={self._instance}", "--limit=1", "--format=value(status)"
        ).strip()
        return "" if listed == "SUCCESSFUL" else f"{listed or 'there is none'} (scripts/backup.sh {self._environment})"

    def _functions(self) -> str:
        faults = [
            f"{service.name} is not settled: its last deployment failed or goes on"
            for service in self._services.values()
            if not service.is_settled
        ]
        if not self._services:
            faults = ["there are none (terraform apply)"]
        return "; ".join(faults)

    def _open(self) -> str:
        shut = [service.name for service in self._services.values() if service.is_public and not service.is_open]
        faults = [f"{name} asks everybody for an identity (scripts/deploy.sh {self._environment} TAG)" for name in shut]
        bare = [service.name for service in self._services.values() if service.is_open and not service.is_public]
        return "; ".join(faults + [f"{name} is private and lets everybody in" for name in bare])

    def _settings(self) -> str:
        listed = json.loads(
            self._cloud.read("functions", "list", "--v2", f"--regions={self._cloud.region}", "--format=json")
        )
        faults = []
        for function in listed:
            name = function["name"].rpartition("/")[2]
            missing = set(NEEDED_SETTINGS) - set(function["serviceConfig"].get("environmentVariables", {}))
            if name in self._services and missing:
                faults.append(f"{name} has no {', '.join(sorted(missing))}")
        return "; ".join(faults)

    def _logs(self) -> str:
        entries = self._cloud.read(
            "logging", "read",
            f'resource.type="cloud_run_revision" resource.labels.service_name=~"^liftlog-.*-{self._environment}$"'
            " severity>=ERROR",
            f"--freshness={LOG_WINDOW}", "--limit=200", "--format=json",
        )  # fmt: skip
        return "; ".join(causes(json.loads(entries or "[]")))

    def _cleanup(self) -> str:
        state = self._cloud.read(
            "scheduler", "jobs", "describe", f"liftlog-cleanup-{self._environment}",
            f"--location={self._cloud.region}", "--format=value(state)",
        ).strip()  # fmt: skip
        return "" if state == "ENABLED" else f"the job is {state} (scripts/scheduler.sh {self._environment} resume)"

    def _load_balancer(self) -> str:
        if f"liftlog-gateway-{self._environment}" in self._services:
            return ""  # one public gateway, and no load balancer
        url = service_url(self._cloud, self._services)
        status = _status(f"{url}/no-such-path")
        return "" if status == "503" else f"{url} answers {status} to unknown paths, which must get 503"

    def _ready(self) -> str:
        url = f"{service_url(self._cloud, self._services)}/health/ready"
        status = _status(url)
        return "" if status == "200" else f"{url} answers {status}"

    def _rollback(self) -> str:
        current = Records(self._cloud).find_current()
        if current is None:
            return f"no release is recorded yet (scripts/deploy.sh {self._environment} TAG)"
        if not current.previous:
            return f"{current.id} is the first one"
        previous = Records(self._cloud).get(current.previous)
        missing = {r for name, r in previous.revisions.items() if name in self._services} - self._cloud.revisions()
        return f"{previous.id} has revisions that no longer exist: {', '.join(sorted(missing))}" if missing else ""

    def _secret_check(self, secret: str) -> Callable[[], str]:
        return lambda: "; ".join(self._secret_faults(secret))

    def _secret_faults(self, secret: str) -> Iterator[str]:
        secret_id = f"{secret}-{self._environment}"
        versions = self._cloud.read(
            "secrets", "versions", "list", secret_id, "--filter=state=ENABLED", "--limit=1", "--format=value(name)"
        )
        if not versions.strip():
            effect = "nothing works without it" if secret in NEEDED_SECRETS else "what needs it answers 401 or 503"
            yield f"no version is enabled, {effect} (scripts/secret.sh {self._environment} {secret})"
        policy = json.loads(self._cloud.read("secrets", "get-iam-policy", secret_id, "--format=json"))
        readers = _members(policy, "roles/secretmanager.secretAccessor")
        for service in self._services.values():
            account = self._account(service)
            row = self._manifest["functions"].get(service.family)
            if (row is None or secret in row["secrets"]) and account not in readers:
                yield f"{account} may not read it (terraform apply)"


def _members(policy: Mapping[str, Any], role: str) -> set[str]:
    """Return the accounts that have a role, without what kind they are."""
    bindings = [binding for binding in policy.get("bindings", []) if binding["role"] == role]
    return {member.partition(":")[2] for binding in bindings for member in binding["members"]}


def _status(url: str) -> str:
    """Return what a URL answers: asked at SERVICE_ADDRESS, where that is set, instead of where DNS says that it is."""
    command = ["curl", "--silent", "--max-time", "20", "--output", os.devnull, "--write-out", "%{http_code}", url]
    address = os.environ.get("SERVICE_ADDRESS", "")
    if address:
        command += ["--noproxy", "*", "--connect-to", f"::{address if ':' in address else address + ':'}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else f"nothing (curl ends with {done.returncode})"


def _reason(error: Failed) -> str:
    return str(error).splitlines()[-1].strip()


def main() -> int:
    """Look at an environment. Return 1 if a box stays empty."""
    parser = argparse.ArgumentParser(prog="scripts/doctor.sh")
    parser.add_argument("environment", choices=("staging", "production"))
    try:
        cloud = Cloud(parser.parse_args().environment)
    except Failed as error:
        complain(error)
        return 1
    boxes = Doctor(cloud, yaml.safe_load((ROOT / "functions" / "manifest.yaml").read_text())).boxes()
    for box in boxes:
        print(box)
    return int(any(box.fault for box in boxes))


if __name__ == "__main__":
    sys.exit(main())
