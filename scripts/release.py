"""Releases, made and taken back: what deploy.sh, rollback.sh and cloudbuild.yaml run (docs/deployment.md).

Whatever is interrupted can be started again: what is deployed is asked of Google Cloud, not remembered.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from scripts.cloud import CANDIDATE, Cloud, Failed, Service, at_once, complain, say
from scripts.records import Lock, Records, Release, new_id

HERE = Path(__file__).parent
MIGRATE, OPERATOR, GATEWAY = "migrate", "operator", "gateway"
PRIVATE = frozenset({"migrate", "metrics", "cleanup", "operator", "health"})  # health is asked while all is closed
FIRST_PERCENT = 10
INTERRUPTED = 130
VERSION = re.compile(r"v\d+\.\d+\.\d+([-.][0-9A-Za-z.-]+)?")
TAG = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,62}")


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
        _refuse_if_closed(services, self._cloud.environment)
        current = self._records.find_current()
        self._stable = _stable(services, current)
        changed = [service for service in services.values() if self._is_changed(service)]
        say(f"{len(changed)} of {len(services)} functions changed" + _names(changed))
        self._upload(changed)
        self._migrate(services, [service for service in changed if service.family == MIGRATE])
        others = [service for service in changed if service.family != MIGRATE]
        self._deploy(services, others)
        services = services if self._cloud.dry_run else self._cloud.services()
        candidates = self._candidates(services, others)
        new = {name for name, revision in candidates.items() if revision != self._stable[name]}
        if not new and current is not None and current.tag == self._options.tag:
            say(f"Nothing to do: {current.id} has all traffic")
            return
        self._tag(candidates)
        self._smoke(candidate_url(self._cloud, self._cloud.services()), "the new revisions, before they get traffic")
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
        """Give the new revisions their share of the traffic, unless somebody has taken the release back meanwhile."""
        if not self._cloud.dry_run and self._records.find_lock() != lock:
            raise Failed("somebody else has taken over: the traffic is theirs now")
        self._moved |= new
        say(f"{percent} % of the traffic for {len(new)} new revisions")

        def move(name: str) -> None:
            shares = {self._stable[name]: 100 - percent, candidates[name]: percent}
            self._cloud.set_traffic(name, {revision: share for revision, share in shares.items() if share})

        at_once(move, sorted(new))

    def _put_traffic_back(self, lock: Lock) -> None:
        """Undo what was shifted. After somebody else has taken over, theirs is the traffic."""
        if not self._moved or self._records.find_lock() != lock:
            return
        say("Rolling the traffic back")
        at_once(lambda name: self._cloud.set_traffic(name, {self._stable[name]: 100}), sorted(self._moved))

    def _smoke(self, url: str, what: str) -> None:
        say(f"Trying {what}: {url}")
        self._script("smoke.sh", url, f"--environment={self._cloud.environment}")

    def _watch(self) -> None:
        minutes = self._options.watch_minutes
        if not minutes:
            return
        say(f"Watching the error rate for {minutes:g} minutes")
        self._script("watch.sh", self._cloud.environment, f"{minutes:g}")

    def _script(self, name: str, *arguments: str) -> None:
        say(f"  $ scripts/{name} {' '.join(arguments)}")
        if self._cloud.dry_run:
            return
        ran = subprocess.run([HERE / name, *arguments], check=False, start_new_session=True)
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
        self._records.put(release)
        self._records.put_current(release.id)
        say(f"Released {release.id}. Back: scripts/rollback.sh {self._cloud.environment}")


def _refuse_if_closed(services: Mapping[str, Service], environment: str) -> None:
    if any(service.is_closed for service in services.values()):
        raise Failed(
            f"a restore keeps the service closed; when its data is right: scripts/restore.sh {environment} --open"
        )


def _stable(services: Mapping[str, Service], current: Release | None) -> dict[str, str]:
    """Return what should serve now: the current release's revisions, and for the rest what has most of the traffic."""
    recorded = current.revisions if current else {}
    return {name: recorded.get(name, service.serving) for name, service in services.items()}


def rollback(cloud: Cloud, target: str) -> None:
    """Give all traffic to an earlier release, or one function's to one of its revisions. Raises Failed.

    Without a target: to the current release if the traffic is elsewhere, since a deployment or a rollback was
    interrupted; else to the one before it.
    """
    records = Records(cloud)
    services = cloud.services()
    _refuse_if_closed(services, cloud.environment)
    current = records.find_current()
    held = records.find_lock()
    if held is not None:
        say(f"Ending the deployment of {held.tag} by {held.who}")
        records.unlock()
    release = _target(records, services, current, target)
    missing = {r for name, r in release.revisions.items() if name in services} - cloud.revisions()
    if missing:
        raise Failed(f"revisions that no longer exist: {', '.join(sorted(missing))}; nothing was changed")
    if current is None or release.id != current.id:
        records.put_current(release.id)  # first, so that an interrupted rollback goes on, and not forth
    moves = {
        name: revision
        for name, revision in release.revisions.items()
        if name in services and services[name].traffic != {revision: 100}
    }
    say(f"Rolling back to {release.id}: {len(moves)} of {len(services)} functions" + _names(moves))
    at_once(lambda name: cloud.set_traffic(name, {moves[name]: 100}), sorted(moves))
    if not cloud.dry_run:
        say(f"{release.id} has all traffic. Now: scripts/smoke.sh {service_url(cloud, services)}")


def _target(records: Records, services: Mapping[str, Service], current: Release | None, target: str) -> Release:
    of_service = next((name for name in services if target.startswith(f"{name}-")), None)
    if of_service is not None:
        return _with_one_revision(records, services, current, of_service, target)
    if target:
        found = [
            release_id for release_id in records.list_ids() if target in {release_id, release_id.partition("-")[2]}
        ]
        if not found:
            raise Failed(f"there is no release {target}; see them with --list")
        return records.get(found[-1])
    if current is None:
        raise Failed("no release has been recorded yet; name a revision (gcloud run revisions list)")
    if any(
        services[name].traffic != {revision: 100} for name, revision in current.revisions.items() if name in services
    ):
        say(f"The traffic is not where {current.id} wants it: a deployment or a rollback was interrupted")
        return current
    if not current.previous:
        raise Failed(f"{current.id} is the first release: there is none before it")
    return records.get(current.previous)


def _with_one_revision(
    records: Records, services: Mapping[str, Service], current: Release | None, name: str, revision: str
) -> Release:
    """Record what serves now with one other revision as a release of its own, and return it."""
    say(f"Warning: {name} alone goes back to {revision}. The other functions stay; were they made to work together?")
    if current is None:
        serving = {other: service.serving for other, service in services.items()}
        current = Release("", "unrecorded", "", "", {}, serving)
    if current.revisions.get(name) == revision and current.id:
        return current
    release = replace(
        current,
        id=new_id(f"{current.tag}-with-{revision}"),
        created=f"{datetime.now(UTC):%FT%TZ}",
        revisions={**current.revisions, name: revision},
    )
    records.put(release)
    return release


def list_releases(cloud: Cloud) -> None:
    """Show the releases, the newest first. Raises Failed."""
    records = Records(cloud)
    current = records.find_current()
    for release_id in reversed(records.list_ids()):
        say(f"{'*' if current and release_id == current.id else ' '} {release_id}")


def pin(cloud: Cloud) -> None:
    """Fix all traffic to the revisions that have it, so that whatever changes next gets none. Raises Failed."""
    services = cloud.wait_until_settled()
    wanted = _stable(services, Records(cloud).find_current())
    loose = [name for name, service in services.items() if service.traffic and wanted[name]]
    at_once(lambda name: cloud.set_traffic(name, {wanted[name]: 100}), loose)


def close(cloud: Cloud) -> None:
    """Have all public functions answer 503, but for their health. Safe to repeat. Raises Failed."""
    records = Records(cloud)
    services = cloud.wait_until_settled()
    public = [service for service in services.values() if service.family not in PRIVATE and not service.is_closed]
    records.put_closed({service.name: service.serving for service in public} | records.find_closed())
    stamp = f"{datetime.now(UTC):%y%m%d%H%M%S}"
    at_once(lambda service: cloud.close(service, {service.serving: 100}, stamp), public)
    at_once(lambda service: cloud.set_traffic(service.name, {cloud.closed_revision(service, stamp): 100}), public)
    say(f"{len(public)} functions answer 503" + _names(public))


def open_again(cloud: Cloud) -> None:
    """Give all traffic back to the revisions that had it before `close`. Safe to repeat. Raises Failed."""
    records = Records(cloud)
    services = cloud.services()
    before = {name: revision for name, revision in records.find_closed().items() if name in services}
    if not before:
        say("Nothing is closed")
        return
    at_once(lambda name: cloud.set_traffic(name, {before[name]: 100}), sorted(before))
    say(f"{len(before)} functions serve again" + _names([services[name] for name in before]))
    at_once(cloud.forget_closing, sorted(before))  # else the next change of a setting would go on with it
    records.delete_closed()


def service_url(cloud: Cloud, services: Mapping[str, Service]) -> str:
    """Return where clients find the service: SERVICE_URL, else the gateway's. Raises Failed."""
    url = os.environ.get("SERVICE_URL", "")
    gateway = services.get(f"liftlog-{GATEWAY}-{cloud.environment}")
    if not url and gateway is not None:
        url = gateway.url
    if not url:
        raise Failed("set SERVICE_URL to https:// and the domain (terraform output -raw service_url)")
    return url.rstrip("/")


def candidate_url(cloud: Cloud, services: Mapping[str, Service]) -> str:
    """Return where revisions answer that have no traffic yet. Raises Failed."""
    url = os.environ.get("CANDIDATE_URL", "")
    gateway = services.get(f"liftlog-{GATEWAY}-{cloud.environment}")
    if not url and gateway is not None:
        url = gateway.tags.get(CANDIDATE, "")
        if not url and cloud.dry_run:
            url = f"https://{CANDIDATE}---{gateway.url.removeprefix('https://')}"
    if not url:
        url = service_url(cloud, services).replace("://", f"://{CANDIDATE}.", 1)
    return url.rstrip("/")


def _packages(dist: Path) -> dict[str, str]:
    """Return the object of each package, from the list that `make package` writes. Raises Failed."""
    try:
        listed = json.loads((dist / "manifest.json").read_text())["functions"]
    except (OSError, ValueError, KeyError) as error:
        raise Failed(f"there are no packages in {dist}: run make package") from error
    return {name: entry["object"] for name, entry in listed.items()}


def _names(things: list[Service] | Mapping[str, str]) -> str:
    names = [thing if isinstance(thing, str) else thing.family for thing in things]
    return f": {', '.join(names)}" if names else ""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m scripts.release", description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("deploy", "release the packages of --dist"),
        ("rollback", "give the traffic back to an earlier release"),
        ("list", "show the releases"),
        ("pin", "fix the traffic to the revisions that have it"),
        ("close", "have all public functions answer 503"),
        ("open", "end that"),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("environment", choices=("staging", "production"))
        command.add_argument("--dry-run", action="store_true", help="show what would be done")
    commands.choices["deploy"].add_argument("--dist", type=Path, default=Path("dist"), help="folder of the packages")
    commands.choices["deploy"].add_argument("tag", help="v1.2.3, or in staging also latest")
    commands.choices["deploy"].add_argument(
        "--watch-minutes", type=float, default=5.0, help="at 10 %%, 0: not at all (5)"
    )
    commands.choices["rollback"].add_argument("target", nargs="?", default="", help="a release, a tag, or a revision")
    return parser.parse_args()


def _deploy(cloud: Cloud, arguments: argparse.Namespace) -> None:
    tag = arguments.tag
    if not TAG.fullmatch(tag):
        raise Failed("a tag has letters, digits, dots and hyphens")
    if cloud.environment == "production" and not VERSION.fullmatch(tag):
        raise Failed(f"production takes a version like v1.2.3, not {tag}: what runs there must be nameable")
    Deployment(cloud, Options(tag, arguments.dist, arguments.watch_minutes)).run()


def main() -> int:
    """Run one command. Return the exit status."""
    arguments = _arguments()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    commands: dict[str, Callable[[Cloud], None]] = {
        "deploy": lambda cloud: _deploy(cloud, arguments),
        "rollback": lambda cloud: rollback(cloud, arguments.target),
        "list": list_releases,
        "pin": pin,
        "close": close,
        "open": open_again,
    }
    try:
        commands[arguments.command](Cloud(arguments.environment, dry_run=arguments.dry_run))
    except Failed as error:
        complain(error)
        return 1
    except KeyboardInterrupt:
        complain(Failed("interrupted; start it again, or roll back"))
        return INTERRUPTED
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # one is enough
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
