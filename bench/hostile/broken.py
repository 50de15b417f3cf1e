"""Broken HTTP: good requests damaged byte by byte, requests of odd parts, bodies of odd JSON, frames that are none."""

import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any

from bench.hostile import oddities
from bench.hostile.requests import Stranger, good_requests, new_stranger, raw
from bench.hostile.tallies import Tally, ask, of_threads

THREADS = 48
HONEST_LENGTHS, DEEPER = 0.7, 0.7
_dice = random.SystemRandom()


def attack(port: int, seconds: float, request_count: int) -> Tally:
    """Send so many broken requests, or as many as there is time for."""
    account = new_stranger(port)
    good = good_requests(account)
    end = time.monotonic() + seconds
    left = iter(range(request_count))
    taking = threading.Lock()

    def run(_number: int) -> Tally:
        tally = Tally()
        while time.monotonic() < end:
            with taking:
                if next(left, None) is None:
                    break
            ask(port, _broken(good, account), tally, may_be_broken=True)
        return tally

    return of_threads(THREADS, run)


def _broken(good: list[bytes], account: Stranger) -> bytes:
    kinds: list[Callable[[], bytes]] = [
        lambda: _damaged(_dice.choice(good)), _of_odd_parts, lambda: _with_odd_headers(_dice.choice(good)),
        lambda: _of_odd_json(account), lambda: oddities.HANDSHAKE + b"".join(_dice.choices(oddities.FRAMES, k=3)),
    ]  # fmt: skip
    return _dice.choices(kinds, weights=[30, 25, 20, 24, 1])[0]()


def _damaged(request: bytes) -> bytes:
    """Return a request with bytes changed, inserted, taken out, repeated, or cut off."""
    damaged = bytearray(request)
    for _ in range(_dice.randint(1, 6)):
        place = _dice.randrange(len(damaged) + 1)
        length = _dice.randint(1, 20)
        match _dice.randrange(5):
            case 0:
                damaged[place : place + 1] = bytes([_dice.randrange(256)])
            case 1:
                damaged[place:place] = _dice.randbytes(length)
            case 2:
                del damaged[place : place + length]
            case 3:
                damaged[place:place] = damaged[place : place + length] * 3
            case _:
                del damaged[place:]
    return bytes(damaged)


def _of_odd_parts() -> bytes:
    body = _dice.choice(oddities.BODIES)
    headers = _dice.choices(oddities.HEADERS, k=_dice.randint(0, 4))
    if _dice.random() < HONEST_LENGTHS:
        headers.append(f"Content-Length: {len(body)}")
    line = f"{_dice.choice(oddities.METHODS)} {_dice.choice(oddities.PATHS)} {_dice.choice(oddities.VERSIONS)}"
    end = _dice.choice(["\r\n", "\r\n", "\r\n", "\n", "\r"])
    return end.join([line, "Host: localhost", *headers, "", ""]).encode("latin-1", "replace") + body


def _with_odd_headers(request: bytes) -> bytes:
    line, end, rest = request.partition(b"\r\n")
    headers = "\r\n".join(_dice.choices(oddities.HEADERS, k=_dice.randint(1, 3)))
    return line + end + headers.encode("latin-1", "replace") + end + rest


def _of_odd_json(account: Stranger) -> bytes:
    """Return a good request whose body has one member replaced by anything."""
    method, path, body = _dice.choice(
        [
            ("PUT", "/user", account.profile()), ("PUT", "/event", account.event()),
            ("POST", "/shareditem", account.item()), ("PUT", "/inbox", account.message()),
            ("POST", "/users", {"ids": [account.id]}), ("PUT", "/follow-secret", account.secret()),
            ("POST", "/events", account.poll()),
        ]
    )  # fmt: skip
    place: Any = body
    name = _name_in(place)
    while isinstance(place[name], dict | list) and place[name] and _dice.random() < DEEPER:
        place = place[name]
        name = _name_in(place)
    place[name] = _dice.choice(oddities.VALUES)
    return raw(method, path, json.dumps(body).encode())


def _name_in(place: Any) -> Any:
    return _dice.choice(list(place)) if isinstance(place, dict) else _dice.randrange(len(place))
