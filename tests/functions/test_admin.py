"""The operators' view of the whole, and accounts that they delete: as JSON, for programs and the page at /admin."""

import os
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from functions.admin import overview
from shared.data import overviews
from tests.crowded import HERO, USERS, fill
from tests.servers import Caller, Servers
from tests.users import User

ROOT = Path(__file__).parent.parent.parent
TOKEN = "the operators'"
OPERATOR = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def operated(new_database):
    """Return a caller of a gateway with a database of its own."""
    with Servers(new_database(migrated=True), OPERATOR_TOKEN=TOKEN, QUOTA_FOLLOW_SECRETS="1") as servers:
        yield Caller(servers, alone=False)


@pytest.fixture
def new_account(operated):
    def create():
        created = operated("POST", "/user/create", {}).json
        return User(created["id"], created["lookup"], created["password"])

    return create


def seen(call):
    answer = call("GET", "/admin/overview", headers=OPERATOR)
    assert answer.status_code == 200, answer.content
    return answer.json


def test_what_there_is_is_shown(operated, new_account):
    before = seen(operated)
    users = [new_account() for _ in range(3)]
    operated.db.rows("UPDATE users SET last_accessed = now() - interval '31 days' WHERE id = :id", id=users[0].id)
    operated("POST", "/backup-key", {"user": "ann"}, headers=OPERATOR)
    operated("POST", "/cleanup", {"dry_run": True}, headers=OPERATOR)
    for _ in range(2):
        operated("PUT", "/follow-secret", users[1].secret(str(uuid4())))
    after = seen(operated)
    assert after["accounts"] == {
        "total": before["accounts"]["total"] + 3, "active": before["accounts"]["active"] + 2, "is_estimate": False
    }  # fmt: skip
    assert len(after["created_per_day"]) == 30
    assert sum(after["created_per_day"].values()) == sum(before["created_per_day"].values()) + 3
    assert list(after["created_per_day"].values())[-1] >= 0
    assert {"users", "user_events", "backups"} <= {table["name"] for table in after["tables"]}
    assert all(table["bytes"] > 0 for table in after["tables"])
    assert after["backups"] == [{"name": "ann", "count": 0, "bytes": 0, "newest_at": None}]
    assert after["cleanup_runs"][0]["dry_run"] is True
    assert after["quotas"]["follow_secrets"]["days"] == 1
    assert after["schema"] == operated.db.rows("SELECT version_num FROM alembic_version")[0][0]
    assert after["planner"]["circuit"].startswith("unknown")


def test_whoever_stores_most_is_first(operated, new_account):
    small, large = new_account(), new_account()
    for user, count in ((small, 1), (large, 3)):
        for _ in range(count):
            assert operated("PUT", "/event", user.event()).status_code == 200
    found = operated("GET", "/admin/largest", headers=OPERATOR).json["accounts"]
    assert [account["user_id"] for account in found[:2]] == [large.id, small.id]
    assert [account["items"] for account in found[:2]] == [3, 1]
    assert found[0]["bytes"] == 3 * found[1]["bytes"]


def test_of_large_tables_a_part_is_read(own_url, own_db):
    """As few pages as that hold the greatest among three thousand, and tell about how many those are."""
    fill(own_url, is_full=True, lie=False)
    numbers = overviews.get_accounts(own_db, most_pages=20)
    assert numbers.is_estimate
    assert USERS / 2 < numbers.total < USERS * 2
    assert numbers.active == numbers.total
    assert overviews.list_largest(own_db, most_pages=20, limit=1)[0].user_id == HERO
    assert overviews.get_accounts(own_db, most_pages=overview.MOST_PAGES).total == USERS


@pytest.mark.parametrize("by", ["id", "lookup"])
def test_an_account_is_deleted_by_its_id_or_its_lookup(operated, new_account, by):
    user, other = new_account(), new_account()
    name = getattr(user, by)
    deleted = operated("POST", "/admin/delete-account", {"account": name, "again": name}, headers=OPERATOR)
    assert (deleted.status_code, deleted.json) == (200, {"userId": user.id})
    assert operated("GET", f"/user/{user.id}").status_code == 404
    assert operated("GET", f"/user/{other.id}").status_code == 200


@pytest.mark.parametrize(
    ("again", "status"),
    [("the other's", 400), ("upper", 400), ("", 400), (None, 400)],
    ids=["other", "case", "none", "null"],
)
def test_an_account_that_is_not_typed_twice_stays(operated, new_account, again, status):
    user, other = new_account(), new_account()
    again = {"the other's": other.id, "upper": user.id.upper()}.get(again, again)
    refused = operated("POST", "/admin/delete-account", {"account": user.id, "again": again}, headers=OPERATOR)
    assert (refused.status_code, refused.fields) == (status, {"again"})
    assert operated("GET", f"/user/{user.id}").status_code == 200


def test_an_account_that_is_not_there_is_said_to_be_unknown(operated):
    name = str(uuid4())
    answer = operated("POST", "/admin/delete-account", {"account": name, "again": name}, headers=OPERATOR)
    assert (answer.status_code, answer.json["type"]) == (404, "urn:liftlog:problem:unknown-user")


@pytest.mark.parametrize("shown", [{}, {"Authorization": "Bearer wrong"}], ids=["nothing", "another token"])
def test_nobody_else_sees_or_deletes_anything(operated, new_account, shown):
    user = new_account()
    for path in ("/admin/overview", "/admin/largest"):
        assert operated("GET", path, headers=shown).status_code == 401
    body = {"account": user.id, "again": user.id}
    assert operated("POST", "/admin/delete-account", body, headers=shown).status_code == 401
    assert operated("GET", f"/user/{user.id}").status_code == 200


def test_gcloud_asks_the_function_alone(new_database):
    """`gcloud functions call` posts an envelope to the root of the function, past the cloud's IAM."""
    with Servers(new_database(migrated=True), OPERATOR_IAM="true") as servers:
        call = Caller(servers, alone=True)
        asked = call.at(servers["admin"].url, "POST", "/", {"route": "GET /admin/overview"})
        assert asked.json["accounts"]["total"] == 0
        user = call("POST", "/user/create", {}).json
        route = {"route": "POST /admin/delete-account", "body": {"account": user["id"], "again": user["id"]}}
        assert call.at(servers["admin"].url, "POST", "/", route).status_code == 200
        assert call("GET", f"/user/{user['id']}").status_code == 404


def make(call, target, *arguments, typed=""):
    return subprocess.run(
        ["make", "--silent", target, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False, input=typed,
        env=os.environ | {"BASE_URL": call.url("/")[:-1], "OPERATOR_TOKEN": TOKEN},
    )  # fmt: skip


def test_make_prints_the_overview(operated, new_account):
    new_account()
    printed = make(operated, "overview").stdout
    total = seen(operated)["accounts"]["total"]
    assert f"accounts    {total:,}," in printed
    assert "users" in printed


def test_make_deletes_an_account_that_is_typed_again(operated, new_account):
    user = new_account()
    kept = make(operated, "delete-account", f"ACCOUNT={user.lookup}", typed="something else\n")
    assert kept.returncode != 0
    assert operated("GET", f"/user/{user.id}").status_code == 200
    gone = make(operated, "delete-account", f"ACCOUNT={user.lookup}", typed=f"{user.lookup}\n")
    assert gone.returncode == 0, gone.stderr
    assert operated("GET", f"/user/{user.id}").status_code == 404
