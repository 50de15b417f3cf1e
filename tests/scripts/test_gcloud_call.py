"""`gcloud functions call`, the real one, against functions that run here: what an operator does from the command line.

Google Cloud's part is played by a fake: it says where each function answers, and makes the operator's identity tokens.
IAM, which checks them, is not played: the private functions are told, as in the cloud, that it has let the caller in.
"""

import json
from uuid import UUID, uuid4

import pytest

import migrations
from tests.scripts.fake_cloud import GCLOUD, REGION, FakeRelease, needs_gcloud, run
from tests.servers import Servers

FAMILIES = ("user", "cleanup", "migrate", "metrics", "gateway")


def function(family: str) -> str:
    return f"liftlog-{'operator' if family == 'gateway' else family}-staging"


@pytest.fixture(scope="module")
def cloud():
    needs_gcloud()
    with FakeRelease({function(family): "a-package.zip" for family in FAMILIES}) as running:
        yield running


@pytest.fixture(scope="module")
def functions(cloud, new_database):
    """Return the functions on a database that is still empty, since one of them makes its tables."""
    with Servers(new_database(), ENVIRONMENT="staging", OPERATOR_IAM="true") as running:
        cloud.urls |= {function(family): running[family].url for family in FAMILIES}
        yield running


@pytest.fixture
def call(cloud, functions, tmp_path):
    """Return a function that calls one, and returns what gcloud did. The database is migrated before each test."""

    def gcloud(family, data):
        return run(
            cloud, tmp_path, "gcloud", "functions", "call", function(family), "--gen2", f"--region={REGION}",
            f"--data={json.dumps(data)}", "--format=value(.)",
        )  # fmt: skip

    migrated = gcloud("migrate", {})
    assert migrated.returncode == 0, migrated.stderr
    return gcloud


def test_migrate(call, functions):
    answer = call("migrate", {})
    assert json.loads(answer.stdout) == {"before": migrations.head(), "after": migrations.head()}
    assert functions.db.rows("SELECT count(*) FROM users") is not None


def test_create_a_user_and_read_it(call):
    created = json.loads(call("user", {"route": "POST /user/create"}).stdout)
    assert UUID(created["id"])
    read = call("user", {"route": f"GET /user/{created['id']}"})
    assert json.loads(read.stdout)["id"] == created["id"]
    through_the_operators_gateway = call("gateway", {"route": f"GET /user/{created['lookup']}"})
    assert json.loads(through_the_operators_gateway.stdout)["id"] == created["id"]


def test_a_user_that_does_not_exist_fails_the_command(call):
    answer = call("user", {"route": f"GET /user/{uuid4()}"})
    assert answer.returncode == 1
    assert "404" in answer.stderr


def test_cleanup_with_dry_run_removes_nothing(call, functions):
    functions.db.rows(
        "INSERT INTO rate_limit_consumptions (key, requests) VALUES (:key, array[now() - interval '3 days'])",
        key=uuid4().hex,
    )
    answer = json.loads(call("cleanup", {"dry_run": True}).stdout)
    assert (answer["dry_run"], answer["deleted"]["rate_limits"]) == (True, 1)
    assert functions.db.rows("SELECT count(*) FROM rate_limit_consumptions") == [[1]]


def test_read_metrics(call):
    summary = json.loads(call("metrics", {"route": "GET /metrics/summary"}).stdout)
    assert summary["total_requests"] >= 0
    assert "liftlog_http_requests_total" in call("metrics", {"route": "GET /metrics"}).stdout


@pytest.mark.parametrize(
    "command", ["version --format=json", "config get core/project", "functions call --no-such-flag"]
)
def test_the_quick_gcloud_of_these_tests_says_what_the_program_says(cloud, tmp_path, command):
    quick, program = (run(cloud, tmp_path, name, *command.split()) for name in ("gcloud", str(GCLOUD)))
    assert (quick.returncode, quick.stdout, quick.stderr) == (program.returncode, program.stdout, program.stderr)
