"""Backups of phones: what the app sends is stored byte for byte, and comes back to whoever has the key.

What the app sends, and that it only shows the status of what is no 2xx, is said in LiftLog's source
(app/src/store/settings/remote-backup-effects.ts) and in its RemoteBackup.md.
"""

import gzip
import hashlib
import os
import re
import zlib
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from uuid import UUID, uuid4

import pytest

from shared.backup_stores import place_of
from tests.databases import BACKUP_FOLDER
from tests.phones import OCTETS, Phone, content
from tests.processes import peak_bytes, worker_of
from tests.servers import Caller, Servers
from tests.waiting import wait_for

MIB = 1024 * 1024


@pytest.fixture
def phone(call):
    return Phone(call)


def basic(user, password):
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def test_it_comes_back_byte_for_byte(phone):
    body = content(5 * MIB)
    backup = phone.stored(body)
    assert backup["bytes"] == len(body)
    assert backup["sha256"] == hashlib.sha256(body).hexdigest()
    assert phone.listed() == [backup]
    answer = phone.get(backup)
    assert answer.status_code == 200
    assert answer.content == body
    assert answer.headers["Content-Type"] == "application/gzip"
    assert answer.headers["Content-Length"] == str(len(body))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"] == f'"{backup["sha256"]}"'
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith(f'attachment; filename="{phone.name}-2')
    assert disposition.endswith('.liftlogbackup.gz"')


def test_the_same_bytes_are_one_backup(phone):
    body = content()
    first, other, again = phone.stored(body), phone.stored(content()), phone.stored(body)
    assert again["id"] == first["id"]
    assert [backup["id"] for backup in phone.listed()] == [first["id"], other["id"]]
    assert phone.get(first).content == body
    assert len(files_of(phone)) == 2


def test_the_same_bytes_sent_at_the_same_moment_are_one_backup(phone):
    body = content(MIB)
    start = Barrier(4)

    def send(_):
        start.wait()
        return phone.stored(body)["id"]

    with ThreadPoolExecutor(4) as executor:
        ids = set(executor.map(send, range(4)))
    (backup,) = phone.listed()
    assert ids == {backup["id"]}
    assert phone.get(backup).content == body
    assert len(files_of(phone)) == 1


def files_of(phone):
    return sorted(path.name for path in (Path(os.environ[BACKUP_FOLDER]) / phone.name).iterdir())


def file_of(phone, backup):
    return Path(os.environ[BACKUP_FOLDER]) / place_of(phone.name, UUID(backup["id"]))


def test_bytes_that_were_lost_come_back_with_the_next_sending(phone):
    body = content()
    backup = phone.stored(body)
    file_of(phone, backup).unlink()
    assert phone.get(backup).status_code == 503  # the database says that there is one
    phone.stored(body)
    assert phone.get(backup).content == body


def test_whatever_else_the_user_typed_is_left_alone(call):
    phone = Phone(call)
    path = f"/backup?from=phone&user={phone.name}&user=other&x=%20"
    assert call("POST", path, content(), headers=phone.headers()).status_code == 200
    assert len(phone.listed()) == 1


@pytest.mark.parametrize(
    "kind", ["X-Api-Key", "x-api-key", "Bearer", "basic", "basic with another name", "basic alone"]
)
def test_a_key_is_shown_as_the_app_does_or_as_standards_say(call, phone, kind):
    path, body = phone.path, content()
    if kind.lower() == "x-api-key":
        headers = {kind: phone.key}
    elif kind == "Bearer":
        headers = {"Authorization": f"bearer {phone.key}"}
    else:
        headers = basic("other" if "another" in kind else phone.name, phone.key)
        path = "/backup" if "alone" in kind else path
    assert call("POST", path, body, headers=headers).status_code == 200
    (backup,) = call("GET", path, headers=headers).json["backups"]
    assert (
        call("GET", f"/backup/{backup['id']}", headers=headers if "another" not in kind else phone.headers()).content
        == body
    )


WRONG = {
    "no key": lambda _phone: {},
    "a wrong key": lambda _phone: {"X-Api-Key": "wrong"},
    "an empty key": lambda phone: basic(phone.name, ""),
    "a key of somebody else": lambda phone: {"X-Api-Key": Phone(phone.call).key},
    "broken basic": lambda _phone: {"Authorization": "Basic !"},
    "another scheme": lambda phone: {"Authorization": f"Digest {phone.key}"},
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_key_and_an_unknown_name_get_the_same_401(call, phone, kind):
    backup = phone.stored(content())
    answers = []
    for name in (phone.name, "nobody", "..", "a/b", ""):
        for method, path, body in (("POST", "/backup", content()), ("GET", "/backup", None)):
            answers.append(call(method, f"{path}?user={name}", body, headers=OCTETS | WRONG[kind](phone)))
    answers.append(call("GET", f"/backup/{backup['id']}", headers=WRONG[kind](phone)))
    answers.append(call("GET", f"/backup/{uuid4()}", headers=WRONG[kind](phone)))
    for answer in answers:
        assert answer.status_code == 401
        assert answer.json == answers[0].json
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="LiftLog backups"'
    assert phone.listed() == [backup]


def test_an_id_of_nobody_is_404_to_whoever_has_a_key(phone):
    other = Phone(phone.call)
    of_other = other.stored(content())
    for backup_id in (str(uuid4()), "nothing", of_other["id"]):
        answer = phone.call("GET", f"/backup/{backup_id}?user={phone.name}", headers=phone.headers())
        assert answer.status_code == 404
        assert answer.json["type"] == "urn:liftlog:problem:unknown-backup"


NOT_GZIP = {
    "a database": b"SQLite format 3\0" + bytes(1000),
    "a zip": b"PK\x03\x04" + bytes(1000),
    "only a beginning": content()[:-1],
    "no trailer": content()[:-8],
    "a wrong checksum": content()[:-8] + bytes(4) + content()[-4:],
    "a wrong length": (whole := gzip.compress(b"x" * 999))[:-4] + b"\0\0\0\1",
    "something behind it": whole + b"more",
    "a flipped bit": whole[:20] + bytes([whole[20] ^ 1]) + whole[21:],
    "zlib": zlib.compress(b"x" * 999),
}


@pytest.mark.parametrize("kind", NOT_GZIP)
def test_what_is_no_whole_gzip_file_is_refused(phone, kind):
    answer = phone.send(NOT_GZIP[kind])
    assert answer.status_code == 400
    assert answer.json["detail"] == "The body is not a whole gzip file."
    assert phone.listed() == []
    assert not (Path(os.environ[BACKUP_FOLDER]) / phone.name).exists()


def test_a_file_of_several_members_is_one(phone):
    """RFC 1952 §2.2."""
    body = gzip.compress(b"one") + gzip.compress(b"two")
    assert phone.get(phone.stored(body)).content == body


def test_no_body_is_refused(phone):
    assert phone.send(b"").status_code == 400


def test_a_compressed_body_is_refused(phone):
    """It would have to be taken apart: what came would not be what is stored."""
    assert phone.send(content(), **{"Content-Encoding": "gzip"}).status_code == 415


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1), ("bytes=10-19", 10, 20), ("bytes=10-", 10, None), ("bytes=-5", -5, None),
        ("bytes=0-999999", 0, None), ("bytes=-999999", 0, None),
    ],
)  # fmt: skip
def test_a_range_of_it(phone, asked, start, end):
    body = content()
    answer = phone.get(phone.stored(body), Range=asked)
    assert answer.status_code == 206
    assert answer.content == body[start:end]
    first = start if start >= 0 else len(body) + start
    assert answer.headers["Content-Range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(body)}"


@pytest.mark.parametrize("asked", ["bytes=999999-", "bytes=-0", "bytes=4000-5000"])
def test_a_range_past_its_end(phone, asked):
    body = content()
    answer = phone.get(phone.stored(body), Range=asked)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(body)}"


@pytest.mark.parametrize("asked", ["bytes=0-1,3-4", "lines=1-2", "bytes=5-1", "nonsense", "bytes=a-b"])
def test_a_range_that_is_none_is_ignored(phone, asked):
    """RFC 9110 §14.2; several ranges at once may be."""
    body = content()
    answer = phone.get(phone.stored(body), Range=asked)
    assert (answer.status_code, answer.content) == (200, body)


def test_a_download_that_broke_off_goes_on_with_the_same_file_only(phone):
    """RFC 9110 §13.1.5."""
    body = content()
    backup = phone.stored(body)
    etag = phone.get(backup).headers["ETag"]
    same = phone.get(backup, Range="bytes=100-", **{"If-Range": etag})
    assert (same.status_code, same.content) == (206, body[100:])
    for other in ('"another"', f"W/{etag}", "Sat, 28 Nov 2026 12:00:00 GMT"):
        whole_answer = phone.get(backup, Range="bytes=100-", **{"If-Range": other})
        assert (whole_answer.status_code, whole_answer.content) == (200, body)


def test_who_has_it_gets_it_no_second_time(phone):
    backup = phone.stored(content())
    etag = phone.get(backup).headers["ETag"]
    answer = phone.get(backup, **{"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == etag
    assert "Content-Type" not in answer.headers


def test_head_says_how_long_it_is(phone):
    backup = phone.stored(content())
    answer = phone.get(backup, method="HEAD", Range="bytes=1-2", **{"Accept-Encoding": "gzip"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(backup["bytes"])
    assert "Content-Encoding" not in answer.headers


@pytest.mark.direct
def test_an_operator_gets_one_through_gcloud(call, phone):
    """What `gcloud functions call` sends has no query: the name stands in Basic."""
    if call.alone:
        body = content()
        backup = phone.stored(body)
        envelope = {"route": "GET /backup", "headers": basic(phone.name, phone.key)}
        assert call.at(call.server("/backup").url, "POST", "/", envelope).json["backups"] == [backup]


@pytest.fixture
def own(own_url, tmp_path):
    """Return a function that starts a gateway with settings of its own."""
    running = []

    def start(**settings):
        servers = (
            Servers(own_url, BACKUP_STORE=f"file://{tmp_path}/backups")
            if not settings
            else Servers(own_url, **{"BACKUP_STORE": f"file://{tmp_path}/backups"} | settings)
        )
        running.append(servers)
        return Caller(servers, alone=False)

    yield start
    for servers in running:
        servers.__exit__(None, None, None)


def test_what_is_larger_than_may_be_is_413(own):
    body = content(1000)
    phone = Phone(own(BACKUP_MAX_BYTES=str(len(body))))
    phone.stored(body)
    assert phone.send(body + b"x").status_code == 413
    assert len(phone.listed()) == 1


def test_a_bomb_is_looked_at_no_further(own):
    phone = Phone(own(BACKUP_MAX_BYTES="100000"))
    answer = phone.send(gzip.compress(bytes(16 * 100_000 + 1)))
    assert answer.status_code == 400
    assert answer.json["detail"] == "The gzip file expands to too much."
    phone.stored(gzip.compress(bytes(16 * 100_000)))


@pytest.mark.parametrize("store", ["", "off"])
def test_where_none_are_taken_that_is_said(own, store):
    phone = Phone(own(BACKUP_STORE=store))
    for answer in (phone.send(content()), phone.call("GET", phone.path, headers=phone.headers())):
        assert answer.status_code == 403
        assert answer.json["type"] == "urn:liftlog:problem:backups-off"
        assert "BACKUP_STORE" in answer.json["detail"]


@pytest.mark.parametrize("store", ["file://host/folder", "file:relative", "s3://bucket", "/folder", "gs://"])
def test_a_store_that_is_none_is_a_fault_of_ours(own, store):
    answer = Phone(own(BACKUP_STORE=store)).send(content())
    assert (answer.status_code, answer.json["type"]) == (503, "urn:liftlog:problem:not-configured")


def test_a_size_that_is_none_is_a_fault_of_ours(own):
    answer = Phone(own(BACKUP_MAX_BYTES="many")).send(content())
    assert (answer.status_code, answer.json["type"]) == (503, "urn:liftlog:problem:not-configured")


def test_a_browser_gets_a_page_with_links_to_the_files(call, phone):
    backups = [phone.stored(content()), phone.stored(content())]
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"} | basic(phone.name, phone.key)
    answer = call("GET", phone.path, headers=browser)
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "script-src 'none'" in answer.headers["Content-Security-Policy"]
    links = re.findall(r'href="([^"]+)"', answer.content.decode())
    assert links == [f"backup/{backup['id']}" for backup in backups[::-1]]
    assert call("GET", f"/{links[0]}", headers=browser).headers["Content-Type"] == "application/gzip"
    assert call("GET", "/backup", headers=browser | basic(phone.name, "wrong")).status_code == 401


def test_a_browser_without_a_key_is_asked_for_one(call):
    answer = call("GET", "/backup", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Basic realm="LiftLog backups"')


def test_a_full_quota_stores_nothing(own, tmp_path):
    phone = Phone(own(BACKUP_QUOTA_COUNT="2"))
    kept = [phone.stored(content()), phone.stored(content())]
    assert phone.send(content()).status_code == 429
    assert phone.listed() == kept[::-1]
    assert len(list((tmp_path / "backups" / phone.name).iterdir())) == 2


@pytest.mark.slow
def test_a_full_disk_stores_nothing_and_gives_back_what_there_is(own, tmp_path):
    call = own()
    body = content()
    phone = Phone(call)
    backup = phone.stored(body)
    full = own(STORAGE_FOLDER=str(tmp_path), STORAGE_RESERVE_MIB="1000000")
    answer = full("POST", phone.path, content(), headers=phone.headers())
    assert (answer.status_code, answer.json["type"]) == (503, "urn:liftlog:problem:storage-full")
    assert full("GET", f"/backup/{backup['id']}", headers=phone.headers()).content == body
    assert phone.listed() == [backup]


def test_a_folder_that_cannot_be_written_is_a_503(own):
    phone = Phone(own(BACKUP_STORE="file:///proc/backups"))
    answer = phone.send(content())
    assert (answer.status_code, answer.json["type"]) == (503, "urn:liftlog:problem:storage-full")
    assert phone.listed() == []


def test_metrics_count_them(own):
    call = own(METRICS_FLUSH_SECONDS="0.1", ENVIRONMENT="local")
    phone = Phone(call)
    body = content()
    phone.stored(body)
    phone.stored(body)

    def counted():
        text = call("GET", "/metrics").content.decode()
        return f"liftlog_backup_bytes_total {2 * len(body)}" in text and 'liftlog_backups_total{what="new"} 1' in text

    wait_for(counted)


AT_ONCE, LARGE_BYTES = 8, 20 * MIB


@pytest.mark.slow
def test_eight_phones_at_once_take_no_memory(own):
    """20 MiB each, up and down again: 9 MiB in all."""
    call = own()
    phones = [Phone(call) for _ in range(AT_ONCE)]
    bodies = [content(LARGE_BYTES) for _ in phones]
    phones[0].get(phones[0].stored(content()))  # what is imported at first use
    before = peak_bytes(worker_of(call.server("/backup")))
    with ThreadPoolExecutor(AT_ONCE) as executor:
        backups = list(executor.map(Phone.stored, phones, bodies))
        answers = list(executor.map(Phone.get, phones, backups))
    assert [answer.content for answer in answers] == bodies
    assert peak_bytes(worker_of(call.server("/backup"))) - before < 16 * MIB
