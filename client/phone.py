"""A phone with the app: its account, its keys, and what it sends and believes, with real cryptography."""

import binascii
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import requests

from client import crypto

BEGINNING = "2000-01-01T00:00:00Z"  # what the app asks since, before it holds an event
RETENTION = timedelta(days=90)  # the app's, of events and shared workouts
TIMEOUT_SECONDS = 30.0

Json = dict[str, Any]
Kind = TypeVar("Kind")


class UnexpectedAnswer(Exception):
    """The server did something that the app cannot live with; the message says what."""


class ServerUnreachable(Exception):
    """Nobody answers there; the message says where."""


class Backend:
    """The server as a phone sees it: JSON out, JSON and a status back."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._session = requests.Session()

    def ask(self, method: str, path: str, body: Json | None = None, *, status: int = 200) -> Any:
        """Return the answer's JSON, an empty object for an empty one. Raises UnexpectedAnswer for any other status."""
        try:
            answer = self._session.request(method, self.base_url + path, json=body, timeout=TIMEOUT_SECONDS)
        except requests.ConnectionError as error:
            raise ServerUnreachable(f"no server answers on {self.base_url}") from error
        except requests.RequestException as error:
            raise UnexpectedAnswer(f"{method} {path} got no answer ({type(error).__name__})") from error
        if answer.status_code != status:
            raise UnexpectedAnswer(f"{method} {path} answered {answer.status_code} instead of {status}")
        try:
            return json.loads(answer.content or b"{}")
        except ValueError as error:
            raise UnexpectedAnswer(f"{method} {path} answered something that is not JSON") from error


@dataclass(frozen=True, slots=True)
class InboxMessage:
    """An inbox message that its sender has signed for the reader."""

    kind: str
    sender_id: str
    content: Json


@dataclass(frozen=True, slots=True)
class Friend:
    """What a follower keeps of somebody."""

    user_id: str
    public_key: bytes
    aes_key: bytes
    follow_secret: str


@dataclass(frozen=True, slots=True)
class FriendFeed:
    """A friend's workouts, decrypted and verified, the oldest first."""

    workouts: list[Json]
    newest: str  # the server's clock
    invalid_secrets: list[str]


class Phone:
    """One person's app: makes and keeps the keys, and believes only what is signed."""

    user_id: str
    lookup: str
    _password: str

    def __init__(self, server: Backend, name: str) -> None:
        self._server = server
        self.name = name
        self.keys = crypto.new_key_pair()
        self.aes_key = crypto.new_aes_key()
        self._has_account = False

    def create_account(self) -> None:
        """Get an account. The password comes once, and the phone keeps it."""
        account = self._server.ask("POST", "/user/create", {})
        self.user_id = part(account, "id", str)
        self._password = part(account, "password", str)
        self._has_account = True
        self.lookup = part(account, "lookup", str)

    def delete_account(self) -> None:
        """Delete the account and see that it is gone; without one, do nothing."""
        if self._has_account:
            self._server.ask("POST", "/user/delete", {"id": self.user_id, "password": self._password})
            self._server.ask("GET", f"/user/{self.user_id}", status=404)
            self._has_account = False

    def put_profile(self, plan: Json) -> None:
        """Store name and plan under one IV, as the app does."""
        iv = crypto.new_iv()
        profile = {
            "encryptedName": text_of(self._seal(iv, self.name.encode())),
            "encryptedCurrentPlan": text_of(self._seal(iv, json.dumps(plan).encode())),
            "encryptionIV": text_of(iv),
            "rsaPublicKey": text_of(self.keys.public_key),
        }
        self._server.ask("PUT", "/user", {"id": self.user_id, "password": self._password} | profile)

    def get_user(self, id_or_lookup: str) -> Json:
        """Return what anybody may see of an account."""
        user: Json = self._server.ask("GET", f"/user/{id_or_lookup}")
        return user

    def get_profile(self, friend: Friend) -> tuple[str, Json]:
        """Return a friend's name and plan."""
        users = part(self._server.ask("POST", "/users", {"ids": [friend.user_id]}), "users", dict)
        user = part(users, friend.user_id, dict)
        name = self._open(friend, user, "encryptedName", "encryptionIV")
        return name.decode(), parsed(self._open(friend, user, "encryptedCurrentPlan", "encryptionIV"))

    def send(self, recipient_id: str, kind: str, content: Json) -> None:
        """Put a message, signed for this recipient, into their inbox."""
        payload = json.dumps(content)
        signature = crypto.sign(self.keys.private_key, (payload + self.user_id + recipient_id).encode())
        message = {"type": kind, "payloadJson": payload, "senderUserId": self.user_id, "signature": text_of(signature)}
        recipient_key = bytes_of(self.get_user(recipient_id), "rsaPublicKey")
        chunks = crypto.seal(recipient_key, json.dumps(message).encode())
        body = {"toUserId": recipient_id, "encryptedMessage": [text_of(chunk) for chunk in chunks]}
        self._server.ask("PUT", "/inbox", body)

    def take_messages(self) -> list[InboxMessage]:
        """Empty the inbox. Raises NotAuthentic if a message is not of the sender that it names."""
        answer = self._server.ask("POST", "/inbox", self._credentials())
        return [self._read(sealed) for sealed in part(answer, "inboxMessages", list)]

    def _read(self, sealed: Any) -> InboxMessage:
        chunks = [decoded(chunk, "encryptedMessage") for chunk in part(sealed, "encryptedMessage", list)]
        message = parsed(crypto.open_sealed(self.keys.private_key, chunks))
        sender_id, payload = part(message, "senderUserId", str), part(message, "payloadJson", str)
        sender_key = bytes_of(self.get_user(sender_id), "rsaPublicKey")
        signed = (payload + sender_id + self.user_id).encode()
        crypto.verify(sender_key, signed, bytes_of(message, "signature"))
        return InboxMessage(part(message, "type", str), sender_id, parsed(payload.encode()))

    def put_follow_secret(self) -> str:
        """Return a new secret that opens this person's feed."""
        secret = str(uuid4())
        self._server.ask("PUT", "/follow-secret", self._credentials() | {"followSecret": secret})
        return secret

    def delete_follow_secret(self, secret: str) -> None:
        self._server.ask("POST", "/follow-secret/delete", self._credentials() | {"followSecret": secret})

    def publish(self, workout: Json) -> None:
        """Publish a workout to all followers, or an edited one again."""
        self._server.ask("PUT", "/event", self.event(workout))

    def event(self, workout: Json) -> Json:
        """Return the request that publishes a workout."""
        iv = crypto.new_iv()
        return self._credentials() | {
            "eventId": workout["id"],
            "encryptedEventPayload": text_of(self._seal(iv, json.dumps(workout).encode())),
            "encryptedEventIV": text_of(iv),
            "expiry": expiry(),
        }

    def get_feed(self, friend: Friend, since: str = BEGINNING) -> FriendFeed:
        """Return a friend's workouts published after an instant. Raises NotAuthentic."""
        entry = {"userId": friend.user_id, "followSecret": friend.follow_secret, "since": since}
        answer = self._server.ask("POST", "/events", {"users": [entry]})
        events = part(answer, "events", list)
        workouts = [self.open_event(friend, event) for event in events]
        newest = part(events[-1], "timestamp", str) if events else since
        return FriendFeed(workouts, newest, part(answer, "invalidFollowSecrets", list))

    def open_event(self, friend: Friend, event: Any) -> Json:
        """Return the workout in a friend's event. Raises NotAuthentic."""
        return parsed(self._open(friend, event, "encryptedEventPayload", "encryptedEventIV"))

    def share(self, workout: Json) -> str:
        """Return a link to a workout. The key is behind the #, which no browser sends to a server."""
        aes_key, iv = crypto.new_aes_key(), crypto.new_iv()
        ciphertext = crypto.sign_and_encrypt(self.keys.private_key, aes_key, iv, json.dumps(workout).encode())
        payload = {"encryptedPayload": text_of(ciphertext), "iv": {"value": text_of(iv)}}
        body = self._credentials() | {"encryptedPayload": payload, "expiry": expiry()}
        item_id = part(self._server.ask("POST", "/shareditem", body), "id", str)
        return f"/shareditem/{item_id}#{aes_key.hex()}"

    def _credentials(self) -> Json:
        return {"userId": self.user_id, "password": self._password}

    def _seal(self, iv: bytes, plaintext: bytes) -> bytes:
        return crypto.sign_and_encrypt(self.keys.private_key, self.aes_key, iv, plaintext)

    def _open(self, friend: Friend, answer: Any, ciphertext: str, iv: str) -> bytes:
        return crypto.decrypt_and_verify(
            friend.public_key, friend.aes_key, bytes_of(answer, iv), bytes_of(answer, ciphertext)
        )


def open_link(server: Backend, link: str) -> Json:
    """Return the workout behind a link, as anybody may who has it. Raises NotAuthentic."""
    path, _, key = link.partition("#")
    answer = server.ask("GET", path)
    author_key = bytes_of(part(answer, "rsaPublicKey", dict), "spkiPublicKeyBytes")
    payload = part(answer, "encryptedPayload", dict)
    iv = bytes_of(part(payload, "iv", dict), "value")
    ciphertext = bytes_of(payload, "encryptedPayload")
    return parsed(crypto.decrypt_and_verify(author_key, bytes.fromhex(key), iv, ciphertext))


def part(answer: Any, name: str, kind: type[Kind]) -> Kind:
    """Return a field of an answer. Raises UnexpectedAnswer if it is absent or of another kind."""
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, kind):
        raise UnexpectedAnswer(f"an answer has no {name}, or one of a wrong kind")
    return value


def bytes_of(answer: Any, name: str) -> bytes:
    """Return a field of bytes. Raises UnexpectedAnswer."""
    return decoded(part(answer, name, str), name)


def decoded(text: Any, name: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise UnexpectedAnswer(f"{name} is not base64") from error


def text_of(content: bytes) -> str:
    return b64encode(content).decode()


def parsed(plaintext: bytes) -> Json:
    """Return what a phone has written as JSON. Raises UnexpectedAnswer."""
    try:
        document: Json = json.loads(plaintext)
    except ValueError as error:
        raise UnexpectedAnswer("a decrypted text is not JSON") from error
    return document


def expiry() -> str:
    return (datetime.now(UTC) + RETENTION).isoformat().replace("+00:00", "Z")
