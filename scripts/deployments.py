"""A release on its way: packages, migration, new revisions without traffic, a trial, a tenth, all."""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from scripts.cloud import CANDIDATE, Cloud, Failed, Service, at_once, say
from scripts.records import Lock, Records, Release, new_id
from scripts.traffic import candidate_url, names_of, refuse_if_closed, service_url, stable_revisions

HERE = Path(__file__).parent
MIGRATE = "migrate"
FIRST_PERCENT = 10


@dataclass(frozen=True, slots=True)
class Options:
    """How a release is made."""

    tag: str
    dist: Path
    watch_minutes: float


class Deployment:
    """One release on its way."""

    def __init__(self, cloud: Cloud, options: Options) -> None:
        self._cloud = cloud
        self._options = options
        self._records = Records(cloud)
        self._packages = _packages(options.dist)
        self._stable: dict[str, str] = {}  # what serves now, by name of service
        self._unreleased: set[str] = set()  # what answers 503 to everything until its first release
        self._moved: set[str] = set()  # what may serve something else by now

    def run(self) -> None:
        """Bring the packages' code to all traffic. Raises Failed, with the traffic back where it was."""
        lock = self._records.lock(self._options.tag)
        try:
            self._run(lock)
        except BaseException:
            self._put_traffic_back(lock)
            raise
        finally:
            self._records.unlock(lock)

    def _run(self, lock: Lock) -> None:
        services = self._cloud.wait_until_settled()
        if not services:
            raise Failed(f"there is no function liftlog-*-{self._cloud.environment}: run terraform apply first")
        url = service_url(self._cloud, services)
        refuse_if_closed(services, self._cloud.environment)
        current = self._records.find_current()
        self._stable = stable_revisions(services, current)
        first = {name for name, service in services.items() if not service.was_released}
        self._unreleased = self._records.note_unreleased(first)
        changed = [service for service in services.values() if self._is_changed(service)]
        say(f"{len(changed)} of {len(services)} functions changed" + names_of(changed))
        self._upload(changed)
        self._migrate(services, [service for service in changed if service.family == MIGRATE])
        others = [service for service in changed if service.family != MIGRATE]
        self._deploy(services, others)
        services = services if self._cloud.dry_run else self._cloud.services()
        self._open(services)
        candidates = self._candidates(services, others)
        new = {name for name, revision in candidates.items() if revision != self._stable[name]}
        if not new and current is not None and current.tag == self._options.tag:
            say(f"Nothing to do: {current.id} has all traffic")
            return
        self._tag(candidates)
        self._try_candidates()
        self._shift(lock, candidates, new, FIRST_PERCENT)
        self._watch()
        self._shift(lock, candidates, new, 100)
        self._smoke(url, "the release, with all traffic")
        self._record(services, candidates, current)

    def _is_changed(self, service: Service) -> bool:
        return not service.is_settled or service.source != self._packages[service.package]

    def _upload(self, changed: list[Service]) -> None:
        for package in sorted({service.package for service in changed}):
            url = f"gs://{self._cloud.bucket}/{self._packages[package]}"
            self._cloud.change("storage", "cp", str(self._options.dist / f"{package}.zip"), url, "--no-clobber")

    def _migrate(self, services: Mapping[str, Service], changed: list[Service]) -> None:
        """Bring the schema up to date before any new code gets a request. Old code runs on the new schema, too."""
        for service in changed:
            say("Deploying the migration")
            self._cloud.deploy(service, self._packages[service.package])
        for service in services.values():
            if service.family == MIGRATE:
                known = self._cloud.dry_run or not changed
                latest = service.latest if known else self._cloud.services()[service.name].latest
                self._stable[service.name] = latest  # operators alone call it: all traffic at once
                self._cloud.set_traffic(service.name, {latest: 100})
                say("Migrating the database")
                answer = self._cloud.change(
                    "functions", "call", service.name, "--gen2", f"--region={self._cloud.region}", "--data={}",
                    "--format=value(.)",
                )  # fmt: skip
                self._check_migration(answer)

    def _check_migration(self, answer: str) -> None:
        if self._cloud.dry_run:
            return
        try:
            outcome = json.loads(answer)
            say(f"The schema was {outcome['before']} and is {outcome['after']}")
        except (ValueError, KeyError, TypeError) as error:
            raise Failed(f"the migration did not succeed: {answer.strip()[:300]}") from error

    def _deploy(self, services: Mapping[str, Service], changed: list[Service]) -> None:
        """Build what changed. Traffic is pinned to what serves now, so that new revisions get none."""
        loose = [service for service in services.values() if service.traffic != {self._stable[service.name]: 100}]
        pinned = {service.name for service in changed} | {service.name for service in loose}
        at_once(lambda name: self._cloud.set_traffic(name, {self._stable[name]: 100}), sorted(pinned))
        if changed:
            say("Deploying without traffic")
        at_once(lambda service: self._cloud.deploy(service, self._packages[service.package]), changed)

    def _open(self, services: Mapping[str, Service]) -> None:
        """Let everybody call the public functions: asked after each build, which may have forgotten it."""
        at_once(self._cloud.open, [name for name, one in services.items() if one.is_public and not one.is_open])

    def _candidates(self, services: Mapping[str, Service], changed: list[Service]) -> dict[str, str]:
        candidates = {name: service.candidate for name, service in services.items()}
        for service in changed:
            if self._cloud.dry_run:
                candidates[service.name] = f"NEW-REVISION-OF-{service.name}"
            elif services[service.name].latest == service.latest:
                raise Failed(f"{service.name} was deployed, and its newest revision is still {service.latest}")
        return candidates

    def _tag(self, candidates: Mapping[str, str]) -> None:
        """Make all that belongs to the release reachable together, by the candidates' tag."""
        at_once(
            lambda name: self._cloud.set_traffic(name, {self._stable[name]: 100}, tag=candidates[name]),
            [name for name in candidates if candidates[name]],
        )

    def _shift(self, lock: Lock, candidates: Mapping[str, str], new: set[str], percent: int) -> None:
        """Give the new revisions their share of the traffic, unless somebody has taken the release back meanwhile.

        A first release has no other half: what it replaces answers 503, and nobody could watch the tenth.
        """
        if not self._cloud.dry_run and self._records.find_lock() != lock:
            raise Failed("somebody else has taken over: the traffic is theirs now")
        self._moved |= new
        say(f"{percent} % of the traffic for {len(new)} new revisions")

        def move(name: str) -> None:
            share = 100 if name in self._unreleased else percent
            shares = {self._stable[name]: 100 - share, candidates[name]: share}
            self._cloud.set_traffic(name, {revision: part for revision, part in shares.items() if part})

        at_once(move, sorted(new))

    def _put_traffic_back(self, lock: Lock) -> None:
        """Undo what was shifted. After somebody else has taken over, theirs is the traffic."""
        if not self._moved or self._records.find_lock() != lock:
            return
        say("Rolling the traffic back")
        at_once(lambda name: self._cloud.set_traffic(name, {self._stable[name]: 100}), sorted(self._moved))

    def _try_candidates(self) -> None:
        """Try the new revisions, and ask the figures of the operators' new gateway: the serving one may be none yet.

        An identity token is made for the service's own address, also where a tag is asked
        (cloud.google.com/run/docs/authenticating/service-to-service).
        """
        services = self._cloud.services()
        operator = services.get(f"liftlog-operator-{self._cloud.environment}")
        asked = {}
        if operator is not None and CANDIDATE in operator.tags:
            asked = {"OPERATOR_URL": operator.tags[CANDIDATE], "OPERATOR_AUDIENCE": operator.url}
        url = candidate_url(self._cloud, services)
        self._smoke(url, "the new revisions, before they get traffic", asked | os.environ)

    def _smoke(self, url: str, what: str, environment: Mapping[str, str] | None = None) -> None:
        say(f"Trying {what}: {url}")
        self._script("smoke.sh", url, f"--environment={self._cloud.environment}", environment=environment)

    def _watch(self) -> None:
        minutes = self._options.watch_minutes
        if not minutes:
            return
        say(f"Watching the error rate for {minutes:g} minutes")
        self._script("watch.sh", self._cloud.environment, f"{minutes:g}")

    def _script(self, name: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        say(f"  $ scripts/{name} {' '.join(arguments)}")
        if self._cloud.dry_run:
            return
        ran = subprocess.run([HERE / name, *arguments], check=False, start_new_session=True, env=environment)
        if ran.returncode:
            raise Failed(f"scripts/{name} {' '.join(arguments)} failed")

    def _record(self, services: Mapping[str, Service], candidates: Mapping[str, str], current: Release | None) -> None:
        release = Release(
            id=new_id(self._options.tag),
            tag=self._options.tag,
            created=f"{datetime.now(UTC):%FT%TZ}",
            previous=current.id if current else "",
            packages={name: self._packages[service.package] for name, service in services.items()},
            revisions=dict(candidates),
        )
        self._keep_sbom(release)
        self._records.put(release)
        self._records.put_current(release.id)
        self._records.forget_unreleased()
        say(f"Released {release.id}. Back: scripts/rollback.sh {self._cloud.environment}")

    def _keep_sbom(self, release: Release) -> None:
        """Keep the list of what the release is made of beside its packages (`make sbom`)."""
        sbom = self._options.dist / "sbom.json"
        if sbom.exists():
            self._cloud.change("storage", "cp", str(sbom), f"gs://{self._cloud.bucket}/sbom/{release.id}.json")
        else:
            say(f"There is no {sbom}: this release has no list of its parts (make sbom)")


def _packages(dist: Path) -> dict[str, str]:
    """Return the object of each package, from the list that `make package` writes. Raises Failed."""
    try:
        listed = json.loads((dist / "manifest.json").read_text())["functions"]
    except (OSError, ValueError, KeyError) as error:
        raise Failed(f"there are no packages in {dist}: run make package") from error
    return {name: entry["object"] for name, entry in listed.items()}
