"""Backups of phones in the cloud: off unless wanted; then a bucket of their own, and the functions that use it."""

import pytest

from rehearsal.terraform import Plan
from tests.terraform.planning import DOMAIN, PROJECT
from tests.terraform.test_terraform import services

USERS = {"backup", "cleanup", "operator"}
BUCKET = f"{PROJECT}-liftlog-backups-production"


@pytest.fixture(scope="module")
def keeping(terraform):
    return Plan(terraform.plan("production", domain=DOMAIN, keep_phone_backups=True))


def bucket_of(plan):
    (bucket,) = [bucket for bucket in plan.all("google_storage_bucket").values() if bucket["name"] == BUCKET]
    return bucket


def test_they_are_off_unless_wanted(production):
    assert production.one("google_storage_bucket")["name"] != BUCKET
    assert "BACKUP_STORE" not in services(production, "backup")["environment"]


def test_they_are_private_and_come_back_for_a_month(keeping):
    bucket = bucket_of(keeping)
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["versioning"] == [{"enabled": True}]
    assert bucket["force_destroy"] is False
    (rule,) = bucket["lifecycle_rule"]
    assert (rule["action"][0]["type"], rule["condition"][0]["days_since_noncurrent_time"]) == ("Delete", 30)
    assert rule["condition"][0]["age"] is None  # what is kept is the cleanup's business


def test_who_uses_them_knows_where_they_are_and_may_use_nothing_else(keeping):
    for family in USERS:
        environment = services(keeping, family)["environment"]
        assert environment["BACKUP_STORE"] == f"gs://{BUCKET}"
        assert environment["BACKUP_MAX_BYTES"] == str(32 * 1024 * 1024)  # the platform's own limit
    assert "BACKUP_STORE" not in services(keeping, "user")["environment"]
    grants = [
        values for values in keeping.all("google_storage_bucket_iam_member").values() if values["bucket"] == BUCKET
    ]
    assert {grant["role"] for grant in grants} == {"roles/storage.objectUser"}
    assert {grant["member"] for grant in grants} == {
        f"serviceAccount:liftlog-{family}-prod@{PROJECT}.iam.gserviceaccount.com" for family in USERS
    }
