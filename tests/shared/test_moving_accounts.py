"""An account is read at one instant, and stored as a whole or not at all."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from functions.own_data import arrivals
from shared.credentials import Credentials
from shared.data import events, exports, imports, users
from shared.errors import AccountTaken, DatabaseUnavailable, Overloaded, StorageFull, UnknownUser
from shared.memory import LARGE_BYTES, budget
from tests.databases import transaction

LATE = datetime(2999, 1, 1, tzinfo=UTC)
EVENT = {
    "id": str(uuid4()),
    "stored_at": str(LATE),
    "accessed_at": None,
    "expiry": str(LATE),
    "ciphertext": "",
    "iv": "",
}
ITEM = {"id": "abc", "stored_at": None, "expiry": str(LATE), "ciphertext": "", "iv": ""}
BROUGHT = imports.BroughtAccount("newcomer", None, None, users.Profile(None, None, None, b"", b""), 0)


@pytest.fixture
def owner(own_db):
    new = users.create(own_db, address=None)
    owner = Credentials(new.user_id, new.password)
    for _ in range(2):
        events.put(own_db, owner, events.Event(uuid4(), b"x", b"y", LATE))
    return owner


def test_what_happens_while_a_document_is_read_is_not_in_it(own_db, owner):
    found = []

    def take(member, text):
        found.extend([member] if text else [])
        if member == "account":
            own_db.rows("DELETE FROM user_events WHERE user_id = :id", id=owner.user_id)
            own_db.rows("INSERT INTO user_follow_secrets VALUES (gen_random_uuid(), :id, 's')", id=owner.user_id)

    exports.read(own_db, owner.user_id, take)
    assert found == ["exportedAt", "account", "events", "events"]


def test_an_account_that_is_gone_is_unknown(own_db, owner):
    users.delete(own_db, owner)
    with pytest.raises(UnknownUser):
        exports.read(own_db, owner.user_id, lambda _member, _text: None)


def test_who_cannot_take_a_row_ends_the_reading_and_harms_nobody(own_db, owner):
    """The rest of the answer is on its way, so the connection is not used again."""

    def take(member, text):
        if member == "events" and text:
            raise StorageFull

    for _ in range(20):  # more than there are connections
        with pytest.raises(StorageFull):
            exports.read(own_db, owner.user_id, take)
    assert own_db.count("SELECT count(*) FROM user_events") == 2
    assert own_db.in_use == 0


def test_rows_that_pass_through_take_nothing_from_the_memory_of_others(own_db, owner):
    events.put(own_db, owner, events.Event(uuid4(), bytes(2 * LARGE_BYTES), b"y", LATE))
    budget().begin()
    exports.read(own_db, owner.user_id, lambda _member, _text: None)
    reserved = budget().used_bytes
    budget().end(0)
    assert reserved == 0


def brings(own_db, batches):
    newcomer = Credentials(uuid4(), str(uuid4()))
    imports.create(own_db, newcomer, BROUGHT, batches, address="192.0.2.1")


@pytest.mark.parametrize("error", [Overloaded, KeyError])
def test_batches_that_end_early_store_nothing(own_db, error):
    def batches():
        yield "events", json.dumps([EVENT])
        raise error

    with pytest.raises(error):
        brings(own_db, batches())
    for table in ("users", "user_events", "source_counts"):
        assert own_db.count(f"SELECT count(*) FROM {table}") == 0
    assert own_db.in_use == 0


def test_a_taken_item_takes_back_all_that_came_before(own_db, owner):
    own_db.rows(
        "INSERT INTO shared_items VALUES ('abc', :id, now(), now() + interval '1 day', '', '')", id=owner.user_id
    )
    with pytest.raises(AccountTaken, match="sharedItems"):
        brings(own_db, [("events", json.dumps([EVENT])), ("sharedItems", json.dumps([ITEM]))])
    assert own_db.count("SELECT count(*) FROM users") == 1
    assert own_db.count("SELECT count(*) FROM user_events") == 2


def test_a_lock_that_is_not_given_takes_back_all_that_came_before(own_db, own_url):
    with transaction(own_url, "LOCK shared_items IN EXCLUSIVE MODE"), pytest.raises(DatabaseUnavailable, match="55P03"):
        brings(own_db, [("events", json.dumps([EVENT])), ("sharedItems", json.dumps([ITEM]))])
    assert own_db.count("SELECT count(*) FROM users") == 0
    brings(own_db, [("events", json.dumps([EVENT])), ("sharedItems", json.dumps([ITEM]))])
    assert own_db.count("SELECT count(*) FROM user_events") == 1


def test_an_address_counts_what_it_brings(own_db):
    with suppress(Overloaded):
        brings(own_db, [])
    assert own_db.rows("SELECT accounts FROM source_counts") == [[1]]


def test_an_import_does_not_hold_a_connection_for_ever(monkeypatch, tmp_path):
    monkeypatch.setattr(arrivals, "MOST_SECONDS", -1)
    document = tmp_path / "account.json"
    document.write_text('{"followSecrets": [{"followSecret": "s"}]}')
    with document.open("rb") as file, pytest.raises(Overloaded):
        next(arrivals._batches(file))
