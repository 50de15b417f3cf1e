"""The requests that hostile ones are made from: of every public route, with an account's own credentials."""

import http.client
import json
from base64 import b64encode
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

WEB_KEY = "the key of the web"
EXPIRY = "2027-06-01T00:00:00Z"
IV = b64encode(bytes(16)).decode()
WISHES = {
    "age": 30, "gender": "any", "weight_kg": 80, "experience_level": "beginner", "goals": "strength",
    "days_per_week": 3,
}  # fmt: skip
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stranger:
    """One that the gateway has made."""

    id: str
    password: str

    def credentials(self, name: str = "userId") -> Json:
        """Return what proves who it is."""
        return {name: self.id, "password": self.password}

    def profile(self, picture_bytes: int = 30) -> Json:
        """Return a whole profile, with a picture of some size."""
        return self.credentials("id") | {
            "encryptedCurrentPlan": b64encode(b"plan").decode(),
            "encryptedProfilePicture": b64encode(bytes(picture_bytes)).decode(),
            "encryptedName": b64encode(b"name").decode(), "encryptionIV": IV,
            "rsaPublicKey": b64encode(bytes(294)).decode(),
        }  # fmt: skip

    def event(self, payload_bytes: int = 1024) -> Json:
        """Return an event with a new id."""
        payload = b64encode(bytes(payload_bytes)).decode()
        return self.credentials() | {
            "eventId": str(uuid4()), "encryptedEventPayload": payload, "encryptedEventIV": IV, "expiry": EXPIRY,
        }  # fmt: skip

    def item(self, payload_bytes: int = 1024) -> Json:
        """Return a shared item."""
        payload = {"encryptedPayload": b64encode(bytes(payload_bytes)).decode(), "iv": {"value": IV}}
        return self.credentials() | {"encryptedPayload": payload, "expiry": EXPIRY}

    def secret(self) -> Json:
        """Return a new follow secret."""
        return self.credentials() | {"followSecret": str(uuid4())}

    def poll(self) -> Json:
        """Return the question for its own events."""
        return {"users": [{"userId": self.id, "followSecret": "s", "since": "2000-01-01T00:00:00Z"}]}

    def message(self, chunks: int = 1) -> Json:
        """Return a message to its inbox."""
        return {"toUserId": self.id, "encryptedMessage": [b64encode(bytes(1024)).decode()] * chunks}


def raw(method: str, path: str, body: Json | bytes | None = None, **headers: str) -> bytes:
    """Return a request's bytes; header names are given with underscores."""
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(content))}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1") + content


def new_stranger(port: int, address: str = "") -> Stranger:
    """Create an account, as a client of that address."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/user/create", "{}", {"X-Forwarded-For": address} if address else {})
    created = json.loads(connection.getresponse().read())
    connection.close()
    return Stranger(created["id"], created["password"])


def good_requests(account: Stranger) -> list[bytes]:
    """Return one request of each public route, each of which is answered with success."""
    planner = {"Authorization": f"Web {WEB_KEY}"}
    return [
        raw("POST", "/user/create", {}),
        raw("GET", f"/user/{account.id}"),
        raw("PUT", "/user", account.profile()),
        raw("POST", "/users", {"ids": [account.id]}),
        raw("PUT", "/event", account.event()),
        raw("POST", "/events", account.poll()),
        raw("PUT", "/follow-secret", account.secret()),
        raw("POST", "/follow-secret/delete", account.secret()),
        raw("PUT", "/inbox", account.message()),
        raw("POST", "/inbox", account.credentials()),
        raw("POST", "/shareditem", account.item()),
        raw("GET", "/shareditem/abcdefghijkl"),
        raw("POST", "/ai/workout", WISHES, **planner),
        raw("POST", "/ai-chat/negotiate?negotiateVersion=1", b"", **planner),
        raw("GET", "/health"),
        raw("GET", "/health/ready"),
        raw("POST", "/", {"route": f"GET /user/{account.id}"}),
        raw("OPTIONS", "/event", None, Origin="https://app.example", Access_Control_Request_Method="PUT"),
    ]
