"""Inboxes over HTTP."""

from base64 import b64decode
from uuid import UUID

from tests.users import base64


def take(call, user):
    return [message["encryptedMessage"] for message in call("POST", "/inbox", user.credentials()).json["inboxMessages"]]


def leave(call, user, message_count, chunks):
    """Leave many messages at once, behind the servers' back."""
    call.db.rows(
        """
        INSERT INTO user_inbox_items (id, user_id, encrypted_message)
        SELECT gen_random_uuid(), :user_id, :chunks FROM generate_series(1, :message_count)
        """,
        user_id=UUID(user.id),
        chunks=chunks,
        message_count=message_count,
    )


def test_messages_come_once_in_the_order_in_which_they_were_left(call, new_user):
    user = new_user()
    messages = [[base64(size), base64(0), base64(1024)] for size in (5, 3, 4, 1, 2)]
    for message in messages:
        assert call("PUT", "/inbox", user.message(*message)).status_code == 200
    assert take(call, user) == messages
    assert take(call, user) == []


def test_messages_come_by_their_number_wherever_they_lie_and_those_of_the_original_first(call, new_user):
    user = new_user()
    call.db.rows(
        """
        INSERT INTO user_inbox_items (id, user_id, encrypted_message, seq)
        SELECT gen_random_uuid(), :user_id, ARRAY[CAST(CAST(seq AS text) AS bytea)], nullif(seq, 0)
        FROM generate_series(500, 0, -1) AS seq
        """,
        user_id=UUID(user.id),
    )
    assert [int(b64decode(message[0])) for message in take(call, user)] == list(range(501))


def test_a_message_has_an_id_and_its_chunks(call, new_user):
    user = new_user()
    call("PUT", "/inbox", user.message(base64(256)))
    (message,) = call("POST", "/inbox", user.credentials()).json["inboxMessages"]
    assert set(message) == {"id", "encryptedMessage"}


def test_the_inbox_of_nobody_is_404(call):
    message = {"toUserId": "00000000-0000-4000-8000-000000000000", "encryptedMessage": [""]}
    assert call("PUT", "/inbox", message).status_code == 404


def test_a_full_inbox_refuses_with_429_and_takes_again_when_it_was_read(call, new_user):
    user = new_user()
    leave(call, user, 999, [b""])
    assert call("PUT", "/inbox", user.message("")).status_code == 200
    refused = call("PUT", "/inbox", user.message(""))
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) == 3600  # it is read when its owner opens the app
    assert len(take(call, user)) == 1000
    assert call("PUT", "/inbox", user.message("")).status_code == 200


def test_a_heavy_inbox_comes_in_parts_of_20_mib(call, new_user):
    user = new_user()
    leave(call, user, 800, [bytes(1024)] * 20)
    of_the_original = "UPDATE user_inbox_items SET seq = NULL WHERE user_id = :id AND seq % 2 = 0"
    call.db.rows(of_the_original, id=UUID(user.id))
    oldest_first = "SELECT id FROM user_inbox_items WHERE user_id = :id ORDER BY seq NULLS FIRST, id"
    order = [str(row[0]) for row in call.db.rows(oldest_first, id=UUID(user.id))]
    first = call("POST", "/inbox", user.credentials())
    assert [message["id"] for message in first.json["inboxMessages"]] == order[: len(first.json["inboxMessages"])]
    assert len(first.content) <= 20 * 1024 * 1024
    rest = take(call, user)
    assert rest
    assert len(first.json["inboxMessages"]) + len(rest) == 800
