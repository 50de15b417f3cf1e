"""What accounts that leave and arrive may cost: memory, files, turns, quotas; and nobody else's waiting."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import psutil
import pytest

from functions.own_data import arrivals, departures
from shared.process import memory_limit_bytes
from shared.worker.uploads import MOST_UPLOADS
from tests.examples.own_data import document, newcomer
from tests.functions.test_own_data import bring, new_identity
from tests.processes import peak_bytes, worker_of
from tests.raw_http import ask, request
from tests.servers import Caller, Servers
from tests.users import User, base64
from tests.waiting import wait_for

MIB = 1024 * 1024
AT_ONCE = 8
STRANGER, NEIGHBOUR = "192.0.2.1", "192.0.2.2"
ONE_EVENT = 256 * 1024


def announce(port, user, length):
    """Send the head of an import alone, and return the connection and the first answer."""
    connection = socket.create_connection(("127.0.0.1", port), 60)
    credentials = newcomer(user.id, user.password)["Authorization"]
    lines = ("POST /user/import HTTP/1.1", "Host: x", f"Content-Length: {length}", "Expect: 100-continue")
    connection.sendall("\r\n".join([*lines, f"Authorization: {credentials}", "", ""]).encode())
    return connection, connection.recv(4096)


@contextmanager
def served(url, **environment):
    with Servers(url, TRUSTED_PROXIES="127.0.0.0/8", **environment) as servers:
        yield Caller(servers, alone=False)


def new_user(call):
    created = call("POST", "/user/create", {}).json
    return User(created["id"], created["lookup"], created["password"])


def enlarge(call, user, byte_count):
    """Give an account so many bytes of events."""
    call.db.rows(
        """
        INSERT INTO user_events (user_id, id, timestamp, last_accessed, expiry, encrypted_event, encryption_iv)
        SELECT :id, gen_random_uuid(), now(), now(), now() + interval '9 days', content, 'i'
        FROM (SELECT string_agg(sha512(convert_to(CAST(n AS text), 'UTF8')), '') AS content
              FROM generate_series(1, 4096) AS n) AS made, generate_series(1, CAST(:events AS integer))
        """,
        id=user.id,
        events=byte_count // ONE_EVENT,
    )


# Memory


def test_eight_large_ones_leave_and_arrive_in_little_memory(own_url):
    """Of 24 MiB each, so that a tenth of what is moved would be noticed."""
    with served(own_url, QUOTA_ACCOUNTS_PER_HOUR="100") as call:
        server = call.server("/")
        users = [new_user(call) for _ in range(AT_ONCE)]
        for user in users:
            enlarge(call, user, 24 * MIB)
        assert call("POST", "/user/export", new_user(call).account()).status_code == 200
        before = peak_bytes(worker_of(server))
        exported: list[bytes] = []

        def export(user):
            answer = ask(server.port, request("POST", "/user/export", user.account()))
            exported.append(answer.content)
            return answer.status, int(answer.headers["Content-Length"]) == len(answer.content)

        with ThreadPoolExecutor(AT_ONCE) as executor:
            assert set(executor.map(export, users)) == {(200, True)}
        assert sum(map(len, exported)) > AT_ONCE * 32 * MIB
        for user in users:
            assert call("POST", "/user/delete", user.account()).status_code == 200

        def import_again(number):
            content = exported[number]
            user = next(user for user in users if user.id.encode() in content[:200])
            return ask(server.port, request("POST", "/user/import", content, newcomer(user.id, user.password))).status

        with ThreadPoolExecutor(arrivals.MOST_AT_ONCE) as executor:
            assert set(executor.map(import_again, range(AT_ONCE))) == {200}
        assert peak_bytes(worker_of(server)) - before < 40 * MIB


# Turns


def begin_reading(server, user):
    """Ask for a document, and read only that it comes."""
    connection = socket.create_connection(("127.0.0.1", server.port), 60)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(request("POST", "/user/export", user.account()))
    assert connection.recv(15).startswith(b"HTTP/1.1 200 ")
    return connection


def test_one_document_of_an_account_is_read_at_a_time(own_url):
    with served(own_url) as call:
        user, other = new_user(call), new_user(call)
        enlarge(call, user, 24 * MIB)
        reading = begin_reading(call.server("/"), user)
        refused = call("POST", "/user/export", user.account())
        assert (refused.status_code, refused.json["type"]) == (503, "urn:liftlog:problem:overloaded")
        assert refused.headers["Retry-After"]
        assert call("POST", "/user/export", other.account()).status_code == 200
        reading.close()
        wait_for(lambda: call("POST", "/user/export", user.account()).status_code == 200)
        assert call("POST", "/user/export", user.account()).status_code == 200


def test_as_many_wait_for_their_readers_as_there_is_room_for(own_url):
    most = max(1, min(departures.MOST_FILES, memory_limit_bytes() // 2 // departures.LARGEST_BYTES))
    with served(own_url, QUOTA_ACCOUNTS_PER_HOUR="100") as call:
        *users, late = (new_user(call) for _ in range(most + 1))
        for user in users:
            enlarge(call, user, 12 * MIB)
        reading = [begin_reading(call.server("/"), user) for user in users]
        assert call("POST", "/user/export", late.account()).status_code == 503
        assert call("GET", f"/user/{late.id}").status_code == 200
        for connection in reading:
            connection.close()
        wait_for(lambda: call("POST", "/user/export", late.account()).status_code == 200)


def test_imports_leave_room_for_other_uploads(own_url):
    """Anybody may send one; phones' backups are sent by whoever has a key."""
    assert arrivals.MOST_AT_ONCE < MOST_UPLOADS
    with served(own_url) as call:
        port = call.server("/").port
        begun = []
        for _ in range(arrivals.MOST_AT_ONCE):
            connection, said = announce(port, new_identity(), 1000)
            assert said == b"HTTP/1.1 100 Continue\r\n\r\n"
            begun.append(connection)
        user = new_identity()
        refused = bring(call, document(user.id), user)
        assert (refused.status_code, refused.json["type"]) == (503, "urn:liftlog:problem:overloaded")
        begun.pop().close()
        wait_for(lambda: bring(call, document(user.id), user).status_code == 200)
        for connection in begun:
            connection.close()


def test_a_disk_that_is_full_is_told_and_left_as_it_was(own_url):
    """Played by a limit for files, in whose place a full disk would say ENOSPC."""
    with served(own_url) as call:
        small, large = new_user(call), new_user(call)
        enlarge(call, large, 12 * MIB)
        worker = worker_of(call.server("/"))
        assert call("POST", "/user/export", large.account()).status_code == 200
        before = worker.num_fds()
        worker.rlimit(psutil.RLIMIT_FSIZE, (2 * MIB, 2 * MIB))
        refuse(call("POST", "/user/export", large.account()), 503, "storage-full")
        assert call("POST", "/user/export", small.account()).status_code == 200
        user = new_identity()
        content = json.dumps(document(user.id) | {"more": "x" * 3 * MIB})
        answer = call("POST", "/user/import", content, headers=newcomer(user.id, user.password))
        refuse(answer, 503, "storage-full")
        wait_for(lambda: worker.num_fds() <= before)


def test_a_disk_that_is_nearly_full_ends_an_export_and_not_the_database(own_url, tmp_path):
    """Where temporary files are on the database's disk. What is small still gets out."""
    full = {"STORAGE_FOLDER": str(tmp_path), "STORAGE_RESERVE_MIB": "1000000", "TMPDIR": str(tmp_path)}
    with served(own_url) as call:
        small, large = new_user(call), new_user(call)
        enlarge(call, large, 12 * MIB)
    with served(own_url, **full) as call:
        refuse(call("POST", "/user/export", large.account()), 503, "storage-full")
        assert call("POST", "/user/export", small.account()).status_code == 200
        user = new_identity()
        refuse(bring(call, document(user.id), user), 503, "storage-full")
    assert list(tmp_path.iterdir()) == []


# Quotas


def refuse(answer, status=429, problem="quota-exceeded"):
    assert (answer.status_code, answer.json["type"]) == (status, f"urn:liftlog:problem:{problem}"), answer.content


SMALL = {
    "QUOTA_EVENTS": "3", "QUOTA_EVENT_MIB": "1", "QUOTA_SHARED_ITEMS": "3", "QUOTA_FOLLOW_SECRETS": "3",
    "QUOTA_MIB_PER_DAY": "2", "QUOTA_ACCOUNTS_PER_HOUR": "2",
}  # fmt: skip


@pytest.fixture(scope="module")
def small(database_url):
    with served(database_url, **SMALL) as call:
        yield call


def of_each(member, number):
    """Return so many elements of a member, each another one."""
    return [
        {
            "events": lambda: document("")["events"][0],
            "followSecrets": lambda: {"followSecret": str(uuid4())},
            "inboxMessages": lambda: {"encryptedMessage": [base64(1)]},
            "sharedItems": lambda: document("")["sharedItems"][0],
        }[member]()
        for _ in range(number)
    ]


@pytest.mark.parametrize(
    ("member", "most"), [("events", 3), ("followSecrets", 3), ("inboxMessages", 1000), ("sharedItems", 3)]
)
def test_there_may_be_so_many_of_each(small, member, most):
    user = new_identity()
    refuse(bring(small, document(user.id, **{member: of_each(member, most + 1)}), user))
    assert small("GET", f"/user/{user.id}").status_code == 404
    assert bring(small, document(user.id, **{member: of_each(member, most)}), user).status_code == 200


def test_there_may_be_so_many_bytes(small):
    user = new_identity()
    large = [event | {"encryptedEventPayload": base64(262_144)} for event in of_each("events", 3)]
    items = of_each("sharedItems", 3)
    for item in items:
        item["encryptedPayload"] = item["encryptedPayload"] | {"encryptedPayload": base64(262_144)}
    brought = document(user.id, events=large, sharedItems=items)
    brought["account"]["encryptedProfilePicture"] = base64(600_000)
    refuse(bring(small, brought, user))
    brought["account"]["encryptedProfilePicture"] = base64(500_000)
    assert bring(small, brought, user).status_code == 200
    refuse(small("PUT", "/user", user.profile(encryptedProfilePicture=base64(100_000))))  # it was written on this day


def test_events_may_have_so_many_bytes(database_url):
    with served(database_url, **(SMALL | {"QUOTA_EVENTS": "100"})) as call:
        user = new_identity()
        large = [event | {"encryptedEventPayload": base64(262_144)} for event in of_each("events", 5)]
        refuse(bring(call, document(user.id, events=large), user))
        assert bring(call, document(user.id, events=large[:4]), user).status_code == 200


def test_a_document_that_is_longer_than_any_may_be_is_not_taken_in(small):
    user, port = new_identity(), small.server("/").port
    most = 2 * MIB // 3 * 4 + 16 * MIB
    for length, status in ((most + 1, 413), (most, 400)):
        sent = request("POST", "/user/import", b" " * length, newcomer(user.id, user.password))
        assert ask(port, sent).status == status


def test_an_address_brings_as_many_accounts_as_it_may_make(own_url):
    with served(own_url, **SMALL) as call:

        def send(forwarded):
            user = new_identity()
            headers = newcomer(user.id, user.password) | {"X-Forwarded-For": forwarded}
            return call("POST", "/user/import", json.dumps(document(user.id)), headers=headers)

        assert call("POST", "/user/create", {}, headers={"X-Forwarded-For": STRANGER}).status_code == 200
        assert send(STRANGER).status_code == 200
        refuse(send(STRANGER))
        assert send(NEIGHBOUR).status_code == 200
        assert call.db.row("SELECT count(*) FROM users")[0] == 3


def test_who_may_not_is_told_before_the_document_has_come(own_url):
    """Else the upload would be for nothing: 100 MB on a phone."""
    with served(own_url, **SMALL) as call:
        connection, said = announce(call.server("/").port, new_user(call), 9)
        connection.close()
        assert said.startswith(b"HTTP/1.1 409 ")
