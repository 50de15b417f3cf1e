"""Secrets over time: written once, rotated without a gap, disabled for good; and removed with all the rest."""

import json

import pytest

from scripts import plan_review
from tests.terraform.planning import ROOT, Terraform
from tests.terraform.standing import Standing

WRITTEN = "google_secret_manager_secret_version.database_password"
READ = "ephemeral.google_secret_manager_secret_version.database_password"
USER = "google_sql_user.backend"


@pytest.fixture(scope="module")
def stands(tmp_path_factory):
    environment = Standing(Terraform(tmp_path_factory.mktemp("secrets")), "staging")
    environment.apply(f"-target={WRITTEN}")  # a run that ended before Cloud SQL got its part
    return environment


@pytest.fixture(scope="module")
def whole(stands):
    environment = stands.fork()
    environment.apply()
    return environment


def references(plan, address, argument):
    """What an argument is made of, in the configuration."""
    (found,) = [one for one in plan["configuration"]["root_module"]["resources"] if one["address"] == address]
    return set(found["expressions"][argument]["references"])


def test_a_half_made_apply_repeated_takes_the_password_that_is_written(stands):
    """An ephemeral password is another one in each run: Cloud SQL gets what Secret Manager holds, never a drawn one."""
    changes = stands.changes()
    assert WRITTEN not in changes
    assert changes[USER]["actions"] == ["create"]


def test_only_secret_manager_gets_what_is_drawn(terraform):
    plan = terraform.plan("staging")
    read = references(plan, USER, "password_wo")
    assert READ in read
    assert not [name for name in read if "random_password" in name]
    block = (
        (ROOT / "terraform" / "secrets.tf").read_text().partition('ephemeral "google_secret_manager_secret_version"')[2]
    )
    assert f"version = {WRITTEN}.version\n" in block  # a plan's JSON shows no ephemeral resource
    drawn = [
        one["address"]
        for one in plan["configuration"]["root_module"]["resources"]
        if "ephemeral.random_password.database" in json.dumps(one.get("expressions", {}))
    ]
    assert drawn == [WRITTEN]


def test_a_rotation_writes_the_new_version_before_it_disables_the_old_one(whole):
    changes = whole.changes(database_password_version=2)
    del_policy = changes[WRITTEN]["before"]["deletion_policy"]
    assert (changes[WRITTEN]["actions"], del_policy) == (["create", "delete"], "DISABLE")
    assert changes[USER]["actions"] == ["update"]
    assert changes[USER]["after"]["password_wo_version"] == 2


def test_the_review_lets_a_rotation_pass_and_stops_all_that_is_like_one(whole):
    change = whole.changes(database_password_version=2)[WRITTEN]
    entry = {"address": WRITTEN, "type": "google_secret_manager_secret_version", "change": change}
    assert plan_review.destructive({"resource_changes": [entry]}) == []
    for other in (
        entry | {"change": change | {"actions": ["delete", "create"]}},
        entry | {"change": change | {"actions": ["delete"]}},
        entry | {"change": change | {"before": change["before"] | {"deletion_policy": "DELETE"}}},
        entry | {"type": "google_secret_manager_secret"},
    ):
        assert len(plan_review.destructive({"resource_changes": [other]})) == 1


def test_a_version_that_was_disabled_stays_disabled(whole, monkeypatch):
    """scripts/rotate-secret.sh disables what Terraform made; the next apply must not enable it again."""
    monkeypatch.setenv("OFFLINE_TRAFFIC_SPLIT", "*")
    rotated = whole.fork()
    state = json.loads(rotated.state.read_text())
    versions = [one for one in state["resources"] if one["type"] == "google_secret_manager_secret_version"]
    assert len(versions) == 2  # the password's, and those that are made
    for version in versions:
        for instance in version["instances"]:
            instance["attributes"]["enabled"] = False
    rotated.state.write_text(json.dumps(state))
    assert rotated.changes() == {}


def test_nothing_in_the_database_is_dropped_before_it(production):
    """PostgreSQL drops no user that owns tables, and no database that somebody is connected to."""
    kept = [*production.all("google_sql_user").values(), *production.all("google_sql_database").values()]
    assert {one["deletion_policy"] for one in kept} == {"ABANDON"}
    assert len(production.all("google_sql_database")) == 2


def test_staging_can_be_removed(whole):
    """All of it, in an order that the services take."""
    leaving = whole.fork()
    leaving.destroy()
    assert leaving.resources() == set()
