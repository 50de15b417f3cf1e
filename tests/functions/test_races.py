"""What two requests could race for: real threads, a barrier, real servers."""

import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

from tests.databases import transaction
from tests.users import EPOCH, base64

SERVER_FAULTS = range(500, 600)


def together(*actions):
    """Run the actions at once, each in a thread of its own, and return their results."""
    barrier = threading.Barrier(len(actions))

    def start(action):
        barrier.wait()
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return [future.result() for future in [pool.submit(start, action) for action in actions]]


def test_a_poller_misses_nothing_while_events_are_published(call, new_user):
    """Six writers publish one user's events while a reader polls with the newest timestamp it has seen."""
    user, secret = new_user(), str(uuid4())
    call("PUT", "/follow-secret", user.secret(secret))
    published, done = [], threading.Event()

    def write():
        for _ in range(40):
            event = user.event()
            assert call("PUT", "/event", event).status_code == 200
            published.append(event["eventId"])

    def poll():
        seen, since, last_round = [], EPOCH, False
        while True:
            last_round = done.is_set()
            events = call("POST", "/events", {"users": [user.asked(secret, since)]}).json["events"]
            if events:
                seen += [event["eventId"] for event in events]
                since = events[-1]["timestamp"]
            elif last_round:
                return seen

    def write_all():
        together(*[write] * 6)
        done.set()

    _, seen = together(write_all, poll)
    assert len(seen) == len(set(seen)) == 240
    assert set(seen) == set(published)


def test_one_users_timestamps_are_all_different(call, new_user):
    user, secret = new_user(), str(uuid4())
    call("PUT", "/follow-secret", user.secret(secret))
    together(*[lambda: [call("PUT", "/event", user.event()) for _ in range(20)]] * 8)
    events = call("POST", "/events", {"users": [user.asked(secret)]}).json["events"]
    assert len({event["timestamp"] for event in events}) == len(events) == 160


def test_two_readers_share_an_inbox_and_leave_nothing_out(call, new_user):
    for _ in range(5):
        user = new_user()
        for _ in range(30):
            call("PUT", "/inbox", user.message())

        def read(user=user):
            return [message["id"] for message in call("POST", "/inbox", user.credentials()).json["inboxMessages"]]

        taken = [message for reader in together(*[read] * 6) for message in reader]
        taken += read()
        assert len(taken) == len(set(taken)) == 30


def test_no_message_is_lost_or_doubled_while_it_is_written_and_read(call, new_user):
    user, done = new_user(), threading.Event()

    def write():
        for _ in range(30):
            assert call("PUT", "/inbox", user.message()).status_code == 200

    def write_all():
        together(*[write] * 4)
        done.set()

    def read():
        taken, last_round = [], False
        while not last_round:
            last_round = done.is_set()
            taken += [message["id"] for message in call("POST", "/inbox", user.credentials()).json["inboxMessages"]]
        return taken

    _, first, second = together(write_all, read, read)
    assert len(first + second) == len(set(first + second)) == 120


def test_an_account_deleted_while_others_write_into_it_gives_them_404(call, new_user):
    for _ in range(6):
        user = new_user()

        def writes(user=user):
            return [
                call("PUT", "/inbox", user.message()).status_code,
                call("PUT", "/event", user.event()).status_code,
                call("PUT", "/follow-secret", user.secret(str(uuid4()))).status_code,
                call("PUT", "/user", user.profile()).status_code,
                call("POST", "/inbox", user.credentials()).status_code,
            ]

        def delete(user=user):
            return call("POST", "/user/delete", user.account()).status_code

        deleted, *written = together(delete, *[writes] * 7)
        assert deleted == 200
        assert {status for statuses in written for status in statuses} <= {200, 404}
        assert set(writes()) == {404}


def test_an_account_is_deleted_once(call, new_user):
    user = new_user()
    statuses = together(*[lambda: call("POST", "/user/delete", user.account()).status_code] * 6)
    assert sorted(statuses) == [200] + [404] * 5


def test_batches_over_the_same_ids_never_deadlock(call, new_user):
    """Every user is stale, so each batch wants to write every row, in another order."""
    ids = [new_user().id for _ in range(40)]
    for _ in range(5):
        call.db.rows("UPDATE users SET last_accessed = now() - interval '1 day'")
        batches = [ids[start:] + ids[:start] for start in range(0, 40, 5)]
        answers = together(*[lambda batch=batch: call("POST", "/users", {"ids": batch}) for batch in batches])
        assert {answer.status_code for answer in answers} == {200}
        assert all(len(answer.json["users"]) == 40 for answer in answers)


def test_a_read_never_waits_for_a_row_lock(call, new_user):
    user = new_user()
    call.db.rows("UPDATE users SET last_accessed = now() - interval '1 day' WHERE id = :id", id=user.id)
    with transaction(call.database_url, f"SELECT FROM users WHERE id = '{user.id}' FOR UPDATE"):
        assert call("GET", f"/user/{user.id}").status_code == 200
        assert call("POST", "/users", {"ids": [user.id]}).status_code == 200


def test_replacing_a_profile_is_atomic(call, new_user):
    """Readers see one writer's five fields or another's, never a mixture."""
    user, done = new_user(), threading.Event()

    def profile(size):
        return user.profile(
            encryptedCurrentPlan=base64(size), encryptedName=base64(size), encryptedProfilePicture=base64(size),
            encryptionIV=base64(size), rsaPublicKey=base64(size),
        )  # fmt: skip

    def write():
        for round_number in range(60):
            assert call("PUT", "/user", profile(1 + round_number % 16)).status_code == 200
        done.set()

    def read():
        while not done.is_set():
            found = call("GET", f"/user/{user.id}").json
            assert len({value for name, value in found.items() if name not in {"id", "lookup"}}) == 1

    assert call("PUT", "/user", profile(1)).status_code == 200
    together(write, read, read)
