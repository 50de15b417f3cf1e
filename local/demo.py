"""`make demo`: the app's story against a running server (BASE_URL), with real cryptography, one line a step.

Ben follows Ada, reads what she publishes, opens a workout that she shares by link, and is revoked. The exit status is
0 when every step went as the app needs it. Both accounts are deleted at the end, also after a step that failed.
"""

import binascii
import json
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

import requests

from local import app_crypto
from local.app_crypto import NotAuthentic
from local.settings import client_settings

BEGINNING = "2000-01-01T00:00:00Z"  # what the app asks since, before it holds an event
RETENTION = timedelta(days=90)  # the app's, of events and shared workouts
TIMEOUT_SECONDS = 30.0

Json = dict[str, Any]
Kind = TypeVar("Kind")


class StoryBroken(Exception):
    """The server did something that the app cannot live with; the message says what."""


class ServerUnreachable(Exception):
    """Nobody answers there; the message says where."""


class Server:
    """The server as a phone sees it: JSON out, JSON and a status back."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self._session = requests.Session()

    def ask(self, method: str, path: str, body: Json | None = None, *, status: int = 200) -> Any:
        """Return the answer's JSON, an empty object for an empty answer. Raises StoryBroken for any other status."""
        try:
            answer = self._session.request(method, self.base_url + path, json=body, timeout=TIMEOUT_SECONDS)
        except requests.ConnectionError as error:
            raise ServerUnreachable(f"no server answers on {self.base_url}") from error
        except requests.RequestException as error:
            raise StoryBroken(f"{method} {path} got no answer ({type(error).__name__})") from error
        if answer.status_code != status:
            raise StoryBroken(f"{method} {path} answered {answer.status_code} instead of {status}")
        try:
            return json.loads(answer.content or b"{}")
        except ValueError as error:
            raise StoryBroken(f"{method} {path} answered something that is not JSON") from error


@dataclass(frozen=True, slots=True)
class Message:
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
class Feed:
    """A friend's workouts, decrypted and verified, the oldest first."""

    workouts: list[Json]
    newest: str  # the server's clock
    invalid_secrets: list[str]


class Phone:
    """One person's app: makes and keeps the keys, and believes only what is signed."""

    user_id: str
    lookup: str
    _password: str

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self.name = name
        self.keys = app_crypto.new_key_pair()
        self.aes_key = app_crypto.new_aes_key()
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
        iv = app_crypto.new_iv()
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
        signature = app_crypto.sign(self.keys.private_key, (payload + self.user_id + recipient_id).encode())
        message = {"type": kind, "payloadJson": payload, "senderUserId": self.user_id, "signature": text_of(signature)}
        recipient_key = bytes_of(self.get_user(recipient_id), "rsaPublicKey")
        chunks = app_crypto.seal(recipient_key, json.dumps(message).encode())
        body = {"toUserId": recipient_id, "encryptedMessage": [text_of(chunk) for chunk in chunks]}
        self._server.ask("PUT", "/inbox", body)

    def take_messages(self) -> list[Message]:
        """Empty the inbox. Raises NotAuthentic if a message is not of the sender that it names."""
        answer = self._server.ask("POST", "/inbox", self._credentials())
        return [self._read(sealed) for sealed in part(answer, "inboxMessages", list)]

    def _read(self, sealed: Any) -> Message:
        chunks = [decoded(chunk, "encryptedMessage") for chunk in part(sealed, "encryptedMessage", list)]
        message = parsed(app_crypto.open_sealed(self.keys.private_key, chunks))
        sender_id, payload = part(message, "senderUserId", str), part(message, "payloadJson", str)
        sender_key = bytes_of(self.get_user(sender_id), "rsaPublicKey")
        signed = (payload + sender_id + self.user_id).encode()
        app_crypto.verify(sender_key, signed, bytes_of(message, "signature"))
        return Message(part(message, "type", str), sender_id, parsed(payload.encode()))

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
        iv = app_crypto.new_iv()
        return self._credentials() | {
            "eventId": workout["id"],
            "encryptedEventPayload": text_of(self._seal(iv, json.dumps(workout).encode())),
            "encryptedEventIV": text_of(iv),
            "expiry": expiry(),
        }

    def get_feed(self, friend: Friend, since: str = BEGINNING) -> Feed:
        """Return a friend's workouts published after an instant. Raises NotAuthentic."""
        entry = {"userId": friend.user_id, "followSecret": friend.follow_secret, "since": since}
        answer = self._server.ask("POST", "/events", {"users": [entry]})
        events = part(answer, "events", list)
        workouts = [self.open_event(friend, event) for event in events]
        newest = part(events[-1], "timestamp", str) if events else since
        return Feed(workouts, newest, part(answer, "invalidFollowSecrets", list))

    def open_event(self, friend: Friend, event: Any) -> Json:
        """Return the workout in a friend's event. Raises NotAuthentic."""
        return parsed(self._open(friend, event, "encryptedEventPayload", "encryptedEventIV"))

    def share(self, workout: Json) -> str:
        """Return a link to a workout. The key is behind the #, which no browser sends to a server."""
        aes_key, iv = app_crypto.new_aes_key(), app_crypto.new_iv()
        ciphertext = app_crypto.sign_and_encrypt(self.keys.private_key, aes_key, iv, json.dumps(workout).encode())
        payload = {"encryptedPayload": text_of(ciphertext), "iv": {"value": text_of(iv)}}
        body = self._credentials() | {"encryptedPayload": payload, "expiry": expiry()}
        item_id = part(self._server.ask("POST", "/shareditem", body), "id", str)
        return f"/shareditem/{item_id}#{aes_key.hex()}"

    def _credentials(self) -> Json:
        return {"userId": self.user_id, "password": self._password}

    def _seal(self, iv: bytes, plaintext: bytes) -> bytes:
        return app_crypto.sign_and_encrypt(self.keys.private_key, self.aes_key, iv, plaintext)

    def _open(self, friend: Friend, answer: Any, ciphertext: str, iv: str) -> bytes:
        return app_crypto.decrypt_and_verify(
            friend.public_key, friend.aes_key, bytes_of(answer, iv), bytes_of(answer, ciphertext)
        )


def open_link(server: Server, link: str) -> Json:
    """Return the workout behind a link, as anybody may who has it. Raises NotAuthentic."""
    path, _, key = link.partition("#")
    answer = server.ask("GET", path)
    author_key = bytes_of(part(answer, "rsaPublicKey", dict), "spkiPublicKeyBytes")
    payload = part(answer, "encryptedPayload", dict)
    iv = bytes_of(part(payload, "iv", dict), "value")
    ciphertext = bytes_of(payload, "encryptedPayload")
    return parsed(app_crypto.decrypt_and_verify(author_key, bytes.fromhex(key), iv, ciphertext))


class Story:
    """What happens between Ada and Ben. Each method is a step, told in `STEPS`, and raises what went wrong."""

    _ada: Phone
    _ben: Phone
    _requester_id: str  # who asks to follow Ada, as her phone has read it
    _secret: str  # Ada's, for Ben
    _friend: Friend  # Ada, as Ben keeps her
    _newest: str  # the instant of Ben's newest event
    _link: str

    def __init__(self, server: Server) -> None:
        self._server = server
        self._phones: list[Phone] = []
        self._squats = {"id": str(uuid4()), "name": "Leg day", "sets": [{"exercise": "Squat", "reps": 5, "kg": "100"}]}
        self._presses = {"id": str(uuid4()), "name": "Push day", "sets": [{"exercise": "Bench", "reps": 8, "kg": "60"}]}
        self._plan = {"name": "5x5", "sessions": ["Leg day", "Push day"]}

    def look_for_the_server(self) -> None:
        self._server.ask("GET", "/health")
        self._server.ask("GET", "/health/ready")

    def make_keys(self) -> None:
        self._ada, self._ben = Phone(self._server, "Ada"), Phone(self._server, "Ben")
        self._phones = [self._ada, self._ben]

    def create_accounts(self) -> None:
        for phone in self._phones:
            phone.create_account()
        expect(len({phone.user_id for phone in self._phones}), 2, "two accounts have one id")

    def put_profiles(self) -> None:
        self._ada.put_profile(self._plan)
        self._ben.put_profile({"name": "None yet", "sessions": []})

    def find_ada(self) -> None:
        user = self._ben.get_user(self._ada.lookup)
        expect(part(user, "id", str), self._ada.user_id, "Ada's lookup leads to somebody else")
        expect(bytes_of(user, "rsaPublicKey"), self._ada.keys.public_key, "Ada's public key is another one")
        guess = Friend(
            self._ada.user_id, self._ada.keys.public_key, aes_key=self._ben.aes_key, follow_secret=str(uuid4())
        )
        expect_refusal(lambda: self._ben.get_profile(guess), "Ada's profile opens without her key")

    def ask_to_follow(self) -> None:
        self._ben.send(self._ada.user_id, "FollowRequest", {"name": "Ben"})

    def read_request(self) -> None:
        message = only(self._ada.take_messages(), "message in Ada's inbox")
        self._requester_id = message.sender_id
        expect(message, Message("FollowRequest", self._ben.user_id, {"name": "Ben"}), "Ada got another message")
        expect(self._ada.take_messages(), [], "Ada's inbox gave its message twice")

    def accept(self) -> None:
        self._secret = self._ada.put_follow_secret()
        response = {"aesKey": text_of(self._ada.aes_key), "followSecret": self._secret}
        self._ada.send(self._requester_id, "FollowResponse", response)

    def read_response(self) -> None:
        message = only(self._ben.take_messages(), "message in Ben's inbox")
        expect((message.kind, message.sender_id), ("FollowResponse", self._ada.user_id), "Ben got another message")
        self._friend = Friend(
            user_id=message.sender_id,
            public_key=bytes_of(self._ben.get_user(message.sender_id), "rsaPublicKey"),
            aes_key=bytes_of(message.content, "aesKey"),
            follow_secret=part(message.content, "followSecret", str),
        )

    def read_profile(self) -> None:
        expect(self._ben.get_profile(self._friend), ("Ada", self._plan), "Ada's profile came back changed")

    def publish(self) -> None:
        self._ada.publish(self._squats)
        self._ada.publish(self._presses)

    def read_feed(self) -> None:
        feed = self._ben.get_feed(self._friend)
        self._newest = feed.newest
        expect(feed.workouts, [self._squats, self._presses], "the feed is not what Ada published, in that order")
        expect(feed.invalid_secrets, [], "Ben's valid follow secret is called invalid")
        expect(self._ben.get_feed(self._friend, feed.newest).workouts, [], "the feed repeats what Ben already has")

    def correct_a_workout(self) -> None:
        self._squats = self._squats | {"name": "Leg day, with a new record"}
        self._ada.publish(self._squats)
        feed = self._ben.get_feed(self._friend, self._newest)
        expect(feed.workouts, [self._squats], "the corrected workout did not come, or not alone")

    def refuse_wrong_password(self) -> None:
        wrong = {"password": str(uuid4())}
        forged = self._ada.event(self._squats | {"name": "Not Ada's"}) | wrong
        self._server.ask("PUT", "/event", forged, status=401)
        self._server.ask("POST", "/inbox", {"userId": self._ada.user_id} | wrong, status=401)
        self._server.ask("POST", "/user/delete", {"id": self._ada.user_id} | wrong, status=401)
        feed = self._ben.get_feed(self._friend)
        expect(feed.workouts, [self._presses, self._squats], "a refused request changed Ada's feed")

    def notice_tampering(self) -> None:
        event = self._ada.event(self._squats)
        ciphertext = bytearray(bytes_of(event, "encryptedEventPayload"))
        ciphertext[0] ^= 1
        changed = event | {"encryptedEventPayload": text_of(bytes(ciphertext))}
        expect_refusal(lambda: self._ben.open_event(self._friend, changed), "Ben's phone believes a changed workout")

    def share(self) -> None:
        self._link = self._ada.share(self._presses)

    def open_link(self) -> None:
        expect(open_link(self._server, self._link), self._presses, "the shared workout came back changed")

    def revoke(self) -> None:
        self._ada.delete_follow_secret(self._secret)
        feed = self._ben.get_feed(self._friend)
        expect(feed.invalid_secrets, [self._secret], "the revoked secret is not in invalidFollowSecrets")
        expect(feed.workouts, [], "Ben still gets workouts after he was revoked")

    def delete_accounts(self) -> None:
        for phone in self._phones:
            phone.delete_account()
        self._server.ask("GET", self._link.partition("#")[0], status=404)

    def clean_up(self) -> None:
        """Delete what a broken story left behind; after a whole one there is nothing."""
        for phone in self._phones:
            try:
                phone.delete_account()
            except (StoryBroken, ServerUnreachable) as error:
                print(f"make demo: {phone.name}'s account may be left behind: {error}", file=sys.stderr)


STEPS: list[tuple[str, Callable[[Story], None]]] = [
    ("The server answers, and so does its database", Story.look_for_the_server),
    ("Ada's and Ben's phones make their keys (RSA 2048, AES 128)", Story.make_keys),
    ("Both get an account, with no name and no e-mail address", Story.create_accounts),
    ("Both store their profile: name and plan, encrypted on the phone", Story.put_profiles),
    ("Ben finds Ada by the code she gave him; her name stays unreadable to him", Story.find_ada),
    ("Ben asks to follow Ada: signed, sealed with her key, into her inbox", Story.ask_to_follow),
    ("Ada's phone collects the request, once, and sees that it is really Ben's", Story.read_request),
    ("Ada accepts: a follow secret for Ben, and her key into his inbox", Story.accept),
    ("Ben's phone collects the answer and sees that it is really Ada's", Story.read_response),
    ("Ben reads Ada's name and plan", Story.read_profile),
    ("Ada finishes two workouts and publishes them", Story.publish),
    ("Ben's feed shows both, decrypted, in order, signed by Ada; asked again, nothing twice", Story.read_feed),
    ("Ada corrects one, and Ben's feed brings just that one again", Story.correct_a_workout),
    ("Somebody tries Ada's account with a wrong password: refused, nothing changed", Story.refuse_wrong_password),
    ("A workout changed on its way is thrown away by Ben's phone", Story.notice_tampering),
    ("Ada shares a workout by link", Story.share),
    ("Somebody without an account opens the link and reads it", Story.open_link),
    ("Ada revokes Ben: his secret is invalid, his feed of her empty", Story.revoke),
    ("Both delete their accounts, and everything of theirs is gone", Story.delete_accounts),
]


def main() -> int:
    """Play the story. Return the exit status."""
    settings = client_settings()
    story = Story(Server(settings.base_url))
    try:
        seconds = play(story)
    except ServerUnreachable as error:
        print(f"make demo: {error}; run `make serve` first", file=sys.stderr)
        return 1
    except (StoryBroken, NotAuthentic) as error:
        print(f"make demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        story.clean_up()
    print(f"All {len(STEPS)} steps went well on {settings.base_url}, in {seconds:.1f} s; nothing is left behind")
    return 0


def play(story: Story) -> float:
    """Tell the steps, each in one line. Return the seconds. Raises what went wrong in the first that fails."""
    beginning = time.perf_counter()
    for number, (sentence, step) in enumerate(STEPS, 1):
        before = time.perf_counter()
        try:
            step(story)
        except (StoryBroken, NotAuthentic):
            print(f"{number:2}   BROKEN  {sentence}", flush=True)
            raise
        print(f"{number:2} {1000 * (time.perf_counter() - before):6.0f} ms  {sentence}", flush=True)
    return time.perf_counter() - beginning


def expect(actual: object, expected: object, otherwise: str) -> None:
    """Raises StoryBroken, saying what is wrong, unless the two are equal."""
    if actual != expected:
        raise StoryBroken(otherwise)


def expect_refusal(action: Callable[[], object], otherwise: str) -> None:
    """Raises StoryBroken, saying what is wrong, unless the phone finds that something is not authentic."""
    try:
        action()
    except NotAuthentic:
        return
    raise StoryBroken(otherwise)


def only(things: list[Kind], what: str) -> Kind:
    """Return the one thing in a list. Raises StoryBroken for none and for many."""
    if len(things) != 1:
        raise StoryBroken(f"one {what} was expected, there are {len(things)}")
    return things[0]


def part(answer: Any, name: str, kind: type[Kind]) -> Kind:
    """Return a field of an answer. Raises StoryBroken if it is absent or of another kind."""
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, kind):
        raise StoryBroken(f"an answer has no {name}, or one of a wrong kind")
    return value


def bytes_of(answer: Any, name: str) -> bytes:
    """Return a field of bytes. Raises StoryBroken."""
    return decoded(part(answer, name, str), name)


def decoded(text: Any, name: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise StoryBroken(f"{name} is not base64") from error


def text_of(content: bytes) -> str:
    return b64encode(content).decode()


def parsed(plaintext: bytes) -> Json:
    """Return what a phone has written as JSON. Raises StoryBroken."""
    try:
        document: Json = json.loads(plaintext)
    except ValueError as error:
        raise StoryBroken("a decrypted text is not JSON") from error
    return document


def expiry() -> str:
    return (datetime.now(UTC) + RETENTION).isoformat().replace("+00:00", "Z")


if __name__ == "__main__":
    sys.exit(main())
