"""The feed over HTTP."""

from datetime import datetime
from uuid import uuid4

import pytest

from tests.users import EPOCH, IV, base64

UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def followed(call, new_user):
    """Return a function that makes a user with a follow secret of their own."""

    def create():
        user = new_user()
        secret = str(uuid4())
        assert call("PUT", "/follow-secret", user.secret(secret)).status_code == 200
        return user, secret

    return create


@pytest.fixture
def poll(call):
    """Return a function that polls and returns the answer's JSON."""

    def ask(*entries):
        answer = call("POST", "/events", {"users": list(entries)})
        assert answer.status_code == 200
        return answer.json

    return ask


def test_a_follower_gets_what_was_published(call, poll, followed):
    user, secret = followed()
    event = user.event(expiry="2998-07-01T10:00:00.1234567+10:00")
    assert call("PUT", "/event", event).status_code == 200
    feed = poll(user.asked(secret))
    timestamp = feed["events"][0].pop("timestamp")
    assert datetime.fromisoformat(timestamp).tzinfo is not None
    assert len(timestamp) == len("2026-11-24T03:00:00.123456Z")
    assert feed == {
        "events": [
            {
                "userId": user.id,
                "eventId": event["eventId"],
                "encryptedEventPayload": event["encryptedEventPayload"],
                "encryptedEventIV": IV,
                "expiry": "2998-07-01T00:00:00.123456Z",
            }
        ],
        "invalidFollowSecrets": [],
    }


def test_since_is_exclusive_and_events_come_in_order(call, poll, followed):
    user, secret = followed()
    for size in (1, 2, 3):
        call("PUT", "/event", user.event(encryptedEventPayload=base64(size)))
    events = poll(user.asked(secret))["events"]
    assert [event["encryptedEventPayload"] for event in events] == [base64(1), base64(2), base64(3)]
    assert poll(user.asked(secret, events[0]["timestamp"]))["events"] == events[1:]
    assert poll(user.asked(secret, events[2]["timestamp"]))["events"] == []


def test_an_edited_event_comes_again_with_a_new_timestamp(call, poll, followed):
    user, secret = followed()
    event = user.event()
    call("PUT", "/event", event)
    first = poll(user.asked(secret))["events"][0]
    call("PUT", "/event", event | {"encryptedEventPayload": base64(7)})
    (second,) = poll(user.asked(secret, first["timestamp"]))["events"]
    assert second["eventId"] == first["eventId"]
    assert second["timestamp"] > first["timestamp"]
    assert len(poll(user.asked(secret))["events"]) == 1


def test_an_expired_event_is_stored_and_never_shown(call, poll, followed):
    user, secret = followed()
    assert call("PUT", "/event", user.event(expiry="2001-01-01T00:00:00Z")).status_code == 200
    assert poll(user.asked(secret))["events"] == []


def test_a_wrong_secret_is_listed_and_breaks_nothing_else(call, poll, followed):
    user, _secret = followed()
    other, other_secret = followed()
    call("PUT", "/event", user.event())
    call("PUT", "/event", other.event())
    feed = poll(user.asked("wrong"), other.asked(other_secret), other.asked("wrong too"), user.asked("wrong"))
    assert [event["userId"] for event in feed["events"]] == [other.id]
    assert feed["invalidFollowSecrets"] == ["wrong", "wrong too"]


def test_a_secret_of_somebody_else_is_invalid_unless_it_is_valid_for_another_entry(poll, followed):
    (user, secret), (other, _) = followed(), followed()
    assert poll(other.asked(secret))["invalidFollowSecrets"] == [secret]
    assert poll(other.asked(secret), user.asked(secret))["invalidFollowSecrets"] == []


def test_one_secret_value_of_two_users_opens_both(call, poll, new_user):
    secret = str(uuid4())
    users = [new_user(), new_user()]
    for user in users:
        call("PUT", "/follow-secret", user.secret(secret))
        call("PUT", "/event", user.event())
    feed = poll(*(user.asked(secret) for user in users))
    assert {event["userId"] for event in feed["events"]} == {user.id for user in users}
    assert feed["invalidFollowSecrets"] == []


def test_one_user_twice_gives_an_event_once_from_the_earliest_valid_since(call, poll, followed):
    user, secret = followed()
    for _ in range(3):
        call("PUT", "/event", user.event())
    events = poll(user.asked(secret))["events"]
    late, middle = events[1]["timestamp"], events[0]["timestamp"]
    assert poll(user.asked(secret, late), user.asked(secret, middle), user.asked("no", EPOCH))["events"] == events[1:]


@pytest.mark.parametrize("secret", ["", "x" * 41, "nul\0", "\u20ac" * 40, "'; DROP TABLE users; --", "{a,b}", "NULL"])
def test_any_text_may_be_presented(poll, new_user, secret):
    assert poll(new_user().asked(secret)) == {"events": [], "invalidFollowSecrets": [secret]}


@pytest.mark.parametrize("since", ["0001-01-01T00:00:01Z", "0999-12-31T23:59:59.999999+14:00", "9999-12-31T23:59:59Z"])
def test_since_may_be_any_instant(call, poll, followed, since):
    user, secret = followed()
    call("PUT", "/event", user.event())
    assert len(poll(user.asked(secret, since))["events"]) == (since < "9999")


def test_an_unknown_user_is_an_invalid_secret(poll):
    entry = {"userId": UNKNOWN, "followSecret": "s", "since": EPOCH}
    assert poll(entry) == {"events": [], "invalidFollowSecrets": ["s"]}


def test_a_long_feed_comes_in_parts_and_nothing_is_left_out(call, poll, followed):
    user, secret = followed()
    for _ in range(260):
        call("PUT", "/event", user.event(encryptedEventPayload=base64(15_360)))
    seen: list[str] = []
    since = EPOCH
    while events := poll(user.asked(secret, since))["events"]:
        assert sum(len(event["encryptedEventPayload"]) for event in events) <= 2 * 1024 * 1024
        seen += [event["eventId"] for event in events]
        since = events[-1]["timestamp"]
    assert len(seen) == len(set(seen)) == 260


def test_two_hundred_users_share_one_answer(call, poll, followed):
    asked = []
    for _ in range(200):
        user, secret = followed()
        call("PUT", "/event", user.event())
        asked.append(user.asked(secret))
    feed = poll(*asked)
    assert {event["userId"] for event in feed["events"]} == {entry["userId"] for entry in asked}
