"""Crowds of whole requests: the largest and dearest ones, what fills disks and inboxes, what makes others wait."""

import itertools
import json
import time
from collections.abc import Callable, Iterator
from uuid import uuid4

from bench.hostile.requests import WISHES, Stranger, new_stranger, raw
from bench.hostile.tallies import Tally, ask, of_threads

CLIENTS = 16
PICTURE_BYTES = 2_000_000
LARGEST_BYTES = 256 * 1024
ADDRESSES = 20
ENVELOPE_OBJECTS = 200_000
Requests = Callable[[list[Stranger]], Iterator[bytes]]


def nobody(_port: int, seconds: float, _request_count: int) -> Tally:
    """Leave the honest clients alone, for comparison."""
    time.sleep(seconds)
    return Tally()


def greedy(port: int, seconds: float, request_count: int) -> Tally:
    """Alternate between the largest requests and the largest answers."""

    def requests(accounts: list[Stranger]) -> Iterator[bytes]:
        pictures = raw("POST", "/users", {"ids": [account.id for account in accounts]}, Accept_Encoding="gzip")
        account = accounts[0]
        strangers = raw("PUT", "/user", account.profile(PICTURE_BYTES) | {"password": str(uuid4())})
        objects = b'{"route":"PUT /event","body":[' + b"{}," * ENVELOPE_OBJECTS + b"{}]}"
        return itertools.cycle(
            [
                raw("PUT", "/user", account.profile(PICTURE_BYTES)), pictures,
                raw("PUT", "/event", account.event(LARGEST_BYTES)), strangers,
                raw("POST", "/shareditem", account.item(LARGEST_BYTES)), raw("POST", "/", objects),
                raw("PUT", "/inbox", account.message(20)),
                raw("GET", f"/user/{account.id}", None, Accept_Encoding="gzip"),
                raw("POST", "/inbox", account.credentials()),
                raw("POST", "/events", json.dumps({"users": [{}] * 5000}).encode()),
            ]
        )  # fmt: skip

    accounts = [new_stranger(port) for _ in range(8)]
    prepared = Tally()
    for account in accounts:
        ask(port, raw("PUT", "/user", account.profile(PICTURE_BYTES)), prepared)
    return _crowd(port, seconds, request_count, accounts, requests)


def hoarding(port: int, seconds: float, request_count: int) -> Tally:
    """Store as much as one can: events, shared items, secrets, pictures, accounts, from a few addresses."""

    def requests(accounts: list[Stranger]) -> Iterator[bytes]:
        for number in itertools.count():
            account = accounts[number % len(accounts)]
            address = {"X_Forwarded_For": f"203.0.113.{number % ADDRESSES}"}
            match number % 6:
                case 0:
                    yield raw("PUT", "/event", account.event(LARGEST_BYTES), **address)
                case 1:
                    yield raw("POST", "/shareditem", account.item(LARGEST_BYTES), **address)
                case 2:
                    yield raw("PUT", "/follow-secret", account.secret(), **address)
                case 3:
                    yield raw("PUT", "/user", account.profile(PICTURE_BYTES), **address)
                case 4:
                    yield raw("POST", "/user/create", {}, **address)
                case _:
                    yield raw("PUT", "/inbox", accounts[0].message(), **address)

    return _crowd(port, seconds, request_count, [new_stranger(port) for _ in range(4)], requests)


def levers(port: int, seconds: float, request_count: int) -> Tally:
    """Have us ask stores about tokens that nobody was sold, and wait for what is silent."""

    def requests(_accounts: list[Stranger]) -> Iterator[bytes]:
        for number in itertools.count():
            headers = {"X_Forwarded_For": f"198.51.100.{number % ADDRESSES}"}
            store = ("RevenueCat", "Google", "Apple", "Web")[number % 4]
            authorization = f"{store} {uuid4().hex}"
            if number % 2:
                yield raw("POST", "/ai/workout", WISHES, Authorization=authorization, **headers)
            else:
                yield raw("POST", "/ai-chat/negotiate", b"", Authorization=authorization, **headers)

    return _crowd(port, seconds, request_count, [], requests)


def _crowd(port: int, seconds: float, request_count: int, accounts: list[Stranger], requests: Requests) -> Tally:
    """Send requests from as many clients at once as a function has threads."""
    end = time.monotonic() + seconds

    def run(number: int) -> Tally:
        tally = Tally()
        turned = accounts[number % len(accounts) :] + accounts[: number % len(accounts)] if accounts else []
        own = itertools.islice(requests(turned), number, None)  # not all the same at the same time
        for request in itertools.islice(own, request_count // CLIENTS):
            if time.monotonic() >= end:
                break
            ask(port, request, tally)
        return tally

    return of_threads(CLIENTS, run)
