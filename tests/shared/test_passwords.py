"""Passwords: the original's hashes, their upgrade, and the gate before them."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_bytes, token_hex
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from shared import passwords
from tests.servers import Caller, Server, Servers
from tests.users import User, base64

pytestmark = pytest.mark.slow
UNHURRIED = Path(__file__).parent.parent / "unhurried" / "main.py"
PASSWORD = "6f1f6f0e-5c2a-4b5e-9d43-0f2f0b1a7c11"


def insert_legacy(db, password):
    """Insert a user as the original backend does."""
    user = User(str(uuid4()), token_hex(6), password)
    legacy = passwords.new_legacy_hash(password)
    db.rows(
        """
        INSERT INTO users
            (id, user_lookup, hashed_password, last_accessed, created, salt, encryption_iv, rsa_public_key)
        VALUES (:id, :lookup, :hashed, now(), now(), :salt, '', '')
        """,
        id=UUID(user.id), lookup=user.lookup, hashed=legacy.hashed_password, salt=legacy.salt,
    )  # fmt: skip
    return user


def verifier_of(db, user):
    return db.row("SELECT verifier FROM users WHERE id = :id", id=UUID(user.id))[0]


AUTHENTICATED = [
    ("PUT", "/user", lambda user: user.profile()),
    ("PUT", "/event", lambda user: user.event()),
    ("PUT", "/follow-secret", lambda user: user.secret("s")),
    ("POST", "/follow-secret/delete", lambda user: user.secret("s")),
    ("POST", "/inbox", lambda user: user.credentials()),
    ("POST", "/shareditem", lambda user: user.shared_item()),
]


@pytest.mark.parametrize(("method", "path", "build"), AUTHENTICATED)
def test_a_legacy_password_works_and_is_upgraded_on_its_first_success(call, method, path, build):
    user = insert_legacy(call.db, passwords.new_password())
    wrong = build(user) | {"password": passwords.new_password()}
    assert call(method, path, wrong).status_code == 401
    assert verifier_of(call.db, user) is None
    assert call(method, path, build(user)).status_code == 200
    assert verifier_of(call.db, user) == passwords.fast_verifier(UUID(user.id), user.password)
    assert call(method, path, build(user)).status_code == 200
    assert call(method, path, wrong).status_code == 401


def test_a_legacy_account_can_be_deleted(call):
    user = insert_legacy(call.db, passwords.new_password())
    assert call("POST", "/user/delete", user.account(password="wrong")).status_code == 401
    assert call("POST", "/user/delete", user.account()).status_code == 200
    assert call("GET", f"/user/{user.id}").status_code == 404


def test_only_passwords_of_the_generated_form_are_upgraded(call):
    user = insert_legacy(call.db, "hunter2")
    assert call("POST", "/inbox", user.credentials()).status_code == 200
    assert verifier_of(call.db, user) is None
    assert call("POST", "/inbox", user.credentials()).status_code == 200


def test_a_verifier_is_of_one_user_and_one_password():
    users, secrets = [uuid4(), uuid4()], [passwords.new_password(), passwords.new_password()]
    verifiers = {passwords.fast_verifier(user, secret) for user in users for secret in secrets}
    assert len(verifiers) == 4
    assert {len(verifier) for verifier in verifiers} == {32}


@pytest.mark.parametrize(
    ("password", "generated"),
    [
        (passwords.new_password(), True),
        (passwords.new_password().upper(), False),
        ("00000000-0000-1000-8000-000000000000", False),
        ("00000000-0000-4000-8000-000000000000\n", False),
        ("hunter2", False),
    ],
    ids=["new", "upper case", "version 1", "newline", "guessable"],
)
def test_the_generated_form(password, generated):
    assert passwords.is_generated(password) is generated


def test_the_legacy_digest_is_the_originals():
    """Checked against an independent implementation of PBKDF2 (RFC 8018 §5.2)."""
    salt = bytes(range(64))
    expected = PBKDF2HMAC(SHA512(), 64, salt, 350_000).derive(PASSWORD.encode()).hex().upper()
    assert passwords.legacy_digest(PASSWORD, salt) == expected


def test_many_with_the_same_password_cost_one_hash(monkeypatch):
    hashed, count = hashlib.pbkdf2_hmac, []

    def counted(*arguments):
        count.append(arguments)
        return hashed(*arguments)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", counted)
    salt, wrong = token_bytes(64), passwords.new_password()
    with ThreadPoolExecutor(8) as threads:
        digests = set(threads.map(lambda _: passwords.legacy_digest(wrong, salt), range(8)))
    assert digests == {passwords.legacy_digest(wrong, salt)}
    assert len(count) == 1
    assert passwords.legacy_digest(PASSWORD, salt) not in digests
    assert passwords.legacy_digest(wrong, token_bytes(64)) not in digests
    assert len(count) == 3


@pytest.fixture
def unhurried(database_url):
    """Return inboxes in which nobody gives up on a busy machine."""
    server = Server("inbox", source=UNHURRIED, DATABASE_URL=database_url)
    yield server
    server.stop()


def test_forty_wrong_passwords_on_one_account_keep_no_other_account_out(servers, unhurried):
    call = Caller(servers, alone=False)
    attacked = insert_legacy(call.db, "hunter2")
    honest = [insert_legacy(call.db, passwords.new_password()) for _ in range(12)]
    requests = [attacked.credentials() | {"password": passwords.new_password()} for _ in range(40)]
    requests += [user.credentials() for user in honest]
    barrier = threading.Barrier(len(requests))

    def check(credentials):
        barrier.wait()
        return call.at(unhurried.url, "POST", "/inbox", credentials)

    with ThreadPoolExecutor(len(requests)) as threads:
        answers = list(threads.map(check, requests))
    assert {answer.status_code for answer in answers[:40]} == {401, 503}
    assert [answer.status_code for answer in answers[40:]] == [200] * 12


def test_many_legacy_checks_at_once_are_answered_or_refused_and_others_go_on(servers):
    call = Caller(servers, alone=False)
    created = call("POST", "/user/create", {}).json
    fast = User(created["id"], created["lookup"], created["password"])
    slow = insert_legacy(call.db, "hunter2")
    barrier = threading.Barrier(12)

    def check():
        barrier.wait()
        return call("POST", "/inbox", slow.credentials())

    with ThreadPoolExecutor(12) as threads:
        checks = [threads.submit(check) for _ in range(12)]
        assert call("PUT", "/event", fast.event()).status_code == 200
        answers = [future.result() for future in checks]
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status_code == 503)


@pytest.fixture(scope="module")
def legacy_call(database_url):
    with Servers(database_url, LEGACY_PASSWORD_HASH="true") as servers:
        yield Caller(servers, alone=False)


def test_a_user_created_for_both_backends_satisfies_the_originals_check(legacy_call):
    created = legacy_call("POST", "/user/create", {}).json
    hashed, salt = legacy_call.db.row("SELECT hashed_password, salt FROM users WHERE id = :id", id=UUID(created["id"]))
    assert len(salt) == 64
    assert passwords.legacy_digest(created["password"], salt) == hashed
    user = User(created["id"], created["lookup"], created["password"])
    assert legacy_call("PUT", "/user", user.profile(encryptedName=base64(3))).status_code == 200


def test_without_the_setting_the_originals_columns_refuse_every_password(call, new_user):
    user = new_user()
    assert call.db.row("SELECT hashed_password, salt FROM users WHERE id = :id", id=UUID(user.id)) == ["", b""]
