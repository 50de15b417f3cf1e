"""What any release has left behind is brought to the newest schema, with all its rows."""

import pytest

import migrations
from shared.data.pool import Database
from tests.migrations import released
from tests.migrations.test_migrations import SERVERS, schema

DUMPS = sorted(path.stem for path in released.FOLDER.glob("*.sql"))


def schema_of(url):
    db = Database(url, 1, 30)
    try:
        return schema(db)
    finally:
        db.close()


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", DUMPS)
def test_a_released_schema_becomes_the_newest_and_keeps_its_rows(new_database, server, name):
    url = new_database(server)
    connection = released.open_database(url)
    connection.run((released.FOLDER / f"{name}.sql").read_text())
    before = released.rows(connection)
    assert all(before.values()), "a table without a row proves nothing"
    assert migrations.upgrade(url) == (name.removeprefix("first-"), migrations.head())
    after = released.rows(connection)
    for table, rows in before.items():
        kept = [{column: row[column] for column in rows[0]} for row in after[table]]
        assert sorted(kept, key=repr) == sorted(rows, key=repr), table
    assert schema_of(url) == schema_of(new_database(server, migrated=True))
    connection.close()


def test_every_revision_has_its_dump():
    revisions = {
        path.name[:4] for path in (released.FOLDER.parent.parent.parent / "migrations/versions").glob("[0-9]*")
    }
    assert revisions <= set(DUMPS), "python -m tests.migrations.released URL writes the newest"
