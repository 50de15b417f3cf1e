"""What is measured: each public route of the manifest at least once, with requests that do real work."""

import json
import os
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any
from urllib.parse import quote
from uuid import UUID

import yaml

from bench.servers import ROOT
from bench.world import (
    CHUNK_BYTES,
    EVENT_BYTES,
    ITEM_BYTES,
    IV_BYTES,
    MESSAGE_CHUNKS,
    NAME_BYTES,
    PASSWORD,
    PLAN_BYTES,
    PUBLIC_KEY_BYTES,
    SINCE_ALL,
    World,
)

EXPIRY = "2999-01-01T00:00:00Z"
LARGE_EVENT_BYTES = 15 * 1024
BATCH = 200
_NUMBER = "#" * 12  # replaced by as many hexadecimal digits


PLANNER = frozenset({"ai", "ai_chat"})  # bench/chat.py measures what is ours of it


@dataclass(frozen=True, slots=True)
class Case:
    """A route, the kind of request that is sent to it, and where those come from."""

    route: str  # as the manifest has it
    kind: str
    requests: Callable[[World], Iterator[bytes]]  # asked before each measurement, not timed

    def __str__(self) -> str:
        return f"{self.route} {self.kind}".strip()


def missing_routes() -> set[str]:
    """Return the public routes of the manifest that no case measures, and that wait for no model."""
    functions = yaml.safe_load((ROOT / "functions" / "manifest.yaml").read_text())["functions"]
    public = {
        route
        for name, entry in functions.items()
        if entry["access"] == "public" and name not in PLANNER
        for route in entry["routes"]
    }
    return public - {case.route for case in CASES}


def request(method: str, path: str, body: Any = None, **headers: str) -> bytes:
    """Return the bytes of a request; header names are given with underscores."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "User-Agent: bench"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*lines, "", ""]).encode() + content


def empty_requests() -> Iterator[bytes]:
    """The first yardstick's requests."""
    return cycle([request("POST", "/", {})])


def _numbered(world: World, templates: Iterable[bytes]) -> Iterator[bytes]:
    """Repeat the requests for ever, each time with a new number in it."""
    parts = [template.partition(_NUMBER.encode()) for template in templates]
    for (head, _, tail), number in zip(cycle(parts), world.numbers, strict=False):
        yield b"%b%012x%b" % (head, number, tail)


def _credentials(user_id: UUID, name: str = "userId") -> dict[str, Any]:
    return {name: str(user_id), "password": PASSWORD}


def _bytes(byte_count: int) -> str:
    return b64encode(os.urandom(byte_count)).decode()


def _create_user(_world: World) -> Iterator[bytes]:
    return cycle([request("POST", "/user/create", {})])


def _get_user(world: World) -> Iterator[bytes]:
    return cycle([request("GET", f"/user/{user_id}") for user_id in world.residents])


def _put_user(world: World) -> Iterator[bytes]:
    profile = {
        "encryptedCurrentPlan": _bytes(PLAN_BYTES),
        "encryptedName": _bytes(NAME_BYTES),
        "encryptionIV": _bytes(IV_BYTES),
        "rsaPublicKey": _bytes(PUBLIC_KEY_BYTES),
    }
    return cycle([request("PUT", "/user", _credentials(user_id, "id") | profile) for user_id in world.residents])


def _delete_user(world: World) -> Iterator[bytes]:
    return iter([request("POST", "/user/delete", _credentials(user_id, "id")) for user_id in world.newcomers()])


def _list_users(world: World) -> Iterator[bytes]:
    return cycle([request("POST", "/users", {"ids": [str(user_id) for user_id in world.residents[:BATCH]]})])


def _put_event(event_bytes: int) -> Callable[[World], Iterator[bytes]]:
    event = {
        "eventId": f"00000000-0000-4000-8000-{_NUMBER}",
        "encryptedEventPayload": _bytes(event_bytes),
        "encryptedEventIV": _bytes(IV_BYTES),
        "expiry": EXPIRY,
    }

    def requests(world: World) -> Iterator[bytes]:
        authors = world.newcomers(BATCH)  # the residents' feeds stay as they are, for the polls
        return _numbered(world, [request("PUT", "/event", _credentials(user_id) | event) for user_id in authors])

    return requests


def _poll(user_ids: Iterable[UUID], since: str, **headers: str) -> bytes:
    users = [{"userId": str(user_id), "followSecret": str(user_id), "since": since} for user_id in user_ids]
    return request("POST", "/events", {"users": users}, **headers)


def _list_events(**headers: str) -> Callable[[World], Iterator[bytes]]:
    return lambda world: cycle([_poll([user_id], SINCE_ALL, **headers) for user_id in world.residents])


def _list_events_of_many(world: World) -> Iterator[bytes]:
    return cycle([_poll(world.residents[:BATCH], world.newest_only)])


def _put_follow_secret(world: World) -> Iterator[bytes]:
    secret = {"followSecret": f"22222222-2222-4222-8222-{_NUMBER}"}
    authors = world.newcomers(BATCH)
    return _numbered(world, [request("PUT", "/follow-secret", _credentials(user_id) | secret) for user_id in authors])


def _delete_follow_secret(world: World) -> Iterator[bytes]:
    bodies = [_credentials(user_id) | {"followSecret": str(user_id)} for user_id in world.newcomers()]
    return iter([request("POST", "/follow-secret/delete", body) for body in bodies])


def _put_message(world: World) -> Iterator[bytes]:
    message = {"encryptedMessage": [_bytes(CHUNK_BYTES)] * MESSAGE_CHUNKS}
    return iter([request("PUT", "/inbox", {"toUserId": str(user_id)} | message) for user_id in world.newcomers()])


def _take_messages(world: World) -> Iterator[bytes]:
    return iter([request("POST", "/inbox", _credentials(user_id)) for user_id in world.newcomers()])


def _create_shared_item(world: World) -> Iterator[bytes]:
    item = {
        "encryptedPayload": {"encryptedPayload": _bytes(ITEM_BYTES), "iv": {"value": _bytes(IV_BYTES)}},
        "expiry": EXPIRY,
    }
    return cycle([request("POST", "/shareditem", _credentials(user_id) | item) for user_id in world.residents])


def _get_shared_item(world: World) -> Iterator[bytes]:
    return cycle([request("GET", f"/shareditem/{quote(item_id)}") for item_id in world.item_ids])


def _get(path: str) -> Callable[[World], Iterator[bytes]]:
    return lambda _world: cycle([request("GET", path)])


PUT_EVENT = Case("PUT /event", "1 KB", _put_event(EVENT_BYTES))
PUT_LARGE_EVENT = Case("PUT /event", "15 KB", _put_event(LARGE_EVENT_BYTES))
CREATE_USER = Case("POST /user/create", "", _create_user)
POLL = Case("POST /events", "10 events", _list_events())
CASES = [
    PUT_EVENT,
    PUT_LARGE_EVENT,
    POLL,
    Case("POST /events", "10 events, gzip", _list_events(Accept_Encoding="gzip")),
    Case("POST /events", "200 users", _list_events_of_many),
    CREATE_USER,
    Case("GET /user/{id_or_lookup}", "", _get_user),
    Case("PUT /user", "", _put_user),
    Case("POST /user/delete", "", _delete_user),
    Case("POST /users", "200 ids", _list_users),
    Case("PUT /follow-secret", "", _put_follow_secret),
    Case("POST /follow-secret/delete", "", _delete_follow_secret),
    Case("PUT /inbox", "1 KB", _put_message),
    Case("POST /inbox", "1 message", _take_messages),
    Case("POST /shareditem", "4 KB", _create_shared_item),
    Case("GET /shareditem/{item_id}", "4 KB", _get_shared_item),
    Case("GET /health", "", _get("/health")),
    Case("GET /health/ready", "", _get("/health/ready")),
]
