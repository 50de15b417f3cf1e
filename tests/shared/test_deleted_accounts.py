"""What a statement says of an account that is deleted while it waits for the account's row."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from shared.credentials import Credentials
from shared.data import events, exports, follow_secrets, inboxes, shared_items, users
from shared.data.connections import Connection
from shared.errors import UnknownUser, WrongPassword

LATE = datetime(2999, 1, 1, tzinfo=UTC)
PROFILE = users.Profile(None, None, None, b"", b"")
EVENT = events.Event(uuid4(), b"x", b"y", LATE)
ITEM = shared_items.SharedItem(b"x", bytes(16), LATE)
STATEMENTS = {
    "PUT /user": (lambda db, owner: users.put(db, owner, PROFILE), UnknownUser),
    "POST /user/delete": (users.delete, UnknownUser),
    "POST /user/export": (exports.authenticate, UnknownUser),
    "PUT /event": (lambda db, owner: events.put(db, owner, EVENT), UnknownUser),
    "PUT /follow-secret": (lambda db, owner: follow_secrets.put(db, owner, "s"), UnknownUser),
    "POST /follow-secret/delete": (lambda db, owner: follow_secrets.delete(db, owner, "s"), UnknownUser),
    "POST /inbox": (inboxes.take, UnknownUser),
    "PUT /inbox": (
        lambda db, owner: inboxes.put(db, recipient_id=owner.user_id, chunks=[b""], address=None),
        UnknownUser,
    ),
    "POST /shareditem": (lambda db, owner: shared_items.create(db, owner, ITEM), WrongPassword),  # as ever there
}
# of this database's backends one that waits for the row
WAITING = """
    SELECT FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND :pid = ANY(pg_blocking_pids(pid))
"""


@pytest.mark.parametrize("route", STATEMENTS)
def test_who_is_deleted_at_this_moment_is_unknown(db, database_url, route):
    run, outcome = STATEMENTS[route]
    new = users.create(db, address=None)
    owner = Credentials(new.user_id, new.password)
    deleting = Connection(database_url)
    deleting.run("BEGIN", {})
    deleting.run("DELETE FROM users WHERE id = :id", {"id": new.user_id})
    ((pid,),) = deleting.run("SELECT pg_backend_pid()", {})
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(run, db, owner)
        while not running.done() and not db.rows(WAITING, pid=pid):
            pass
        deleting.run("COMMIT", {})
        with pytest.raises(outcome):
            running.result()
    deleting.close()
