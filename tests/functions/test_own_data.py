"""One's own data: all that is kept of an account leaves as a document, and the document makes the account elsewhere."""

import json
from base64 import b64encode
from typing import Any
from uuid import uuid4

from shared.cuids import new_cuid
from tests.examples.own_data import document, newcomer
from tests.servers import Caller, Servers
from tests.users import IV, User, base64

# columns of tables that hang on a user, and why they are in no document
NOT_EXPORTED = {
    "users": {"hashed_password", "salt", "verifier"},  # what the password is recognised by
    "user_follow_secrets": {"id"},  # made of the user and the value
    "user_inbox_items": {"seq", "source"},  # the place among the others; a digest of the sender's address
}


def export(call, user):
    answer = call("POST", "/user/export", user.account())
    assert answer.status_code == 200, answer.content
    return answer.json


def bring(call, exported, user=None, **changes):
    """Import a document as its account, with the password that it has."""
    user = user or User(exported["account"]["id"], "", str(uuid4()))
    return call("POST", "/user/import", json.dumps(exported | changes), headers=newcomer(user.id, user.password))


def new_identity():
    return User(str(uuid4()), new_cuid(), str(uuid4()))


def is_known(call, user):
    return call("GET", f"/user/{user.id}").status_code == 200


def fill(call, user, events=3):
    """Give an account some of everything, and return what was put."""
    put = {
        "profile": user.profile(encryptedName=base64(20), encryptedCurrentPlan=base64(1), encryptionIV=IV),
        "events": [user.event(encryptedEventPayload=base64(9 + number)) for number in range(events)],
        "secrets": [user.secret(f"secret {number} ö\"\\") for number in range(3)],
        "messages": [user.message(base64(number + 1), base64(0)) for number in range(3)],
        "item": user.shared_item(),
    }  # fmt: skip
    assert call("PUT", "/user", put["profile"]).status_code == 200
    for path, bodies in (("/event", "events"), ("/follow-secret", "secrets"), ("/inbox", "messages")):
        for body in put[bodies]:
            assert call("PUT", path, body).status_code == 200
    put["item_id"] = call("POST", "/shareditem", put["item"]).json["id"]
    return put


# Leaving


def test_a_document_holds_what_was_put(call, new_user):
    user = new_user()
    put = fill(call, user)
    exported = export(call, user)
    account = exported["account"]
    assert (exported["format"], exported["version"]) == ("liftlog-account", 1)
    assert (account["id"], account["lookup"]) == (user.id, user.lookup)
    for name in ("encryptedName", "encryptedCurrentPlan", "encryptionIV", "rsaPublicKey"):
        assert account[name] == put["profile"][name]
    assert account["encryptedProfilePicture"] is None
    assert account["newestEvent"] == exported["events"][-1]["timestamp"]
    assert account["lastWriting"]["writes"] == 5
    sent = [(event["eventId"], event["encryptedEventPayload"]) for event in put["events"]]
    assert [(event["eventId"], event["encryptedEventPayload"]) for event in exported["events"]] == sent
    assert {secret["followSecret"] for secret in exported["followSecrets"]} == {
        s["followSecret"] for s in put["secrets"]
    }
    assert [m["encryptedMessage"] for m in exported["inboxMessages"]] == [
        m["encryptedMessage"] for m in put["messages"]
    ]
    (item,) = exported["sharedItems"]
    assert (item["id"], item["encryptedPayload"]) == (put["item_id"], put["item"]["encryptedPayload"])


def test_an_account_with_nothing_is_a_whole_document(call, new_user):
    exported = export(call, new_user())
    assert [exported[name] for name in ("events", "followSecrets", "inboxMessages", "sharedItems")] == [[]] * 4


def test_it_is_a_file_that_tells_its_length_and_is_kept_by_nobody_between(call, new_user):
    user = new_user()
    answer = call("POST", "/user/export", user.account())
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="liftlog-account-2')
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.content.endswith(b"}\n")


def test_reading_it_takes_nothing(call, new_user):
    user = new_user()
    fill(call, user)
    first, again = export(call, user), export(call, user)
    assert first["inboxMessages"] == again["inboxMessages"]
    assert len(call("POST", "/inbox", user.credentials()).json["inboxMessages"]) == 3


def test_what_has_expired_is_not_in_it(call, new_user):
    user = new_user()
    put = fill(call, user, events=1)
    call.db.rows("UPDATE user_events SET expiry = now() WHERE user_id = :id", id=user.id)
    call.db.rows("UPDATE shared_items SET expiry = now() WHERE id = :id", id=put["item_id"])
    exported = export(call, user)
    assert (exported["events"], exported["sharedItems"]) == ([], [])


def test_an_expiry_without_end_of_the_original_is_one_that_can_be_brought(call, new_user):
    """.NET's largest DateTimeOffset is PostgreSQL's infinity, its smallest the negative one."""
    user = new_user()
    fill(call, user, events=1)
    call.db.rows(
        "UPDATE user_events SET expiry = 'infinity', last_accessed = '-infinity' WHERE user_id = :id", id=user.id
    )
    call.db.rows("UPDATE users SET created = '-infinity' WHERE id = :id", id=user.id)
    exported = export(call, user)
    call("POST", "/user/delete", user.account())
    assert bring(call, exported, user).json["events"] == 1


# Whatever tables there will be


def kept_of(db, user_id):
    """Return the rows of an account in every table that refers to users, as PostgreSQL writes JSON, by table."""
    references = db.rows(
        """
        SELECT conrelid::regclass::text, attname FROM pg_constraint
        JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]
        WHERE contype = 'f' AND confrelid = 'users'::regclass
        """
    )
    return {
        table: [
            row
            for (row,) in db.rows(
                f"SELECT to_json(kept) FROM (SELECT * FROM {table} WHERE {column} = :id ORDER BY 1, 2) AS kept",
                id=user_id,
            )
        ]
        for table, column in [("users", "id"), *references]
    }


MARKS: dict[str, tuple[str, Any]] = {  # by the column's type: a value that occurs once, and how a document says it
    "uuid": ("gen_random_uuid()", lambda value: value),
    "text": ("'m' || substr(md5(random()::text), 1, 11)", lambda value: value),
    "character varying": ("substr(md5(random()::text), 1, 12)", lambda value: value),
    "timestamp with time zone": (
        "now() + interval '1 day' + random() * interval '9 days'",
        lambda value: f"{value.partition('+')[0]:0<26}Z".replace(" ", "T"),
    ),
    "date": ("current_date + 1000", lambda value: value),
    "bytea": (
        "uuid_send(gen_random_uuid())",
        lambda value: b64encode(bytes.fromhex(value.removeprefix("\\x"))).decode(),
    ),
    "ARRAY": (
        "ARRAY[uuid_send(gen_random_uuid())]",
        lambda value: b64encode(bytes.fromhex(value[0].removeprefix("\\x"))).decode(),
    ),
    "bigint": ("1000000000 + CAST(random() * 1e9 AS bigint)", str),
    "integer": ("1000000000 + CAST(random() * 1e9 AS integer)", str),
}


def columns_of(db, table):
    return db.rows(
        """
        SELECT column_name, data_type FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = :table
        """,
        table=table,
    )


def columns_left_out(call, user):
    """Give each column of all tables that hang on a user a value of its own, and return those that no document has."""
    db = call.db
    for table in kept_of(db, user.id):
        columns = dict(columns_of(db, table))
        key = "id" if table == "users" else "user_id"
        columns.pop(key)
        if table == "users":
            columns.pop("verifier")
            values = ", ".join(f"{name} = {MARKS[kind][0]}" for name, kind in columns.items())
            db.rows(f"UPDATE users SET {values} WHERE id = :id", id=user.id)
        else:
            values = ", ".join(MARKS[kind][0] for kind in columns.values())
            db.rows(f"INSERT INTO {table} ({key}, {', '.join(columns)}) SELECT :id, {values}", id=user.id)
    text = call("POST", "/user/export", user.account()).content.decode()
    left_out = {}
    for table, (row,) in kept_of(db, user.id).items():
        kinds = dict(columns_of(db, table))
        left_out[table] = {
            name for name, value in row.items() if value is None or MARKS[kinds[name]][1](value) not in text
        }
    left_out["users"] -= {"last_accessed"}  # the export itself sets it
    return {table: columns for table, columns in left_out.items() if columns}


def test_every_column_of_what_hangs_on_a_user_is_in_the_document_or_is_said_not_to_be(call, new_user):
    assert columns_left_out(call, new_user()) == NOT_EXPORTED, "shared/data/exports.py, imports.py, docs/own-data.md"


def test_a_table_that_a_migration_adds_would_be_noticed(own_url):
    with Servers(own_url) as servers:
        call = Caller(servers, alone=False)
        call.db.rows("CREATE TABLE user_notes (user_id uuid REFERENCES users (id), note text, written timestamptz)")
        created = call("POST", "/user/create", {}).json
        left_out = columns_left_out(call, User(created["id"], created["lookup"], created["password"]))
    assert left_out == NOT_EXPORTED | {"user_notes": {"note", "written"}}


# Arriving


CLOCKS = {"users": {"last_accessed", "quota_writes", "quota_bytes", "verifier"}, "user_inbox_items": {"id", "seq"}}


def test_what_is_brought_is_what_has_left(call, new_user):
    """Row by row and column by column, on the same server."""
    user = new_user()
    fill(call, user)
    call.db.rows("UPDATE user_events SET last_accessed = now() - interval '3 days' WHERE user_id = :id", id=user.id)
    before, exported = kept_of(call.db, user.id), export(call, user)
    assert call("POST", "/user/delete", user.account()).status_code == 200
    answer = bring(call, exported, user)
    assert answer.status_code == 200, answer.content
    assert answer.json == {
        "id": user.id, "lookup": user.lookup, "events": 3, "followSecrets": 3, "inboxMessages": 3, "sharedItems": 1,
    }  # fmt: skip
    after = kept_of(call.db, user.id)
    for table, rows in before.items():
        changed = CLOCKS.get(table, set())
        kept = [{name: value for name, value in row.items() if name not in changed} for row in after[table]]
        gone = [{name: value for name, value in row.items() if name not in changed} for row in rows]
        assert sorted(map(str, kept)) == sorted(map(str, gone)), table
    assert call("PUT", "/user", user.profile()).status_code == 200
    again = export(call, user)
    for name in ("events", "followSecrets", "sharedItems"):
        assert again[name] == exported[name]
    assert [m["encryptedMessage"] for m in again["inboxMessages"]] == [
        m["encryptedMessage"] for m in exported["inboxMessages"]
    ]


def test_events_that_come_later_are_later_for_followers(call, new_user):
    """Also those of whom the newest event has gone, or was stored by a clock that is ahead."""
    user = new_user()
    call("PUT", "/follow-secret", user.secret("s"))
    call("PUT", "/event", user.event())
    exported = export(call, user)
    call.db.rows("UPDATE users SET last_event_at = now() + interval '1 hour' WHERE id = :id", id=user.id)
    ahead = export(call, user)["account"]["newestEvent"]
    call("POST", "/user/delete", user.account())
    exported["account"]["newestEvent"] = ahead
    assert bring(call, exported, user).status_code == 200
    call("PUT", "/event", user.event())
    (event,) = call("POST", "/events", {"users": [user.asked("s", since=ahead)]}).json["events"][-1:]
    assert event["timestamp"] > ahead


def test_what_has_expired_meanwhile_is_passed_over(call):
    user = new_identity()
    exported = document(user.id)
    exported["events"][0]["expiry"] = exported["sharedItems"][0]["expiry"] = "2020-01-01T00:00:00Z"
    answer = bring(call, exported, user)
    assert (answer.json["events"], answer.json["sharedItems"]) == (0, 0)
    assert call.db.rows("SELECT FROM user_events WHERE user_id = :id", id=user.id) == []


def test_an_expiry_is_at_most_400_days_away(call):
    user = new_identity()
    assert bring(call, document(user.id), user).status_code == 200
    for table in ("user_events", "shared_items"):
        ((is_near,),) = call.db.rows(
            f"SELECT expiry <= now() + interval '400 days' FROM {table} WHERE user_id = :id", id=user.id
        )
        assert is_near


def test_without_a_lookup_it_gets_one(call):
    user = new_identity()
    exported = document(user.id)
    del exported["account"]["lookup"]
    lookup = bring(call, exported, user).json["lookup"]
    assert call("GET", f"/user/{lookup}").json["id"] == user.id


def test_many_of_each_come_in_their_order(call):
    """More than one statement takes."""
    user = new_identity()
    exported = document(user.id)
    exported["inboxMessages"] = [{"encryptedMessage": [base64(number), base64(1)]} for number in range(1000)]
    exported["followSecrets"] = [{"followSecret": str(number)} for number in range(1200)]
    answer = bring(call, exported, user)
    assert (answer.json["inboxMessages"], answer.json["followSecrets"]) == (1000, 1200)
    taken = call("POST", "/inbox", user.credentials()).json["inboxMessages"]
    assert [message["encryptedMessage"] for message in taken] == [
        message["encryptedMessage"] for message in exported["inboxMessages"]
    ]
