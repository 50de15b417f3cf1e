"""What each function's database user may do is what its statements need: all of it, and nothing that could go."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import migrations
from local.postgres import ROLE
from migrations.grants import EVERYTHING, GRANTS, rights_of
from shared.data import (
    backup_keys,
    backups,
    cleanup_runs,
    events,
    exports,
    inboxes,
    metric_buckets,
    readiness,
    shared_items,
    users,
)
from shared.data.pool import Database, Transaction
from shared.errors import DatabaseUnavailable, InvalidSetting
from tests.crowded import HERO, fill
from tests.databases import FUNCTION_USERS
from tests.servers import manifest
from tests.shared.test_statistics_that_lie import CALLS

MODULES = {
    "user": ["users"], "event": ["events"], "follow_secret": ["follow_secrets"], "inbox": ["inboxes"],
    "shared_item": ["shared_items"], "ai": ["rate_limits"], "ai_chat": ["chats", "chat_turns", "rate_limits"],
    "backup": ["backups"], "admin": ["overviews"], "own_data": ["exports", "imports"], "health": ["readiness"],
    "metrics": ["metric_buckets"],
}  # fmt: skip
OF_ADMIN = [
    backup_keys.put,
    users.delete_any, backups.list_names, cleanup_runs.list_newest, readiness.versions, metric_buckets.list_steps,
    metric_buckets.gauges,
]  # fmt: skip
OTHERS_TOO: dict[str, list[Any]] = {"backup": [backup_keys.check], "admin": OF_ADMIN}  # of modules that families share
OF_CLEANUP = re.compile(r"(count|delete)_(?!$)|fold|retire|known$")
PRIVILEGE = re.compile(r"(SELECT|INSERT|UPDATE|DELETE|USAGE)(?: \(([^)]*)\))?")


def is_cleanup(function: Any) -> bool:
    if function in OF_ADMIN:
        return False
    return function is cleanup_runs.put or OF_CLEANUP.match(function.__name__) is not None


def calls_of(family: str) -> list[Any]:
    """Return the data functions that a family calls; all write their metrics, and some read them."""
    if family == "cleanup":
        return [function for function in CALLS if is_cleanup(function)] + [metric_buckets.put]
    found = [function for function in CALLS if function.__module__.rpartition(".")[2] in MODULES[family]]
    own = [function for function in found if not is_cleanup(function) and function not in OF_ADMIN]
    return [*own, metric_buckets.put, *OTHERS_TOO.get(family, [])]


class Acting(Database):
    """Runs each statement as somebody, and takes it back."""

    def __init__(self, url: str) -> None:
        super().__init__(url, 1, 30)
        self.user = ""

    def rows(self, statement: str, /, *, repeatable: bool = False, **parameters: Any) -> list[Any]:
        super().rows("BEGIN")
        try:
            super().rows(f"SET LOCAL ROLE {self.user}")
            return super().rows(statement, repeatable=repeatable, **parameters)
        finally:
            super().rows("ROLLBACK")

    @contextmanager
    def transaction(self, begin: str = "BEGIN") -> Iterator[Transaction]:
        with super().transaction(begin) as transaction:
            transaction.rows(f"SET LOCAL ROLE {self.user}")
            yield transaction
            transaction.rows("ROLLBACK")

    def works_as(self, user: str, functions: list[Any]) -> bool:
        """Tell whether somebody may do all that these functions do."""
        self.user = user
        try:
            for function in functions:
                for arguments in CALLS[function]:
                    function(self, **arguments)
        except DatabaseUnavailable as error:
            if "permission denied" not in str(error.__cause__ or error):
                raise
            return False
        return True


@pytest.fixture(scope="module")
def crowded_url(new_database):
    url = new_database()
    migrations.upgrade(url)
    fill(url, is_full=True, lie=False)
    return url


@pytest.fixture(scope="module")
def owner(crowded_url):
    db = Database(crowded_url, 1, 30)
    known = {name for (name,) in db.rows("SELECT rolname FROM pg_roles")}
    if not set(FUNCTION_USERS.values()) <= known:
        pytest.skip("the test database is on another server, where the users of the functions are not")
    migrations.upgrade(crowded_url, users=FUNCTION_USERS)
    yield db
    db.close()


@pytest.fixture(scope="module")
def acting(owner, crowded_url):
    db = Acting(crowded_url)
    yield db
    db.close()


def parts_of(grant):
    """Return each right of a grant on its own, as GRANT and REVOKE have it."""
    rights, _, object_name = grant.rpartition(" ON ")
    for privilege, columns in PRIVILEGE.findall(rights):
        for column in columns.split(", ") if columns else [""]:
            yield f"{privilege} ({column}) ON {object_name}" if column else f"{privilege} ON {object_name}"


@pytest.mark.parametrize("family", GRANTS)
def test_a_family_may_do_what_its_statements_need_and_no_more(family, acting, owner):
    user, functions = FUNCTION_USERS[family], calls_of(family)
    assert acting.works_as(user, functions)
    idle = []
    for grant in rights_of(family):
        for part in parts_of(grant):
            owner.rows(f"REVOKE {part} FROM {user}")
            if acting.works_as(user, functions):
                idle.append(part)
            owner.rows(f"GRANT {part} TO {user}")
    assert idle == []


@pytest.mark.parametrize(
    ("family", "function", "arguments"),
    [
        ("event", inboxes.take, CALLS[inboxes.take][0]),
        ("event", users.get, {"user_id": HERO}),
        ("health", users.get, {"user_id": HERO}),
        ("inbox", events.put, CALLS[events.put][0]),
        ("ai", users.list_by_ids, {"user_ids": [HERO]}),
        ("shared_item", users.delete, CALLS[users.delete][0]),
        ("backup", users.get, {"user_id": HERO}),
        ("user", exports.read, CALLS[exports.read][0]),
        ("own_data", inboxes.take, CALLS[inboxes.take][0]),
        ("own_data", users.delete, CALLS[users.delete][0]),
        ("backup", backup_keys.put, CALLS[backup_keys.put][0]),
        ("metrics", shared_items.get, {"item_id": "item7"}),
    ],
)
def test_a_function_that_was_taken_over_cannot_do_what_is_anothers(family, function, arguments, acting):
    acting.user = FUNCTION_USERS[family]
    with pytest.raises(DatabaseUnavailable):
        function(acting, **arguments)


def test_rights_that_a_family_no_longer_has_are_taken_away(owner, crowded_url):
    owner.rows("GRANT ALL ON users, user_inbox_items TO liftlog_health")
    owner.rows("GRANT SELECT (encrypted_name) ON users TO liftlog_health")
    migrations.upgrade(crowded_url, users=FUNCTION_USERS)
    for table in ("users", "user_inbox_items"):
        assert owner.rows("SELECT has_any_column_privilege('liftlog_health', :name, 'SELECT, UPDATE')", name=table) == [
            [False]
        ]


def test_every_function_of_the_manifest_has_its_rights_but_who_migrates():
    assert {*GRANTS, "migrate"} == set(manifest())
    for family in EVERYTHING:
        assert set(rights_of(family)) == {grant for grants in GRANTS.values() for grant in grants}


@pytest.mark.parametrize("users", [{"migrate": ROLE}, {"nobody": ROLE}, {"user": 'a" SUPERUSER'}])
def test_users_of_no_family_are_refused(users, own_url):
    with pytest.raises(InvalidSetting, match="DB_FUNCTION_USERS"):
        migrations.upgrade(own_url, users=users)
