"""Which backups there are of a name, and which of them stay."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from shared.backup_keys import NAME, PresentedKey, digest_of, new_key
from shared.data import backup_keys, backups
from shared.errors import QuotaExceeded, UnknownBackup, WrongKey
from shared.settings.backups import MIB, backup_settings
from tests.databases import transaction
from tests.waiting import wait_for

NOW = datetime.now(UTC)
NOBODY = UUID(int=0)


@pytest.fixture
def settings():
    return backup_settings.__wrapped__()


@pytest.fixture
def owner(own_db):
    """Return what opens a new name's backups."""
    key = new_key()
    assert backup_keys.put(own_db, "ann", digest_of(key)) is False
    return PresentedKey("ann", key)


def put(db, settings, *, name="ann", content=None, byte_count=1000, at=None):
    """Note a backup, as of some moment."""
    content = content or uuid4().bytes
    stored = backups.put(db, uuid4(), name, hashlib.sha256(content).digest(), byte_count, settings)
    if at is not None:
        db.rows("UPDATE backups SET stored_at = :at WHERE id = :id", at=at, id=stored.id)
    return stored


def retired(db, settings):
    """Delete what is no longer kept, and return the ids; counting finds as many."""
    expected = backups.count_retired(db, settings)
    gone = {backup.id for backup in backups.retire(db, settings, 1000)}
    assert len(gone) == expected
    assert backups.count_retired(db, settings) == 0
    return gone


@pytest.mark.parametrize("name", ["a", "Ann-1_2.3", "...", "x" * 64])
def test_a_name_may_be(name):
    assert NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 65, "a/b", "a b", "ä", "a\n", "a\0"])
def test_a_name_may_not_be(name):
    """Names become folders."""
    assert not NAME.fullmatch(name)
    assert PresentedKey(name, "key").row_name is None


def test_a_key_is_kept_as_a_digest_and_a_new_one_replaces_it(own_db, owner):
    backup_keys.check(own_db, owner)
    ((digest,),) = own_db.rows("SELECT digest FROM backup_keys")
    assert owner.key.encode() not in bytes(digest)
    new = new_key()
    assert backup_keys.put(own_db, "ann", digest_of(new)) is True
    backup_keys.check(own_db, PresentedKey("ann", new))
    with pytest.raises(WrongKey):
        backup_keys.check(own_db, owner)


@pytest.mark.parametrize(
    ("name", "key"), [("ann", "wrong"), ("ann", ""), ("bob", "key"), ("..", "key"), (None, "key"), ("Ann", None)]
)
def test_an_unknown_name_and_a_wrong_key_look_the_same(own_db, owner, settings, name, key):
    presented = PresentedKey(name, owner.key if key is None else key)
    stored = put(own_db, settings)
    with pytest.raises(WrongKey):
        backup_keys.check(own_db, presented)
    with pytest.raises(WrongKey):
        backups.list_all(own_db, presented)
    for backup_id in (stored.id, uuid4(), None):
        if (name, backup_id) != (None, stored.id) or key != owner.key:
            with pytest.raises(WrongKey):
                backups.get(own_db, presented, backup_id)


def test_they_are_listed_the_newest_first(own_db, owner, settings):
    assert backups.list_all(own_db, owner) == []
    first, second = put(own_db, settings), put(own_db, settings)
    assert backups.list_all(own_db, owner) == [second, first]


def test_one_is_got_by_its_id_with_the_name_or_without(own_db, owner, settings):
    stored = put(own_db, settings)
    assert backups.get(own_db, owner, stored.id) == stored
    assert backups.get(own_db, replace(owner, name=None), stored.id) == stored


def test_an_id_of_nobody_and_of_somebody_else_look_the_same(own_db, owner, settings):
    backup_keys.put(own_db, "bob", digest_of(new_key()))
    of_bob = put(own_db, settings, name="bob")
    for backup_id in (NOBODY, None, of_bob.id):
        with pytest.raises(UnknownBackup):
            backups.get(own_db, owner, backup_id)
    with pytest.raises(WrongKey):
        backups.get(own_db, replace(owner, name=None), of_bob.id)


def test_the_same_bytes_are_one_backup_that_was_sent_later(own_db, owner, settings):
    first = put(own_db, settings, content=b"same")
    put(own_db, settings)
    again = put(own_db, settings, content=b"same")
    assert again.id == first.id
    assert again.stored_at > first.stored_at
    assert backups.list_all(own_db, owner)[0].id == first.id
    assert len(backups.list_all(own_db, owner)) == 2


def test_two_names_may_have_the_same_bytes(own_db, owner, settings):
    backup_keys.put(own_db, "bob", digest_of(new_key()))
    assert put(own_db, settings, content=b"same").id != put(own_db, settings, name="bob", content=b"same").id


def test_a_name_that_is_gone_meanwhile_stores_nothing(own_db, owner, settings):
    put(own_db, settings)
    own_db.rows("DELETE FROM backup_keys")
    with pytest.raises(WrongKey):
        put(own_db, settings)
    assert own_db.count("SELECT count(*) FROM backups") == 0


def test_a_name_has_so_many(own_db, owner, settings):
    few = replace(settings, quota_count=2)
    kept = [put(own_db, few, content=b"a"), put(own_db, few, content=b"b")]
    with pytest.raises(QuotaExceeded):
        put(own_db, few)
    assert put(own_db, few, content=b"a").id == kept[0].id
    assert len(backups.list_all(own_db, owner)) == 2


def test_a_name_has_so_many_bytes(own_db, owner, settings):
    small = replace(settings, quota_bytes=MIB)
    put(own_db, small, byte_count=MIB - 10)
    with pytest.raises(QuotaExceeded):
        put(own_db, small, byte_count=11)
    put(own_db, small, byte_count=10)


def test_the_newest_stay_however_old(own_db, owner, settings):
    of = {day: put(own_db, settings, at=NOW - timedelta(days=1000 + day)).id for day in range(4)}
    assert retired(own_db, replace(settings, keep_newest=3)) == {of[3]}


def test_one_a_day_stays_for_a_month_and_one_a_month_for_a_year(own_db, owner, settings):
    noon = NOW.replace(hour=12, minute=0)
    for days in range(500):
        for minutes in (0, 30):
            put(own_db, replace(settings, quota_count=10_000), at=noon - timedelta(days=days, minutes=minutes))
    retired(own_db, replace(settings, keep_newest=1, quota_count=10_000))
    left = [backup.stored_at for backup in backups.list_all(own_db, owner)]
    assert all(moment.minute == 0 for moment in left)  # the last of each day
    dates = {moment.date() for moment in left if moment > NOW - timedelta(days=31)}
    assert len(dates) in {31, 32}
    older = [moment for moment in left if moment <= NOW - timedelta(days=31)]
    assert len({(moment.year, moment.month) for moment in older}) == len(older)
    assert len(older) in {11, 12}
    assert min(left) > NOW - timedelta(days=367)


def test_what_stays_leaves_room_for_the_next(own_db, owner, settings):
    """The oldest go first, and the newest stays even where nothing fits."""
    small = replace(settings, quota_bytes=100, most_bytes=40)
    of = {n: put(own_db, small, byte_count=25, at=NOW - timedelta(minutes=n)).id for n in range(4)}
    assert retired(own_db, small) == {of[2], of[3]}
    put(own_db, small, byte_count=40)
    assert len(retired(own_db, replace(small, most_bytes=1000))) == 2
    assert len(backups.list_all(own_db, owner)) == 1


def test_a_count_leaves_room_for_the_next(own_db, owner, settings):
    few = replace(settings, quota_count=3)
    of = {n: put(own_db, few, at=NOW - timedelta(minutes=n)).id for n in range(3)}
    assert retired(own_db, few) == {of[2]}


def test_names_are_judged_apart(own_db, owner, settings):
    backup_keys.put(own_db, "bob", digest_of(new_key()))
    old = NOW - timedelta(days=900)
    put(own_db, settings, at=old)
    put(own_db, settings, name="bob", at=old)
    assert retired(own_db, replace(settings, keep_newest=1)) == set()


def test_no_more_go_at_once_than_are_asked_for_the_oldest_first(own_db, owner, settings):
    of = [put(own_db, settings, at=NOW - timedelta(days=900 + n)).id for n in range(4)]
    assert [backup.id for backup in backups.retire(own_db, replace(settings, keep_newest=1), 2)] != []
    assert {backup.id for backup in backups.list_all(own_db, owner)} == set(of[:2])


def test_one_that_is_sent_again_meanwhile_stays(own_db, own_url, owner, settings):
    """Retiring waits for the row, and then sees that it is another one."""
    old = put(own_db, settings, at=NOW - timedelta(days=900))
    put(own_db, settings)
    one = replace(settings, keep_newest=1)
    with ThreadPoolExecutor(1) as executor:
        with transaction(own_url, f"UPDATE backups SET stored_at = clock_timestamp() WHERE id = '{old.id}'"):
            retiring = executor.submit(backups.retire, own_db, one, 9)
            wait_for(lambda: own_db.count("SELECT count(*) FROM pg_locks WHERE NOT granted"))
        assert retiring.result() == []


def test_ids_of_backups_are_told_from_others(own_db, owner, settings):
    stored = put(own_db, settings).id
    assert backups.known(own_db, [stored, uuid4()]) == {stored}
    assert backups.known(own_db, []) == set()
