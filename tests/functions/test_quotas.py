"""What one account and one address may store: refused with 429, with nothing changed, and never with 401 or 404."""

from contextlib import contextmanager
from uuid import uuid4

import pytest

from shared.data.pool import Database
from tests.servers import Caller, Servers
from tests.users import User, base64

MIB = 1024 * 1024
STRANGER, NEIGHBOUR = "192.0.2.1", "192.0.2.2"
SMALL = {
    "QUOTA_EVENTS": "60", "QUOTA_EVENT_MIB": "1", "QUOTA_SHARED_ITEMS": "3", "QUOTA_FOLLOW_SECRETS": "3",
    "QUOTA_MIB_PER_DAY": "12", "QUOTA_ACCOUNTS_PER_HOUR": "5", "TRUSTED_PROXIES": "127.0.0.0/8, 10.0.0.0/8",
}  # fmt: skip


@contextmanager
def served(url, **environment):
    with Servers(url, **(SMALL | environment)) as servers:
        yield Caller(servers, alone=False)


@pytest.fixture(scope="module")
def small(database_url):
    """Return a caller of a gateway with small quotas behind a trusted proxy."""
    with served(database_url) as call:
        yield call


def new_user(call):
    created = call("POST", "/user/create", {}).json
    return User(created["id"], created["lookup"], created["password"])


def refuse(answer):
    assert answer.status_code == 429
    assert answer.json["type"] == "urn:liftlog:problem:quota-exceeded"
    assert answer.headers["Retry-After"] == "3600"


def count(call, table, user):
    return call.db.row(f"SELECT count(*) FROM {table} WHERE user_id = :id", id=user.id)[0]


def test_an_account_has_so_many_events(small):
    user = new_user(small)
    sent = [user.event(encryptedEventPayload=base64(1)) for _ in range(61)]
    assert [small("PUT", "/event", event).status_code for event in sent] == [200] * 60 + [429]
    refuse(small("PUT", "/event", sent[-1]))
    assert count(small, "user_events", user) == 60
    assert small("PUT", "/event", sent[0] | {"encryptedEventPayload": base64(2)}).status_code == 200, "an edit"


def test_an_account_has_so_many_bytes_of_events(small):
    user = new_user(small)
    for _ in range(16):  # of 256 KiB each; what is written on a day is counted first when it passes 4 MiB
        assert small("PUT", "/event", user.event(encryptedEventPayload=base64(262_144))).status_code == 200
    refuse(small("PUT", "/event", user.event(encryptedEventPayload=base64(262_144))))
    assert count(small, "user_events", user) == 16


def test_an_account_has_so_many_shared_items(small):
    user = new_user(small)
    assert [small("POST", "/shareditem", user.shared_item()).status_code for _ in range(4)] == [200] * 3 + [429]
    refuse(small("POST", "/shareditem", user.shared_item()))
    assert count(small, "shared_items", user) == 3


def test_an_account_has_so_many_follow_secrets_and_may_repeat_them(small):
    user = new_user(small)
    assert [small("PUT", "/follow-secret", user.secret(f"s{n}")).status_code for n in range(4)] == [200] * 3 + [429]
    refuse(small("PUT", "/follow-secret", user.secret("another")))
    assert small("PUT", "/follow-secret", user.secret("s1")).status_code == 200
    assert small("POST", "/follow-secret/delete", user.secret("s1")).status_code == 200
    assert small("PUT", "/follow-secret", user.secret("another")).status_code == 200


def test_an_account_writes_so_much_on_a_day(small):
    user = new_user(small)
    for picture in (2_000_000,) * 6:
        assert small("PUT", "/user", user.profile(encryptedProfilePicture=base64(picture))).status_code == 200
    before = small("GET", f"/user/{user.id}").json
    refuse(small("PUT", "/user", user.profile(encryptedProfilePicture=base64(2_000_001), encryptedName=base64(9))))
    assert small("GET", f"/user/{user.id}").json == before
    refuse(small("PUT", "/event", user.event()))
    refuse(small("POST", "/shareditem", user.shared_item()))
    small.db.rows("UPDATE users SET quota_day = current_date - 1 WHERE id = :id", id=user.id)
    assert small("PUT", "/event", user.event()).status_code == 200, "the next day"


def test_a_wrong_password_and_an_unknown_user_are_still_told(small):
    user = new_user(small)
    small.db.rows("UPDATE users SET quota_day = current_date, quota_bytes = 1 << 40 WHERE id = :id", id=user.id)
    for send in (
        lambda **changes: small("PUT", "/event", user.event(**changes)),
        lambda **changes: small("PUT", "/follow-secret", user.secret("s", **changes)),
    ):
        assert send(password=str(uuid4())).status_code == 401
        assert send(userId=str(uuid4())).status_code == 404
    assert small("PUT", "/user", user.profile(password=str(uuid4()))).status_code == 401
    assert small("PUT", "/user", user.profile(id=str(uuid4()))).status_code == 404


def test_an_address_makes_so_many_accounts_in_an_hour(own_url):
    with served(own_url) as call:

        def create(forwarded):
            return call("POST", "/user/create", {}, headers={"X-Forwarded-For": forwarded})  # fmt: skip

        assert [create(STRANGER).status_code for _ in range(6)] == [200] * 5 + [429]
        refuse(create(f"203.0.113.9, {STRANGER}, 10.1.2.3"))  # what it claims to be lies behind what it is
        assert create(NEIGHBOUR).status_code == 200
        assert call.db.row("SELECT count(*) FROM users")[0] == 6
        call.db.rows("UPDATE source_counts SET hour = hour - interval '1 hour'")
        assert create(STRANGER).status_code == 200


@pytest.mark.parametrize(
    "forwarded", [None, "10.1.2.3", "127.0.0.1", "169.254.1.1", "::1", "garbage", "", "1.2.3.4:80"]
)
def test_an_address_that_is_nobodys_is_not_counted(small, forwarded):
    before = small.db.row("SELECT coalesce(sum(accounts), 0) FROM source_counts")[0]
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    assert {small("POST", "/user/create", {}, headers=headers).status_code for _ in range(7)} == {200}
    assert small.db.row("SELECT coalesce(sum(accounts), 0) FROM source_counts")[0] == before


def test_addresses_of_one_ipv6_network_are_one(own_url):
    with served(own_url) as call:
        sent = [
            call("POST", "/user/create", {}, headers={"X-Forwarded-For": f"2001:db8:1:2::{n:x}"}).status_code
            for n in range(6)
        ]
        assert sent == [200] * 5 + [429]


def test_a_claim_without_a_trusted_proxy_is_not_believed(own_url):
    with served(own_url, TRUSTED_PROXIES="") as call:
        for number in range(7):
            call("POST", "/user/create", {}, headers={"X-Forwarded-For": f"192.0.2.{number}"})
        assert call.db.row("SELECT count(*) FROM source_counts")[0] == 0


def test_no_address_is_kept_and_the_key_is_forgotten(own_url):
    with served(own_url, ENVIRONMENT="local") as call:
        call("POST", "/user/create", {}, headers={"X-Forwarded-For": STRANGER})
        ((source,),) = call.db.rows("SELECT source FROM source_counts")
        assert len(source) == 8
        call.db.rows("UPDATE source_keys SET day = day - 1")
        call.db.rows("UPDATE source_counts SET hour = hour - interval '2 days'")
        call("POST", "/user/create", {}, headers={"X-Forwarded-For": STRANGER})
        assert len({row[0] for row in call.db.rows("SELECT source FROM source_counts")}) == 2, "another day's digest"
        assert call("POST", "/cleanup", {}).json["deleted"]["sources"] == 1
        assert call.db.row("SELECT count(*) FROM source_keys WHERE day < current_date")[0] == 0


def test_test_mode_lifts_them(own_url):
    with served(own_url, TEST_MODE="true", ENVIRONMENT="local") as call:
        user = new_user(call)
        assert {call("POST", "/shareditem", user.shared_item()).status_code for _ in range(5)} == {200}


def test_a_stored_expiry_is_at_most_400_days_away(small):
    user = new_user(small)
    small("PUT", "/event", user.event(expiry="9999-12-31T23:59:59Z"))
    small("POST", "/shareditem", user.shared_item(expiry="9999-12-31T23:59:59Z"))
    for table in ("user_events", "shared_items"):
        far = small.db.row(
            f"SELECT max(expiry) - now() <= interval '400 days' FROM {table} WHERE user_id = :id", id=user.id
        )
        assert far[0] is True


# inboxes


def send(call, user, forwarded):
    return call("PUT", "/inbox", user.message(base64(1)), headers={"X-Forwarded-For": forwarded}).status_code


def test_one_source_fills_a_tenth_of_an_inbox(small):
    user = new_user(small)
    assert [send(small, user, STRANGER) for _ in range(101)] == [200] * 100 + [429]
    assert send(small, user, NEIGHBOUR) == 200
    assert len(small("POST", "/inbox", user.credentials()).json["inboxMessages"]) == 101


def fill_inbox(db: Database, user, count, source):
    db.rows(
        "INSERT INTO user_inbox_items (id, user_id, encrypted_message, source)"
        " SELECT gen_random_uuid(), :id, '{a}', CAST(:source AS bytea) FROM generate_series(1, CAST(:count AS int))",
        id=user.id, count=count, source=source,
    )  # fmt: skip


def sources(db: Database, user):
    found = db.rows("SELECT source, count(*) FROM user_inbox_items WHERE user_id = :id GROUP BY source", id=user.id)
    return {None if source is None else bytes(source): number for source, number in found}


def test_in_a_full_inbox_the_fullest_source_gives_way_to_another(small):
    user = new_user(small)
    fill_inbox(small.db, user, 1, b"a friend")
    fill_inbox(small.db, user, 600, b"many")
    fill_inbox(small.db, user, 399, b"less")
    assert send(small, user, STRANGER) == 200
    left = sources(small.db, user)
    assert left.pop(b"many") == 599
    assert left.pop(b"less") == 399
    assert left.pop(b"a friend") == 1
    assert list(left.values()) == [1]


def test_a_full_inbox_refuses_whoever_is_nobody(small):
    user = new_user(small)
    fill_inbox(small.db, user, 1000, None)
    assert send(small, user, "127.0.0.1") == 429
    assert send(small, user, STRANGER) == 200
    assert sources(small.db, user)[None] == 999


# accounts that were never used


def test_accounts_that_never_stored_anything_go_after_90_days(own_url):
    with served(own_url, ENVIRONMENT="local", QUOTA_ACCOUNTS_PER_HOUR="1000") as call:
        unused, recent, *used = (new_user(call) for _ in range(7))
        call("PUT", "/user", used[0].profile())
        call("PUT", "/event", used[1].event())
        call("PUT", "/follow-secret", used[2].secret("s"))
        call("PUT", "/inbox", used[3].message())
        call("POST", "/shareditem", used[4].shared_item())
        call.db.rows(
            "UPDATE users SET created = now() - interval '91 days', last_accessed = now() - interval '91 days'"
        )
        call.db.rows("UPDATE users SET last_accessed = now() - interval '89 days' WHERE id = :id", id=recent.id)
        assert call("POST", "/cleanup", {"dry_run": True}).json["deleted"]["unused_accounts"] == 1
        assert call("POST", "/cleanup", {}).json["deleted"]["unused_accounts"] == 1
        assert call("GET", f"/user/{unused.id}").status_code == 404
        assert {call("GET", f"/user/{user.id}").status_code for user in (recent, *used)} == {200}
