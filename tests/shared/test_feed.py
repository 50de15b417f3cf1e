"""The feed's budgets, and events of one instant, which the original backend may have stored."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from shared.credentials import Credentials
from shared.data import events, follow_secrets, users
from shared.data.events import ANSWER_BYTES, FeedRequest

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
EVENT_BYTES = 15_360  # 101 of them are 2 MiB of JSON


@pytest.fixture
def new_author(db):
    """Return a function that makes an author, and the request of a follower that knows the secret."""

    def create():
        author = users.create(db, address=None)
        follow_secrets.put(db, Credentials(author.user_id, author.password), "secret")
        return FeedRequest(author.user_id, "secret", EPOCH)

    return create


def store(db, request, count, size_bytes, seconds):
    """Store events of one instant, so many seconds after 2020."""
    db.rows(
        """
        INSERT INTO user_events (user_id, id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv)
        SELECT :user_id, gen_random_uuid(), :timestamp, now(), 'infinity', :event, '' FROM generate_series(1, :count)
        """,
        user_id=request.user_id, count=count, event=bytes(size_bytes),
        timestamp=datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds),
    )  # fmt: skip


def feed(db, *requests):
    return json.loads(events.list_feed(db, requests).events_json)


@pytest.mark.parametrize(
    ("counts", "size_bytes"),
    [
        ([300, 1], 1),  # more than 256 of one instant
        ([60, 60], EVENT_BYTES),  # the second instant is cut by the 2 MiB, and comes whole in the next part
        ([110, 1], EVENT_BYTES),  # the first instant alone passes them, and must not hold up the feed
    ],
)
def test_events_of_one_instant_come_together(db, new_author, counts, size_bytes):
    request = new_author()
    for seconds, count in enumerate(counts):
        store(db, request, count, size_bytes, seconds)
    parts = []
    while part := feed(db, request):
        parts.append(part)
        since = datetime.fromisoformat(part[-1]["timestamp"])
        request = FeedRequest(request.user_id, request.follow_secret, since)
    assert [len(part) for part in parts] == counts
    assert len({event["eventId"] for part in parts for event in part}) == sum(counts)


def test_many_authors_share_24_mib(db, new_author):
    requests = [new_author() for _ in range(40)]
    for request in requests:
        for seconds in range(40):
            store(db, request, 1, EVENT_BYTES, seconds)
    found = events.list_feed(db, requests).events_json
    assert ANSWER_BYTES * 0.9 < len(found) <= ANSWER_BYTES
    by_author = [event["userId"] for event in json.loads(found)]
    assert {by_author.count(str(request.user_id)) for request in requests} == {30}


def test_an_unknown_secret_has_no_share(db, new_author):
    request = new_author()
    for seconds in range(40):
        store(db, request, 1, EVENT_BYTES, seconds)
    unknown = [FeedRequest(uuid4(), "secret", EPOCH) for _ in range(199)]
    assert len(feed(db, request, *unknown)) == 40
