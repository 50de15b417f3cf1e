"""The way back: all functions to an earlier release together, or one of them to an earlier revision."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from scripts.cloud import Cloud, Failed, Service, at_once, say
from scripts.records import Records, Release, new_id
from scripts.traffic import names_of, refuse_if_closed, service_url


def rollback(cloud: Cloud, target: str) -> None:
    """Give all traffic to an earlier release, or one function's to one of its revisions. Raises Failed.

    Without a target: to the current release if the traffic is elsewhere, since a deployment or a rollback was
    interrupted; else to the one before it.
    """
    records = Records(cloud)
    services = cloud.services()
    refuse_if_closed(services, cloud.environment)
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
    say(f"Rolling back to {release.id}: {len(moves)} of {len(services)} functions" + names_of(moves))
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
