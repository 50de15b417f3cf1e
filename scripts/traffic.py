"""Which revisions get traffic: fixed, taken from all, given back; and where the service answers."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime

from scripts.cloud import CANDIDATE, Cloud, Failed, Service, at_once, say
from scripts.records import Records, Release

GATEWAY = "gateway"
# Health is asked while all is closed.
PRIVATE = frozenset({"migrate", "metrics", "cleanup", "admin", "operator", "health"})


def pin(cloud: Cloud) -> None:
    """Fix all traffic to the revisions that have it, so that whatever changes next gets none. Raises Failed.

    Before the first apply there is nothing to pin, and no bucket that could hold a release.
    """
    services = cloud.wait_until_settled()
    if not services:
        say(f"There is no function liftlog-*-{cloud.environment} yet, and nothing to pin")
        return
    wanted = stable_revisions(services, Records(cloud).find_current())
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
    say(f"{len(public)} functions answer 503" + names_of(public))


def open_again(cloud: Cloud) -> None:
    """Give all traffic back to the revisions that had it before `close`. Safe to repeat. Raises Failed."""
    records = Records(cloud)
    services = cloud.services()
    before = {name: revision for name, revision in records.find_closed().items() if name in services}
    if not before:
        say("Nothing is closed")
        return
    at_once(lambda name: cloud.set_traffic(name, {before[name]: 100}), sorted(before))
    say(f"{len(before)} functions serve again" + names_of([services[name] for name in before]))
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


def refuse_if_closed(services: Mapping[str, Service], environment: str) -> None:
    """Raises Failed while a restore keeps the service closed."""
    if any(service.is_closed for service in services.values()):
        raise Failed(
            f"a restore keeps the service closed; when its data is right: scripts/restore.sh {environment} --open"
        )


def stable_revisions(services: Mapping[str, Service], current: Release | None) -> dict[str, str]:
    """Return what should serve now: the current release's revisions, and for the rest what has most of the traffic."""
    recorded = current.revisions if current else {}
    return {name: recorded.get(name, service.serving) for name, service in services.items()}


def names_of(things: list[Service] | Mapping[str, str]) -> str:
    """Return the families of services, or the names, for the end of a line."""
    names = [thing if isinstance(thing, str) else thing.family for thing in things]
    return f": {', '.join(names)}" if names else ""
