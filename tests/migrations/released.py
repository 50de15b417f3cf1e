"""The database as each release left it: `released/`, one dump for each revision, and those of the first `make serve`.

A new revision's is written by `python -m tests.migrations.released URL`, on an empty database. The first `make serve`
numbered the inbox in its 0002 and made the indexes of a poll in its 0003: its dumps are of commit a670074.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from pg8000.native import Connection

import migrations
from local.postgres import BIN
from shared.data.connections import connect
from tests.waiting import WAIT_SECONDS

FOLDER = Path(__file__).parent / "released"
# A row or two of each table, inserted when its revision is there.
ROWS = {
    "0001": """
        INSERT INTO users VALUES ('00000000-0000-4000-8000-000000000001', 'one', 'AB', '2024-02-29', '2024-02-29',
            '\\x01', NULL, NULL, NULL, '', '');
        INSERT INTO users VALUES ('00000000-0000-4000-8000-000000000002', 'two', 'CD', '2025-01-01', '2024-12-31',
            '\\x02', 'plan', 'picture', 'name', 'iv', 'key');
        INSERT INTO user_events
            SELECT id, gen_random_uuid(), '2025-06-01', '2025-06-01', '2999-01-01', 'event', 'iv' FROM users;
        INSERT INTO user_follow_secrets SELECT gen_random_uuid(), id, 'secret' FROM users;
        INSERT INTO user_inbox_items (id, user_id, encrypted_message)
            SELECT gen_random_uuid(), id, ARRAY['a', 'b']::bytea[] FROM users;
        INSERT INTO shared_items
            SELECT 'item of ' || user_lookup, id, '2025-06-01', '2999-01-01', 'payload', 'iv' FROM users
        """,
    "0002": "UPDATE users SET verifier = 'verifier', last_event_at = '2025-06-01' WHERE user_lookup = 'two'",
    "0003": """
        INSERT INTO user_inbox_items (id, user_id, encrypted_message) SELECT gen_random_uuid(), id, '{}' FROM users
        """,
    "0005": """
        INSERT INTO chats (id, seen_at) VALUES ('00000000-0000-4000-8000-000000000003', '2025-06-01');
        INSERT INTO chat_messages (chat_id, frame) SELECT id, 'frame' FROM chats
        """,
    "0006": "INSERT INTO rate_limit_consumptions VALUES ('key', ARRAY['2025-06-01']::timestamptz[])",
    "0007": """
        INSERT INTO metric_buckets VALUES ('2025-06-01', '00000000-0000-4000-8000-000000000004', '{"a": 1}', '{}');
        INSERT INTO cleanup_runs (started, finished, dry_run, deleted, remaining)
            VALUES ('2025-06-01', '2025-06-01', false, '{}', false)
        """,
    "0009": """
        INSERT INTO source_keys VALUES ('2025-06-01', '\\x0102');
        INSERT INTO source_counts SELECT source_of('192.0.2.1'), '2025-06-01', 3
        """,
    "0010": "UPDATE user_inbox_items SET source = '\\x01'",
    "0012": "UPDATE chat_messages SET held_until = '2025-06-01'",
    "0013": """
        INSERT INTO backup_keys VALUES ('one', '\\x01', '2025-06-01', '2025-06-02');
        INSERT INTO backups VALUES ('00000000-0000-4000-8000-000000000005', 'one', '\\x02', 3, '2025-06-02')
        """,
}


def open_database(url: str) -> Connection:
    return connect(url, Connection, WAIT_SECONDS)


def rows(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all tables but Alembic's."""
    tables = connection.run(
        "SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public' AND relname !~ 'alembic'"
    )
    found = {}
    for (table,) in tables:
        of_table = connection.run(f'SELECT to_jsonb(each) FROM public."{table}" AS each ORDER BY each::text')
        found[table] = [row for (row,) in of_table]
    return found


def write(url: str, name: str, revision: str) -> None:
    """Migrate an empty database to a revision, with rows from each, and write its dump."""
    connection = open_database(url)
    for step in sorted(path.name[:4] for path in Path(migrations.__file__).parent.glob("versions/[0-9]*.py")):
        if step <= revision:
            migrations.upgrade(url, step)
            connection.run(ROWS.get(step, "SELECT"))
    connection.close()
    dump(url, name)


def dump(url: str, name: str) -> None:
    """Write what is in a database, without what only psql needs."""
    arguments = ["--inserts", "--no-owner", "--no-privileges", f"--dbname={url}"]
    dumped = subprocess.run([BIN / "pg_dump", *arguments], check=True, capture_output=True, text=True).stdout
    statements = re.sub(r"^(--.*|\\.*|SET .*|SELECT pg_catalog.set_config.*|)\n", "", dumped, flags=re.MULTILINE)
    (FOLDER / f"{name}.sql").write_text(statements)


if __name__ == "__main__":
    newest = str(migrations.head())
    write(sys.argv[1], newest, newest)
