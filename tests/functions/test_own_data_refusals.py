"""Documents that are refused: as a whole, with nothing stored, and never with a 401 or 404."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import uuid4

import pytest

from shared.cuids import new_cuid
from tests.examples.own_data import document, newcomer
from tests.functions.test_own_data import bring, export, fill, new_identity
from tests.users import User, base64


def refuse(call, user, answer, status=400, problem="invalid-request"):
    assert (answer.status_code, answer.json["type"]) == (status, f"urn:liftlog:problem:{problem}"), answer.content
    assert call("GET", f"/user/{user.id}").status_code == 404
    for table in ("user_events", "user_follow_secrets", "user_inbox_items", "shared_items"):
        assert call.db.rows(f"SELECT FROM {table} WHERE user_id = :id", id=user.id) == []


def changed(exported, path, value):
    """Put a value at a path like `events.0.expiry`; an absent one if it is `...`."""
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place = exported
    for step in steps:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return exported


# What is somebody's already


def test_an_id_that_is_taken_is_refused_and_nothing_changes(call, new_user):
    user = new_user()
    fill(call, user)
    before = export(call, user)
    for password in (user.password, str(uuid4())):
        answer = bring(call, document(user.id), User(user.id, "", password))
        assert (answer.status_code, answer.fields) == (409, {"account.id"})
    after = export(call, user)
    for name in ("account", "exportedAt"):
        before.pop(name)
        after.pop(name)
    assert after == before


def test_the_same_document_twice_is_one_account(call):
    user = new_identity()
    exported = document(user.id)
    assert bring(call, exported, user).status_code == 200
    assert (again := bring(call, exported, user)).status_code == 409
    assert again.fields == {"account.id"}
    assert len(export(call, user)["events"]) == 1


@pytest.mark.parametrize("taken", ["lookup", "item"])
def test_a_lookup_or_an_item_of_somebody_else_is_refused(call, new_user, taken):
    other, user = new_user(), new_identity()
    exported = document(user.id)
    if taken == "lookup":
        exported["account"]["lookup"] = other.lookup
    else:
        exported["sharedItems"][0]["id"] = call("POST", "/shareditem", other.shared_item()).json["id"]
    answer = bring(call, exported, user)
    refuse(call, user, answer, 409, "account-taken")
    assert answer.fields == {"account.lookup" if taken == "lookup" else "sharedItems"}


def test_of_many_at_the_same_moment_one_gets_in(call):
    user = new_identity()
    exported = document(user.id)
    start = Barrier(4)

    def send(_):
        start.wait()
        return bring(call, exported, user).status_code

    with ThreadPoolExecutor(4) as executor:
        assert sorted(executor.map(send, range(4))) == [200, 409, 409, 409]
    assert len(export(call, user)["inboxMessages"]) == 1


# Who brings it


@pytest.mark.parametrize(
    "headers",
    [
        {}, {"Authorization": "Basic"}, {"Authorization": "Basic !"}, {"Authorization": f"Bearer {uuid4()}"},
        newcomer(uuid4(), ""), newcomer(uuid4(), "a password"), newcomer("me", uuid4()),
        newcomer("00000000-0000-0000-0000-000000000000", uuid4()),
    ],
)  # fmt: skip
def test_who_does_not_say_whose_it_is_is_never_401(call, headers):
    """A guessable password is none: what is kept to recognise it by is only good for random ones (docs/adr/0001)."""
    user = new_identity()
    answer = call("POST", "/user/import", json.dumps(document(user.id)), headers=headers)
    refuse(call, user, answer)
    assert answer.fields == {"Authorization"}


def test_a_document_of_another_account_is_refused(call):
    user = new_identity()
    answer = bring(call, document(str(uuid4())), user)
    refuse(call, user, answer)
    assert answer.fields == {"account.id"}


# What is wrong with it


BAD = [
    ("format", "liftlog-backup", "format"), ("format", ..., "format"), ("version", 2, "version"),
    ("version", ..., "version"), ("account", ..., "account"), ("account", [], "account"),
    ("account.id", ..., "account.id"), ("account.lookup", "Not One", "account.lookup"),
    ("account.lookup", "0" * 32, "account.lookup"), ("account.encryptedName", base64(2_049), "account.encryptedName"),
    ("account.rsaPublicKey", "?", "account.rsaPublicKey"),
    ("account.newestEvent", "2999-01-01T00:00:00Z", "account.newestEvent"),
    ("events", ..., "events"), ("followSecrets", ..., "followSecrets"), ("inboxMessages", ..., "inboxMessages"),
    ("sharedItems", ..., "sharedItems"), ("events.0", [], "events[0]"), ("events.0.eventId", 1, "events[0].eventId"),
    ("events.0.encryptedEventPayload", "", "events[0].encryptedEventPayload"),
    ("events.0.timestamp", "2999-01-01T00:00:00Z", "events[0].timestamp"), ("events.0.expiry", ..., "events[0].expiry"),
    ("followSecrets.0", "s", "followSecrets[0]"),
    ("followSecrets.0.followSecret", "s" * 41, "followSecrets[0].followSecret"),
    ("followSecrets.0.followSecret", "\0", "followSecrets[0].followSecret"),
    ("inboxMessages.0.encryptedMessage", [], "inboxMessages[0].encryptedMessage"),
    ("sharedItems.0.id", "", "sharedItems[0].id"),
    ("sharedItems.0.encryptedPayload.iv.value", base64(15), "sharedItems[0].encryptedPayload.iv.value"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "field"), BAD)
def test_one_bad_member_refuses_all(call, path, value, field):
    user = new_identity()
    answer = bring(call, changed(document(user.id), path, value), user)
    refuse(call, user, answer)
    assert answer.fields == {field}


@pytest.mark.parametrize("member", ["events", "followSecrets", "sharedItems"])
def test_what_is_in_it_twice_refuses_all(call, member):
    user = new_identity()
    exported = document(user.id)
    exported[member] *= 2
    answer = bring(call, exported, user)
    refuse(call, user, answer)
    assert answer.fields == {f"{member}[1]"}


def test_the_last_of_many_is_looked_at_before_the_first_is_stored(call):
    user = new_identity()
    exported = document(user.id)
    exported["followSecrets"] = [{"followSecret": str(number)} for number in range(2000)] + [{"followSecret": ""}]
    answer = bring(call, exported, user)
    refuse(call, user, answer)
    assert answer.fields == {"followSecrets[2000].followSecret"}


@pytest.mark.parametrize("part", [0.0, 0.01, 0.1, 0.5, 0.9, 0.99, 1.0])
def test_a_document_that_was_cut_is_refused(call, part):
    """As a download that broke leaves it; only the last sign, its end, is missing where nearly all is there."""
    user = new_identity()
    whole = json.dumps(document(user.id))
    answer = call(
        "POST", "/user/import", whole[: int(part * (len(whole) - 1))], headers=newcomer(user.id, user.password)
    )
    refuse(call, user, answer)


@pytest.mark.parametrize("served_by", ["gateway", "own_data"])
def test_an_upload_that_breaks_stores_nothing(servers, served_by, call):
    user = new_identity()
    whole = json.dumps(document(user.id)).encode()
    head = f"POST /user/import HTTP/1.1\r\nHost: x\r\nContent-Length: {len(whole)}\r\nAuthorization: "
    with socket.create_connection(("127.0.0.1", servers[served_by].port), 60) as connection:
        connection.sendall(f"{head}{newcomer(user.id, user.password)['Authorization']}\r\n\r\n".encode() + whole[:-1])
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert servers.db.rows("SELECT FROM users WHERE id = :id", id=user.id) == []


def test_members_that_are_not_known_are_passed_over(call):
    user = new_identity()
    exported = {"x": [{"deep": [1]}]} | document(user.id, later={"a": 1})
    exported["events"][0]["more"] = "of a later version"
    assert bring(call, exported, user).status_code == 200


def test_the_members_may_come_in_any_order(call):
    """As tools write them that sort names."""
    user = new_identity()
    exported = dict(sorted(document(user.id).items(), reverse=True))
    assert bring(call, exported, user).json["events"] == 1


# Whose it is when it leaves


def test_a_wrong_password_gets_nothing(call, new_user):
    user = new_user()
    fill(call, user)
    answer = call("POST", "/user/export", user.account(password=str(uuid4())))
    assert (answer.status_code, len(answer.content) < 1000) == (401, True)
    assert call("POST", "/user/export", user.account(id=str(uuid4()))).status_code == 404


def test_a_lookup_that_is_free_is_kept(call):
    user, lookup = new_identity(), new_cuid()
    exported = document(user.id)
    exported["account"]["lookup"] = lookup
    assert bring(call, exported, user).json["lookup"] == lookup
