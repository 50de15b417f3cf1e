"""Backups in a bucket: the same promises, kept by Cloud Storage's own client over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from shared.backup_stores import place_of
from shared.backup_stores.bucket import BucketStore
from tests.fake_storage import PAGE_SIZE, FakeStorage, StoredObject
from tests.phones import Phone, content
from tests.processes import peak_bytes, worker_of
from tests.servers import Caller, Servers

pytestmark = pytest.mark.slow
MIB = 1024 * 1024
BUCKET, PREFIX = "liftlog-phones", "of/2026"


@pytest.fixture
def storage():
    with FakeStorage() as storage:
        yield storage


@pytest.fixture
def call(own_url, storage):
    with Servers(
        own_url,
        ENVIRONMENT="local",
        BACKUP_KEEP_NEWEST="1",
        BACKUP_STORE=f"gs://{BUCKET}/{PREFIX}/",
        BACKUP_STORE_ENDPOINT=storage.url,
    ) as servers:
        yield Caller(servers, alone=False)


@pytest.fixture
def phone(call):
    return Phone(call)


def test_a_backup_goes_there_in_pieces_and_comes_back(phone, storage):
    body = content(5 * MIB)
    backup = phone.stored(body)
    ((bucket, name),) = storage.objects
    assert (bucket, name) == (BUCKET, f"{PREFIX}/{place_of(phone.name, backup['id'])}")
    stored = storage.objects[bucket, name]
    assert (stored.content, stored.content_type) == (body, "application/gzip")
    assert storage.largest_piece_bytes == 2 * MIB
    assert phone.get(backup).content == body


def test_of_a_range_only_the_range_is_fetched(phone, storage):
    body = content(MIB)
    backup = phone.stored(body)
    answer = phone.get(backup, Range="bytes=1000-1999")
    assert (answer.status_code, answer.content) == (206, body[1000:2000])


def test_the_same_bytes_are_one_object(phone, storage):
    body = content()
    assert phone.stored(body)["id"] == phone.stored(body)["id"]
    assert len(storage.objects) == 1


def test_a_service_that_fails_for_a_moment_is_asked_again(phone, storage):
    storage.broken = 1
    backup = phone.stored(content())
    storage.broken = 1
    assert phone.get(backup).status_code == 200


def test_an_object_that_is_gone_or_too_short_is_a_503(phone, storage):
    backup = phone.stored(content())
    (key,) = storage.objects
    whole = storage.objects[key].content
    storage.objects[key].content = whole[:-1]
    assert phone.get(backup).json["type"] == "urn:liftlog:problem:provider-unavailable"
    del storage.objects[key]
    assert phone.get(backup).json["type"] == "urn:liftlog:problem:provider-unavailable"


def test_what_is_no_longer_kept_goes_and_what_nobody_names(call, phone, storage):
    old, newest = phone.stored(content()), phone.stored(content())
    call.db.rows("UPDATE backups SET stored_at = now() - interval '900 days' WHERE id = :id", id=old["id"])
    for number in range(2 * PAGE_SIZE):
        storage.objects[BUCKET, f"{PREFIX}/{place_of(f'nobody{number}', uuid4())}"] = StoredObject(b"", "")
    storage.objects[BUCKET, "of/another"] = StoredObject(b"", "")
    for stored in storage.objects.values():
        stored.updated = datetime.now(UTC) - timedelta(days=2)
    deleted = call("POST", "/cleanup", {}).json["deleted"]
    assert (deleted["backups"], deleted["backup_files"]) == (1, 2 * PAGE_SIZE)
    assert set(storage.objects) == {
        (BUCKET, "of/another"),
        (BUCKET, f"{PREFIX}/{place_of(phone.name, newest['id'])}"),
    }
    assert phone.get(newest).status_code == 200


def test_deleting_what_is_not_there_is_fine(storage):
    BucketStore(BUCKET, "", storage.url).delete(place_of("ann", uuid4()))
    assert sum(line.startswith("DELETE ") for line in storage.requests) == 1


def test_an_upload_that_the_service_does_not_take_is_a_503_and_no_backup(phone, storage):
    storage.refuses_uploads = True
    answer = phone.send(content())
    assert (answer.status_code, answer.json["type"]) == (503, "urn:liftlog:problem:provider-unavailable")
    assert phone.listed() == []
    assert storage.objects == {}


def test_eight_phones_at_once_take_little_memory(call, storage):
    """A piece of each is there on its way to the bucket: 27 MiB in all."""
    phones = [Phone(call) for _ in range(8)]
    bodies = [content(10 * MIB) for _ in phones]
    phones[0].get(phones[0].stored(content()))  # what is imported at first use
    before = peak_bytes(worker_of(call.server("/backup")))
    with ThreadPoolExecutor(8) as executor:
        backups = list(executor.map(Phone.stored, phones, bodies))
        answers = list(executor.map(Phone.get, phones, backups))
    assert [answer.content for answer in answers] == bodies
    assert peak_bytes(worker_of(call.server("/backup"))) - before < 48 * MIB
