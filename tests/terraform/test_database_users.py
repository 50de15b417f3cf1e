"""Who logs in to the database: each function as itself, and the owner in a migration alone."""

from urllib.parse import quote, urlsplit

import pytest

from migrations.grants import rights_of
from tests.terraform.planning import PROJECT
from tests.terraform.test_terraform import services

LONGEST_PROJECT_ID, LONGEST_POSTGRES_NAME = 30, 63
ACCOUNTS = "iam.gserviceaccount.com"


@pytest.fixture(params=["production", "staging"])
def planned(request):
    """Return a plan, and what its accounts end with."""
    return request.getfixturevalue(request.param), {"production": "prod", "staging": "stg"}[request.param]


@pytest.fixture
def users(planned):
    """Return the database user that each function should have, by its family."""
    plan, short = planned
    kinds = ("google_cloudfunctions2_function", "google_cloud_run_v2_service")
    names = [values["name"] for kind in kinds for values in plan.all(kind).values()]
    families = {name.removeprefix("liftlog-").rpartition("-")[0] for name in names} - {"migrate"}
    return {family.replace("-", "_"): f"liftlog-{family}-{short}@{PROJECT}.iam" for family in families}


def test_each_function_logs_in_as_itself_without_a_password(planned, users):
    plan, _ = planned
    known = [user for user in plan.all("google_sql_user").values() if user["type"] == "CLOUD_IAM_SERVICE_ACCOUNT"]
    assert {user["name"] for user in known} == set(users.values())
    assert max(map(len, users.values())) - len(PROJECT) + LONGEST_PROJECT_ID <= LONGEST_POSTGRES_NAME
    flags = plan.one("google_sql_database_instance")["settings"][0]["database_flags"]
    assert {"name": "cloudsql.iam_authentication", "value": "on"} in flags
    for family, user in users.items():
        environment = services(plan, family)["environment"]
        assert (environment["DB_USER"], environment["DB_IAM_AUTH"]) == (user, "true")
        url = urlsplit(environment["RATE_LIMIT_DATABASE_URL"])
        assert (url.username, url.query.partition("&")[0]) == (quote(user, safe=""), "iam=true")
        assert "DB_FUNCTION_USERS" not in environment


def test_migrate_is_the_owner_and_is_told_who_gets_which_rights(planned, users):
    plan, short = planned
    environment = services(plan, "migrate")["environment"]
    assert environment["DB_USER"] == "liftlog_backend"
    assert "DB_IAM_AUTH" not in environment
    told = dict(pair.split("=") for pair in environment["DB_FUNCTION_USERS"].split(","))
    assert told == users
    assert all(rights_of(family) for family in told)
    readers = [
        grant["member"]
        for grant in plan.all("google_secret_manager_secret_iam_member").values()
        if grant["secret_id"].startswith("database-password")
    ]
    assert readers == [f"serviceAccount:liftlog-migrate-{short}@{PROJECT}.{ACCOUNTS}"]
