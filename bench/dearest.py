"""The dearest requests there are: the largest request and the largest answer of every route."""

import random
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from bench import world
from bench.routes import request
from bench.world import PASSWORD
from shared.data.pool import Database

GATEWAY = "gateway"
PICTURE_BYTES = 2_048_000
PART_BYTES = 262_144  # of plans, events and shared items
CHUNK_BYTES = 1_024
CHUNKS = 20
PUBLISHERS = 12
FRIENDS = 1_000
ENVELOPE_OBJECTS = 400_000  # 4 MB
SECRET_CHARACTERS = 40
_SIZED = """
    UPDATE users SET encrypted_profile_picture = :picture, encrypted_current_plan = :plan
    WHERE id = ANY(CAST(:ids AS uuid[]))
"""
_EVENTS = """
    INSERT INTO user_events (user_id, id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv)
    SELECT id, gen_random_uuid(), now() - number * interval '1 minute', now(), now() + interval '90 days', :event, :iv
    FROM unnest(CAST(:ids AS uuid[])) AS id, generate_series(1, 10) AS number
"""
_MESSAGES = """
    INSERT INTO user_inbox_items (id, user_id, encrypted_message)
    SELECT gen_random_uuid(), CAST(:user_id AS uuid), array_fill(CAST(:chunk AS bytea), ARRAY[20])
    FROM generate_series(1, 1000)
"""


class Wishes:
    """The dearest requests there are, ready to be sent. Their accounts are put into the database."""

    def __init__(self, db: Database, function: str) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._inhabited = world.create(db, 0)
        self._rich = [str(user_id) for user_id in self._inhabited.residents[:PUBLISHERS]]
        ids = self._inhabited.residents[:PUBLISHERS]
        db.rows(_SIZED, picture=_random(PICTURE_BYTES), plan=_random(PART_BYTES), ids=ids)
        db.rows(_EVENTS, event=_random(PART_BYTES), iv=_random(16), ids=ids)
        of_families = {
            "user": {
                "PUT /user": self._put_user, "PUT /user, a wrong password": self._wrong_password,
                "GET /user/{id_or_lookup}": self._get_user, "POST /users": self._list_users,
            },
            "event": {"PUT /event": self._put_event, "POST /events": self._poll},
            "inbox": {"PUT /inbox": self._put_message, "POST /inbox": self.take_messages},
            "shared_item": {"POST /shareditem": self._share, "GET /shareditem/{item_id}": self._get_shared},
            "follow_secret": {"PUT /follow-secret": self._put_secret},
        }  # fmt: skip
        chosen = of_families.values() if function == GATEWAY else [of_families[function]]
        self.kinds: dict[str, Callable[[], bytes]] = {name: kind for kinds in chosen for name, kind in kinds.items()}
        self.kinds["POST /, 4 MB of small objects"] = self._envelope
        self._ready = [kind() for name, kind in self.kinds.items() if name != "POST /inbox" for _ in range(2)]
        self._takes = 2 if "POST /inbox" in self.kinds else 0

    def next(self) -> bytes:
        """Return a request."""
        if random.randrange(len(self._ready) + self._takes) < self._takes:  # noqa: S311 # nosec B311
            return self.take_messages()
        return random.choice(self._ready)  # noqa: S311 # nosec B311

    def _put_user(self, password: str = PASSWORD) -> bytes:
        return _request("PUT", "/user", {
            "id": random.choice(self._rich), "password": password,  # noqa: S311 # nosec B311
            "encryptedProfilePicture": _base64(PICTURE_BYTES), "encryptedCurrentPlan": _base64(PART_BYTES),
            "encryptionIV": _base64(16), "rsaPublicKey": _base64(1024),
        })  # fmt: skip

    def _wrong_password(self) -> bytes:
        return self._put_user("wrong")

    def _list_users(self) -> bytes:
        return _request("POST", "/users", {"ids": self._rich[:4] + [str(uuid4()) for _ in range(FRIENDS - 4)]})

    def _get_user(self) -> bytes:
        return _request("GET", f"/user/{self._rich[0]}")

    def _envelope(self) -> bytes:
        return _request("POST", "/", {"route": "PUT /user", "body": [{"a": 1}] * ENVELOPE_OBJECTS})

    def _put_event(self) -> bytes:
        return _request("PUT", "/event", {
            "userId": self._rich[0], "password": PASSWORD, "eventId": str(uuid4()), "expiry": _EXPIRY,
            "encryptedEventPayload": _base64(PART_BYTES), "encryptedEventIV": _base64(16),
        })  # fmt: skip

    def _poll(self) -> bytes:
        asked = [{"userId": one, "followSecret": one, "since": world.SINCE_ALL} for one in self._rich]
        return _request("POST", "/events", {"users": asked})

    def _put_message(self) -> bytes:
        chunks = [_base64(CHUNK_BYTES)] * CHUNKS
        return _request("PUT", "/inbox", {"toUserId": str(self._resident()), "encryptedMessage": chunks})

    def take_messages(self) -> bytes:
        """Fill an inbox, and return the request that takes it."""
        user_id = self._resident()
        with self._lock:
            self._db.rows(_MESSAGES, user_id=user_id, chunk=_random(CHUNK_BYTES))
        return _request("POST", "/inbox", {"userId": str(user_id), "password": PASSWORD})

    def _put_secret(self) -> bytes:
        return _request(
            "PUT",
            "/follow-secret",
            {"userId": self._rich[0], "password": PASSWORD, "followSecret": "s" * SECRET_CHARACTERS},
        )

    def _share(self) -> bytes:
        return _request("POST", "/shareditem", {
            "userId": self._rich[0], "password": PASSWORD, "encryptedPayload": {
                "encryptedPayload": _base64(PART_BYTES), "iv": {"value": _base64(16)}}, "expiry": _EXPIRY,
        })  # fmt: skip

    def _get_shared(self) -> bytes:
        return _request("GET", f"/shareditem/{self._inhabited.item_ids[0]}")

    def _resident(self) -> UUID:
        return random.choice(self._inhabited.residents[PUBLISHERS:])  # noqa: S311 # nosec B311


_EXPIRY = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 90 * 24 * 3600))


def _random(byte_count: int) -> bytes:
    return random.randbytes(byte_count)  # noqa: S311 # nosec B311


def _base64(byte_count: int) -> str:
    return b64encode(_random(byte_count)).decode()


def _request(method: str, path: str, body: Any = None) -> bytes:
    encoding = random.choice(["gzip", "identity"])  # noqa: S311 # nosec B311
    return request(method, path, body, Accept_Encoding=encoding, Connection="close")
