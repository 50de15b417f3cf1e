"""Releases: which revision of each function served together. Kept as objects in the bucket of the packages.

releases/<id>.json   one for each release that had all the traffic; ids begin with the time, so they sort
releases/current     the id of the release that should have all the traffic now
releases/lock        who is deploying; there is at most one
releases/first       until a first release has all the traffic: the functions that nothing was released of before
releases/closed      while a restore keeps the service closed: which revision of each function is to serve afterwards
"""

import getpass
import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from uuid import uuid4

from scripts.cloud import Cloud, Failed, say

FOLDER = "releases"
_ABSENT = "matched no objects"
_TAKEN = "412"  # HTTP's "precondition failed": the object is there already


@dataclass(frozen=True, slots=True)
class Release:
    """A set of revisions that served together."""

    id: str
    tag: str
    created: str  # UTC, ISO 8601
    previous: str  # the id of the release before; empty for the first
    packages: Mapping[str, str]  # object by name of service
    revisions: Mapping[str, str]  # revision by name of service


def new_id(tag: str, now: datetime | None = None) -> str:
    """Return an id that sorts after all earlier ones."""
    return f"{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}-{tag}"


class Records:
    """The releases of one environment."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._url = f"gs://{cloud.bucket}/{FOLDER}"

    def list_ids(self) -> list[str]:
        """Return all ids, the oldest first. Raises Failed."""
        try:
            listed = self._cloud.read("storage", "ls", f"{self._url}/*.json")
        except Failed as error:
            if _ABSENT in str(error):
                return []
            raise
        return sorted(line.rpartition("/")[2].removesuffix(".json") for line in listed.split())

    def get(self, release_id: str) -> Release:
        """Return a release. Raises Failed."""
        return Release(**json.loads(self._cloud.read("storage", "cat", f"{self._url}/{release_id}.json")))

    def find_current(self) -> Release | None:
        """Return the release that should have all the traffic, None before the first one. Raises Failed."""
        release_id = self._find("current")
        return self.get(release_id) if release_id else None

    def put(self, release: Release) -> None:
        """Record a release. Raises Failed."""
        text = json.dumps(asdict(release), indent=2) + "\n"
        self._cloud.change("storage", "cp", "-", f"{self._url}/{release.id}.json", stdin=text)

    def put_current(self, release_id: str) -> None:
        """Say which release should have all the traffic. Raises Failed."""
        self._cloud.change("storage", "cp", "-", f"{self._url}/current", stdin=release_id)

    def find_closed(self) -> dict[str, str]:
        """Return the revisions that are to serve when the service opens again; none if it is open. Raises Failed."""
        text = self._find("closed")
        found: dict[str, str] = json.loads(text) if text else {}
        return found

    def put_closed(self, revisions: Mapping[str, str]) -> None:
        """Say which revisions are to serve when the service opens again. Raises Failed."""
        self._cloud.change("storage", "cp", "-", f"{self._url}/closed", stdin=json.dumps(dict(revisions)))

    def delete_closed(self) -> None:
        """Forget what `put_closed` said. Raises Failed."""
        self._cloud.change("storage", "rm", f"{self._url}/closed")

    def note_unreleased(self, names: set[str]) -> set[str]:
        """Remember functions of which nothing is released yet; return those of earlier runs, too. Raises Failed."""
        before = set(json.loads(self._find("first") or "[]"))
        if names - before:
            text = json.dumps(sorted(names | before))
            self._cloud.change("storage", "cp", "-", f"{self._url}/first", stdin=text)
        return names | before

    def forget_unreleased(self) -> None:
        """Forget what `note_unreleased` was told: it is released. Raises Failed."""
        if self._find("first"):
            self._cloud.change("storage", "rm", f"{self._url}/first")

    def _find(self, name: str) -> str:
        try:
            return self._cloud.read("storage", "cat", f"{self._url}/{name}").strip()
        except Failed as error:
            if _ABSENT in str(error):
                return ""
            raise

    def lock(self, tag: str) -> "Lock":
        """Keep others from deploying. A lock that a dead run of the same tag left is taken over. Raises Failed."""
        ours = Lock(uuid4().hex, tag, f"{getpass.getuser()}@{socket.gethostname()}", f"{datetime.now(UTC):%FT%TZ}")
        for _attempt in range(2):
            try:
                self._cloud.change(
                    "storage", "cp", "-", f"{self._url}/lock", "--if-generation-match=0", stdin=json.dumps(asdict(ours))
                )
            except Failed as error:
                if _TAKEN not in str(error):
                    raise
            else:
                return ours
            theirs = self.find_lock()
            if theirs is not None and theirs.tag != tag:
                raise Failed(
                    f"{theirs.who} has been deploying {theirs.tag} since {theirs.since}. If that run is dead: "
                    f"scripts/rollback.sh {self._cloud.environment}"
                )
            if theirs is not None:
                say(f"taking over from an earlier run of {tag}")
                self.unlock()
        raise Failed("somebody else began to deploy this very moment")

    def find_lock(self) -> "Lock | None":
        """Return who is deploying. Raises Failed."""
        text = self._find("lock")
        return Lock(**json.loads(text)) if text else None

    def unlock(self, ours: "Lock | None" = None) -> None:
        """Let others deploy, if the lock is still this one. Raises Failed."""
        held = self.find_lock()
        if held is not None and (ours is None or held == ours):
            self._cloud.change("storage", "rm", f"{self._url}/lock")


@dataclass(frozen=True, slots=True)
class Lock:
    """Who is deploying."""

    id: str
    tag: str
    who: str
    since: str
