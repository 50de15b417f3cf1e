"""The feed over HTTP."""

from datetime import UTC, datetime, timedelta
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
    day = f"{datetime.now(UTC) + timedelta(days=90):%Y-%m-%d}"
    event = user.event(expiry=f"{day}T10:00:00.1234567+10:00")
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
                "expiry": f"{day}T00:00:00.123456Z",
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


@pytest.mark.slow
def test_two_hundred_users_share_one_answer(call, poll, followed):
    asked = []
    for _ in range(200):
        user, secret = followed()
        call("PUT", "/event", user.event())
        asked.append(user.asked(secret))
    feed = poll(*asked)
    assert {event["userId"] for event in feed["events"]} == {entry["userId"] for entry in asked}


def at(timestamp: str, **shift: float) -> str:
    """Return an instant that is an event's timestamp, moved: what a phone with another clock sends as `since`."""
    return (datetime.fromisoformat(timestamp) + timedelta(**shift)).isoformat()


def publish(call, user, count):
    """Publish events and return their ids, the oldest first."""
    published = [user.event(encryptedEventPayload=base64(1)) for _ in range(count)]
    assert {call("PUT", "/event", event).status_code for event in published} == {200}
    return [event["eventId"] for event in published]


def ids(events):
    return [event["eventId"] for event in events]


def test_a_phone_whose_clock_is_ahead_hides_no_workout(call, poll, followed):
    """LiftLog issue 650: `since` is the newest event's time by its author's phone, ahead of all that follows."""
    user, secret = followed()
    published = publish(call, user, 3)
    newest = poll(user.asked(secret))["events"][-1]["timestamp"]
    assert ids(poll(user.asked(secret, at(newest, minutes=59)))["events"]) == published
    assert poll(user.asked(secret, at(newest, minutes=61)))["events"] == []


def test_a_timestamp_of_the_users_own_is_a_cursor_and_repeats_nothing(call, poll, followed):
    (user, secret), (other, other_secret) = followed(), followed()
    (published,) = publish(call, user, 1)
    publish(call, other, 1)
    cursor = poll(user.asked(secret))["events"][-1]["timestamp"]
    assert poll(user.asked(secret, cursor))["events"] == []
    assert ids(poll(user.asked(secret, at(cursor, microseconds=1)))["events"]) == [published]
    assert len(poll(other.asked(other_secret, cursor))["events"]) == 1


def test_the_hour_before_is_repeated_from_the_newest_back_after_all_that_is_new(call, poll, followed):
    user, secret = followed()
    published = publish(call, user, 300)
    events = poll(user.asked(secret))["events"]
    assert ids(events) == published[:256]
    foreign = at(events[199]["timestamp"], microseconds=1)  # after 200 events, before 100
    answer = ids(poll(user.asked(secret, foreign))["events"])
    assert answer == published[300 - 256 :]  # the 100 newer ones, and the 156 newest of the hour before
    ahead = at(poll(user.asked(secret, events[-1]["timestamp"]))["events"][-1]["timestamp"], minutes=1)
    assert ids(poll(user.asked(secret, ahead))["events"]) == published[-256:]


def test_a_poll_advances_however_much_lies_in_the_hour_before(call, poll, followed):
    user, secret = followed()
    large = [user.event(encryptedEventPayload=base64(262_144)) for _ in range(12)]
    for event in large:
        call("PUT", "/event", event)
    since, seen = at(poll(user.asked(secret))["events"][0]["timestamp"], microseconds=1), []
    while new := [each for each in ids(poll(user.asked(secret, since))["events"]) if each not in seen]:
        seen += new
        since = at(poll(user.asked(secret, since))["events"][-1]["timestamp"], microseconds=1)
    assert set(seen) >= {event["eventId"] for event in large[1:]}


@pytest.mark.slow
@pytest.mark.parametrize("users", [40, 90])
def test_the_largest_events_of_many_users_come_in_the_end(users, call, poll, followed):
    """An answer has room for 70 of them; whose come is drawn each time, so that nobody waits for ever."""
    asked = {}
    for _ in range(users):
        user, secret = followed()
        call("PUT", "/event", user.event(encryptedEventPayload=base64(262_144)))
        asked[user.id] = user.asked(secret)
    waiting = dict(asked)
    for _ in range(50):
        answer = call("POST", "/events", {"users": list(asked.values())})
        assert len(answer.content) <= 24 * 1024 * 1024
        assert len(answer.json["events"]) == min(users, 71)
        for event in answer.json["events"]:
            waiting.pop(event["userId"], None)
        if not waiting:
            return
    pytest.fail(f"{len(waiting)} users' events never came")


def test_a_large_event_comes_beside_a_thousand_entries(call, poll, followed):
    user, secret = followed()
    event = user.event(encryptedEventPayload=base64(262_144))
    call("PUT", "/event", event)
    feed = poll(*(user.asked(str(uuid4())) for _ in range(999)), user.asked(secret))
    assert ids(feed["events"]) == [event["eventId"]]
    assert len(feed["invalidFollowSecrets"]) == 999
