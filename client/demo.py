"""`make demo`: the app's story against a running server (BASE_URL), with real cryptography, one line a step.

Ben follows Ada, reads what she publishes, opens a workout that she shares by link, and is revoked. The exit status is
0 when every step went as the app needs it. Both accounts are deleted at the end, also after a step that failed.
"""

import sys
import time
from collections.abc import Callable
from uuid import uuid4

from client.crypto import NotAuthentic
from client.phone import (
    Backend,
    Friend,
    InboxMessage,
    Kind,
    Phone,
    ServerUnreachable,
    UnexpectedAnswer,
    bytes_of,
    open_link,
    part,
    text_of,
)
from local.settings import client_settings


class StoryBroken(Exception):
    """A step did not go as the app needs it; the message says what was wrong."""


FAULTS = (StoryBroken, UnexpectedAnswer, NotAuthentic)


class Story:
    """What happens between Ada and Ben. Each method is a step, told in `STEPS`, and raises what went wrong."""

    _ada: Phone
    _ben: Phone
    _requester_id: str  # who asks to follow Ada, as her phone has read it
    _secret: str  # Ada's, for Ben
    _friend: Friend  # Ada, as Ben keeps her
    _newest: str  # the instant of Ben's newest event
    _link: str

    def __init__(self, server: Backend) -> None:
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
        expect(message, InboxMessage("FollowRequest", self._ben.user_id, {"name": "Ben"}), "Ada got another message")
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
            except (UnexpectedAnswer, ServerUnreachable) as error:
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
    story = Story(Backend(settings.base_url))
    try:
        seconds = play(story)
    except ServerUnreachable as error:
        print(f"make demo: {error}; run `make serve` first", file=sys.stderr)
        return 1
    except FAULTS as error:
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
        except FAULTS:
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


if __name__ == "__main__":
    sys.exit(main())
