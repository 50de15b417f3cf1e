"""Keys of backups: an operator makes one for a name, and it is shown once."""

import gzip
import os
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from shared.backup_keys import KEY_CHARACTERS
from tests.servers import Caller, Servers

ROOT = Path(__file__).parent.parent.parent
OPERATOR = {"Authorization": "Bearer operator"}


@pytest.fixture(scope="module")
def operated(database_url):
    with Servers(database_url, OPERATOR_TOKEN="operator") as servers:
        yield Caller(servers, alone=False)


def new_key(call, user):
    answer = call("POST", "/backup-key", {"user": user}, headers=OPERATOR)
    assert answer.status_code == 200, answer.content
    return answer.json


def listed(call, user, key):
    return call("GET", f"/backup?user={user}", headers={"X-Api-Key": key})


def test_a_key_opens_its_name(operated):
    user = f"ann-{uuid4()}"
    made = new_key(operated, user)
    assert made == {"user": user, "key": made["key"], "replaces": False}
    assert len(made["key"]) == KEY_CHARACTERS
    assert listed(operated, user, made["key"]).json == {"backups": []}


def test_a_new_key_replaces_the_old_and_the_backups_stay(operated):
    user = f"ann-{uuid4()}"
    old = new_key(operated, user)["key"]
    path, body = f"/backup?user={user}", gzip.compress(os.urandom(100))
    backup = operated("POST", path, body, headers={"X-Api-Key": old}).json
    new = new_key(operated, user)
    assert new["replaces"] is True
    assert listed(operated, user, old).status_code == 401
    assert operated("POST", path, body, headers={"X-Api-Key": old}).status_code == 401
    assert listed(operated, user, new["key"]).json == {"backups": [backup]}


@pytest.mark.parametrize("user", ["", ".", "..", "a/b", "a b", "a\n", "x" * 65, None, 7])
def test_what_is_no_name_gets_none(operated, user):
    answer = operated("POST", "/backup-key", {"user": user}, headers=OPERATOR)
    assert answer.status_code == 400
    assert answer.fields == {"user"}


def test_nobody_else_makes_one(operated):
    assert operated("POST", "/backup-key", {"user": "ann"}).status_code == 401


def test_gcloud_makes_one(database_url):
    """`gcloud functions call` posts the data to the root of the function, past the cloud's IAM."""
    with Servers(database_url, OPERATOR_IAM="true") as servers:
        user = f"ann-{uuid4()}"
        answer = Caller(servers, alone=True).at(
            servers["admin"].url, "POST", "/", {"route": "POST /backup-key", "body": {"user": user}}
        )
        assert answer.json["user"] == user


def make(call, *arguments):
    return subprocess.run(
        ["make", "--silent", "backup-key", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env=os.environ | {"BASE_URL": call.url("/")[:-1], "OPERATOR_TOKEN": "operator", "USER": "whoever-is-logged-in"},
    )  # fmt: skip


def test_make_prints_what_to_type_into_the_app(operated):
    user = f"ann-{uuid4()}"
    printed = make(operated, f"USER={user}").stdout
    assert f"/backup?user={user}\n" in printed
    key = printed.split("Api Key")[1].split()[0]
    assert listed(operated, user, key).status_code == 200


def test_make_takes_no_name_from_the_environment(operated):
    """Every shell has a USER."""
    asked = make(operated)
    assert "usage: make backup-key" in asked.stdout
    assert operated.db.rows("SELECT FROM backup_keys WHERE name = 'whoever-is-logged-in'") == []


def test_make_says_why_there_is_none(operated):
    refused = make(operated, "USER=a b")
    assert refused.returncode != 0
    assert "user must be like ann" in refused.stderr
