"""No statement depends on statistics: with those of an emptied table over a full one, or the other way round (after an
import or a cleanup, until the next autoanalyze), each does about the work that it does with true ones.

Work is counted, not timed: the rows that the plan's nodes really produced and the pages that they touched.
"""

import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules
from typing import Any
from uuid import UUID

import pytest

import migrations
import shared.data
from shared.backup_keys import PresentedKey
from shared.credentials import Credentials
from shared.data import (
    backup_keys,
    backups,
    chat_turns,
    chats,
    cleanup_runs,
    events,
    exports,
    follow_secrets,
    imports,
    inboxes,
    metric_buckets,
    overviews,
    quotas,
    rate_limits,
    readiness,
    shared_items,
    users,
)
from shared.data.chat_turns import Part
from shared.data.pool import Database, Transaction
from shared.errors import ServiceError
from shared.metrics import Bucket
from shared.settings.backups import BackupSettings
from tests.crowded import ALL, CHAT, DAY, HERO, HOUR, OTHERS, PASSWORD, fill

TIMES, BESIDES = 3, 500  # a plan may do so many times the work, and so many rows and pages besides
HERO_CREDENTIALS = Credentials(HERO, PASSWORD)
MINE = {"credentials": HERO_CREDENTIALS}
HEROS_KEY = PresentedKey("hero", PASSWORD)
ROOMY = BackupSettings("", "", 1, 10, 31, 12, 10**9, 10_000)
ROWS_OF_EVENTS = [
    {"id": str(user), "stored_at": str(HOUR), "accessed_at": None, "expiry": str(DAY), "ciphertext": "", "iv": ""}
    for user in OTHERS[:200]
]
ROWS_OF_ITEMS = [
    {"id": f"new{n}", "stored_at": None, "expiry": str(DAY), "ciphertext": "", "iv": ""} for n in range(200)
]
BATCHES = {
    "events": ROWS_OF_EVENTS, "followSecrets": [{"value": f"new{n}"} for n in range(200)],
    "inboxMessages": [{"chunks": ["", "AAAA"]}] * 200, "sharedItems": ROWS_OF_ITEMS,
}  # fmt: skip
NEWCOMER = Credentials(UUID(int=2**100), PASSWORD)
BROUGHT = imports.BroughtAccount("new", HOUR, HOUR, users.Profile(b"p", None, b"n", b"i", b"k"), 9)
CALLS: dict[Any, list[dict[str, Any]]] = {
    users.create: [{"address": "192.0.2.1"}],
    users.count_unused: [{}],
    users.delete_unused: [{"limit": 500}],
    quotas.count_old_sources: [{}],
    quotas.delete_old_sources: [{"limit": 500}],
    users.get: [{"user_id": HERO}, {"lookup": "hero"}],
    users.list_by_ids: [{"user_ids": OTHERS[:200]}],
    users.put: [MINE | {"profile": users.Profile(b"p", None, b"n", b"i", b"k")}],
    events.put: [MINE | {"event": events.Event(OTHERS[0], b"e", b"i", DAY)}],
    events.list_feed: [
        {"requests": [events.FeedRequest(user, f"of {user}", since) for user in [HERO, *OTHERS[:200]]]}
        for since in (HOUR, DAY)
    ],
    events.count_expired: [{"retention": ALL}],
    events.delete_expired: [{"retention": ALL, "limit": 500}],
    follow_secrets.put: [MINE | {"secret": "a new one"}],
    follow_secrets.delete: [MINE | {"secret": "7"}],
    inboxes.put: [{"recipient_id": OTHERS[0], "chunks": [b"c"], "address": "192.0.2.1"}],
    inboxes.take: [MINE],
    shared_items.create: [MINE | {"item": shared_items.SharedItem(b"c", b"i", DAY)}],
    shared_items.get: [{"item_id": "item7"}],
    shared_items.count_expired: [{}],
    shared_items.delete_expired: [{"limit": 500}],
    chats.begin_poll: [{"chat_id": CHAT, "may_open": True}],
    chats.take_news: [{"chat_id": CHAT, "poll": 2}],
    chats.see_client: [{"chat_id": CHAT}],
    chats.greet: [{"chat_id": CHAT, "frame": "f"}],
    chats.send: [{"chat_id": CHAT, "frame": "f", "topic": "t"}],
    chat_turns.play: [{"chat_id": CHAT, "call": {}, "max_waiting": 8}],
    chat_turns.play_next: [
        {"chat_id": CHAT, "played": Part(OTHERS[0], {}, [], 0), "history": [], "frame": "f", "held_seconds": 4}
    ],
    chat_turns.stop: [{"chat_id": CHAT}],
    chat_turns.restart: [{"chat_id": CHAT}],
    chats.close: [{"chat_id": CHAT, "frame": "f"}],
    chats.end: [{"chat_id": CHAT}],
    chats.count_stale: [{}],
    chats.delete_stale: [{"limit": 500}],
    cleanup_runs.put: [{"dry_run": False, "deleted": {}, "remaining": False, "seconds": 1.0}],
    rate_limits.consume: [{"key": "7", "limit": 20}],
    rate_limits.count_stale: [{}],
    rate_limits.delete_stale: [{"limit": 500}],
    metric_buckets.put: [{"instance": HERO, "buckets": [Bucket(60, {"a": 1.0}, {})]}],
    metric_buckets.totals: [{}],
    metric_buckets.gauges: [{}],
    metric_buckets.list_steps: [{"window": ALL, "step": ALL / 100}],
    metric_buckets.fold: [{"older_than": ALL, "limit": 500}],
    metric_buckets.retire: [{"older_than": ALL, "limit": 500}],
    metric_buckets.count_foldable: [{"older_than": ALL}],
    metric_buckets.count_retirable: [{"older_than": ALL}],
    backup_keys.put: [{"name": "a new one", "digest": b"d"}],
    backup_keys.check: [{"presented": HEROS_KEY}],
    backups.put: [{"backup_id": OTHERS[-1], "name": "hero", "sha256": b"new", "byte_count": 9, "settings": ROOMY}],
    backups.list_all: [{"presented": HEROS_KEY}],
    backups.get: [{"presented": key, "backup_id": HERO} for key in (HEROS_KEY, replace(HEROS_KEY, name=None))],
    backups.count_retired: [{"settings": ROOMY}],
    backups.retire: [{"settings": ROOMY, "limit": 500}],
    backups.known: [{"ids": OTHERS[:200]}],
    readiness.check: [{}],
    exports.authenticate: [MINE],
    exports.read: [{"user_id": HERO, "take": lambda _member, _text: None}],
    imports.refuse_if_taken: [{"user_id": NEWCOMER.user_id, "address": "192.0.2.1"}],
    imports.create: [
        {
            "owner": NEWCOMER,
            "account": BROUGHT,
            "address": "192.0.2.1",
            "batches": [(member, json.dumps(rows)) for member, rows in BATCHES.items()],
        }
    ],
    readiness.versions: [{}],
    overviews.get_accounts: [{"most_pages": pages} for pages in (2000, 5)],
    overviews.list_tables: [{}],
    overviews.list_largest: [{"most_pages": pages, "limit": 10} for pages in (2000, 5)],
    backups.list_names: [{"limit": 100}],
    cleanup_runs.list_newest: [{"limit": 10}],
    users.delete_any: [{"lookup": "l3"}],
    users.delete: [MINE],
}


class ExplainingDatabase(Database):
    """Runs each statement twice, the first time explained and rolled back, and adds up the work that it did."""

    def __init__(self, url: str) -> None:
        super().__init__(url, 1, 30)
        self.work = 0

    def rows(self, statement: str, /, *, repeatable: bool = False, **parameters: Any) -> list[Any]:
        super().rows("BEGIN")
        explain = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}"
        ((explained,),) = super().rows(explain, **parameters)
        super().rows("ROLLBACK")
        self.note(explained[0]["Plan"])
        return super().rows(statement, repeatable=repeatable, **parameters)

    def note(self, plan: dict[str, Any]) -> None:
        """Take in what a statement did."""
        self.work += work_of(plan)

    @contextmanager
    def transaction(self, begin: str = "BEGIN") -> Iterator[Transaction]:
        with super().transaction(begin.removesuffix(" READ ONLY")) as transaction:
            yield Explaining(transaction, self)


class Explaining(Transaction):
    """Does the same within a transaction."""

    def __init__(self, transaction: Transaction, db: ExplainingDatabase) -> None:
        self._transaction, self._db = transaction, db

    def rows(self, statement: str, /, *, each_row: Any = None, **parameters: Any) -> list[Any]:
        self._transaction.rows("SAVEPOINT before")
        explain = f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) {statement}"
        ((explained,),) = self._transaction.rows(explain, **parameters)
        self._transaction.rows("ROLLBACK TO before")
        self._db.note(explained[0]["Plan"])
        return self._transaction.rows(statement, each_row=each_row, **parameters)


def work_of(plan: dict[str, Any]) -> int:
    """Return the rows and pages of a plan's nodes. A node's pages include those of the nodes below it."""

    def rows_of(node: dict[str, Any]) -> float:
        produced: float = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        joined: float = node.get("Rows Removed by Join Filter", 0) * node["Actual Loops"]
        return produced + joined + sum(map(rows_of, node.get("Plans", [])))

    return round(rows_of(plan)) + int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def work(url: str) -> dict[str, int]:
    """Return how much work each call does, one after another on the same database."""
    db = ExplainingDatabase(url)
    found: dict[str, int] = {}
    for function, calls in CALLS.items():
        for arguments in calls:
            db.work = 0
            try:
                function(db, **arguments)
            except ServiceError as error:
                pytest.fail(f"{function.__module__}.{function.__name__}: {type(error).__name__}")
            name = f"{function.__module__}.{function.__name__}"
            found[name] = found.get(name, 0) + db.work
    db.close()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("is_full", [True, False], ids=["analyzed empty, then filled", "analyzed full, then emptied"])
def test_a_statement_does_not_believe_statistics(is_full, new_database):
    true, lying = new_database(), new_database()
    migrations.upgrade(true)
    migrations.upgrade(lying)
    fill(true, is_full=is_full, lie=False)
    fill(lying, is_full=is_full, lie=True)
    expected = work(true)
    excess = {
        name: (done, expected[name]) for name, done in work(lying).items() if done > TIMES * expected[name] + BESIDES
    }
    assert excess == {}


def test_every_statement_is_tried():
    functions = set()
    for module in iter_modules(shared.data.__path__, "shared.data."):
        for _, function in inspect.getmembers(import_module(module.name), inspect.isfunction):
            if function.__module__ == module.name and not function.__name__.startswith("_"):
                first = next(iter(inspect.signature(function).parameters.values()), None)
                if first is not None and first.annotation is Database:
                    functions.add(function)
    assert functions - {shared.data.authenticated.run} == set(CALLS), "CALLS here, with rows from tests/crowded.py"


def test_the_work_of_a_bad_plan_shows():
    """A nested loop over a thousand rows counts a million."""
    node = {"Actual Rows": 1, "Actual Loops": 1, "Shared Hit Blocks": 3, "Shared Read Blocks": 0}
    inner = node | {"Actual Rows": 1000, "Actual Loops": 1000}
    assert work_of(node | {"Plans": [inner]}) == 1_000_004
