"""Each statement reads no more of a table than the users that it names: so a database may be cut by user.

The tables of users, as the project's own migrations make them, are cut by hash into sixteen partitions each; then each
statement runs with its plan, and the partitions that it touched are held against those of the users in its arguments.
What distributes a database (Citus, a table in partitions) asks the same of statements and constraints.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any
from uuid import UUID

import pytest

import migrations
from shared.data import events, exports, follow_secrets, imports, inboxes, shared_items, users
from shared.data.pool import Database
from tests.crowded import ALL, fill
from tests.shared.test_statistics_that_lie import CALLS, ExplainingDatabase

pytestmark = pytest.mark.slow
PARTITIONS = 16
FEW = 4  # of the ids in a list: with all of them every partition would be named
KEYS = {
    "users": "id",
    "user_events": "user_id",
    "user_follow_secrets": "user_id",
    "user_inbox_items": "user_id",
    "shared_items": "id",  # whoever has a link names no user
}
OF_USERS = (events, exports, follow_secrets, imports, inboxes, shared_items, users)
# What names nobody, or somebody by another key, and what a distributed database would do about it.
EVERYWHERE = {
    users.get: "the lookup is another key: a reference table from it to the id",
    users.delete_any: "the lookup, too",
    shared_items.create: "counts an author's items, up to the quota: a counter in the user's row",
    exports.read: "an author's shared items, once in an account's life",
    users.count_unused: "the cleanup",
    users.delete_unused: "the cleanup",
    events.count_expired: "the cleanup",
    events.delete_expired: "the cleanup",
    shared_items.count_expired: "the cleanup",
    shared_items.delete_expired: "the cleanup",
}
UNIQUE_ELSEWHERE = {"user_lookup": "a reference table"}
CALLED = {function: calls for function, calls in CALLS.items() if function.__module__ in {m.__name__ for m in OF_USERS}}


@pytest.fixture(scope="module")
def url(new_database):
    """Return the URL of a database whose tables of users are cut, with many rows."""
    made: str = new_database()
    migrations.upgrade(made)
    fill(made, is_full=True, lie=False)
    db = Database(made, 1, 60)
    for table, key in KEYS.items():
        ((oid, columns),) = db.rows(
            """
            SELECT attrelid, string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = CAST(:name AS regclass) AND attnum > 0 AND NOT attisdropped GROUP BY attrelid
            """,
            name=table,
        )
        db.rows(f"ALTER TABLE {table} RENAME TO whole_{table}")
        db.rows(f"CREATE TABLE {table} (LIKE whole_{table} INCLUDING DEFAULTS) PARTITION BY HASH ({key})")
        for number in range(PARTITIONS):
            values = f"WITH (MODULUS {PARTITIONS}, REMAINDER {number})"
            db.rows(f"CREATE TABLE {table}_{number} PARTITION OF {table} FOR VALUES {values}")
        db.rows(f"INSERT INTO {table} SELECT {columns} FROM whole_{table}")
        for statement in constraints(db, table, key, oid):
            db.rows(statement)
    db.rows("ANALYZE")
    db.close()
    return made


@pytest.fixture
def cut(url):
    db = Database(url, 1, 60)
    yield db
    db.close()


@pytest.fixture
def recording(url):
    db = RecordingDatabase(url)
    yield db
    db.close()


def constraints(db: Database, table: str, key: str, oid: int) -> Iterator[str]:
    """Yield what gives a cut table the constraints and indexes of the whole one, with its key where they lack it."""
    found = db.rows(
        """
        SELECT indexdef.name, pg_get_indexdef(indexrelid), indisprimary, indisunique,
               ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = indexrelid ORDER BY attnum)
        FROM pg_index, LATERAL (SELECT indexrelid::regclass::text AS name) AS indexdef WHERE indrelid = :oid
        """,
        oid=oid,
    )
    for name, definition, is_primary, is_unique, columns in found:
        if is_primary:
            yield f"ALTER TABLE {table} ADD PRIMARY KEY ({', '.join(dict.fromkeys([key, *columns]))})"
            continue
        made = definition.replace(name, f'"cut {name}"').replace(f"whole_{table}", table)
        if is_unique and key not in columns:
            assert set(columns) <= set(UNIQUE_ELSEWHERE), f"{table}: {definition} has no {key}"
            made = made.replace("CREATE UNIQUE", "CREATE")
        yield made
    for name, definition in db.rows(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = :oid AND contype = 'f'", oid=oid
    ):
        yield f'ALTER TABLE {table} ADD CONSTRAINT "cut {name}" {definition.replace("whole_", "")}'


class RecordingDatabase(ExplainingDatabase):
    """Keeps which partitions the statements read."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.read: set[tuple[str, int]] = set()

    def note(self, plan: dict[str, Any]) -> None:
        self.read |= set(partitions_in(plan))


def partitions_in(node: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield table and number of each partition that was really read, below a node of a plan."""
    table, _, number = node.get("Relation Name", "").rpartition("_")
    if table in KEYS and number.isdecimal() and node["Actual Loops"] > 0 and node["Node Type"] != "ModifyTable":
        yield table, int(number)
    for below in node.get("Plans", []):
        yield from partitions_in(below)


def named(arguments: Any) -> Iterator[UUID]:
    """Yield the users' ids in the arguments of a call."""
    if isinstance(arguments, UUID):
        yield arguments
    elif isinstance(arguments, dict):
        for value in arguments.values():
            yield from named(value)
    elif isinstance(arguments, list):
        for value in arguments:
            yield from named(value)
    elif is_dataclass(arguments):
        for field in fields(arguments):
            if field.name != "event_id":
                yield from named(getattr(arguments, field.name))


def partition_of(db: Database, table: str, key: UUID | str) -> int:
    kind = "uuid" if isinstance(key, UUID) else "text"
    ((number,),) = db.rows(
        f"""
        SELECT number FROM generate_series(0, {PARTITIONS - 1}) AS number
        WHERE satisfies_hash_partition('{table}'::regclass, {PARTITIONS}, number, CAST(:key AS {kind}))
        """,
        key=key,
    )
    return int(number)


def test_every_table_of_users_has_its_key(own_db):
    hanging = own_db.rows(
        "SELECT DISTINCT conrelid::regclass::text FROM pg_constraint WHERE confrelid = 'users'::regclass"
    )
    assert {table for (table,) in hanging} | {"users"} == set(KEYS)


@pytest.mark.parametrize("function", CALLED, ids=lambda each: f"{each.__module__.rpartition('.')[2]}.{each.__name__}")
def test_a_statement_reads_the_partitions_of_whom_it_names(cut, recording, function):
    for arguments in CALLED[function]:
        few = {name: value[:FEW] if isinstance(value, list) else value for name, value in arguments.items()}
        recording.read = set()
        function(recording, **few)
        allowed = {
            (table, partition_of(cut, table, user))
            for user in named(few) for table in KEYS if table != "shared_items"
        }  # fmt: skip
        if function is shared_items.get:
            allowed = {
                ("shared_items", partition_of(cut, "shared_items", str(few["item_id"]))),
                *of_users(recording.read),
            }
        assert (recording.read <= allowed) == (function not in EVERYWHERE), recording.read - allowed


def of_users(read: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Return the one partition in which a statement found an author whose id it had to read first."""
    found = {(table, number) for table, number in read if table == "users"}
    assert len(found) == 1
    return found


def test_a_cleanup_of_partitions_removes_what_has_expired_and_nothing_else(cut):
    """A ctid names a row in each partition: a living event must not go in place of an expired one."""
    alive = "SELECT count(*) FROM user_events WHERE expiry > now()"
    before = cut.count(alive)
    while events.delete_expired(cut, ALL, 50):
        pass
    assert (cut.count(alive), events.count_expired(cut, ALL)) == (before, 0)
