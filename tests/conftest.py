"""Fixtures: one real PostgreSQL for the run, one database per worker, real functions-framework servers over sockets.

Where PostgreSQL 15 is installed, what takes the `call` fixture runs on it, too. The routes' own tests also run behind
the load balancer of a production plan; with `TEST_TOPOLOGY=true` all that take `call` do, but those marked `direct`.
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from client.model_server import ModelServer
from rehearsal.topology import Topology
from shared.data.pool import Database
from tests.databases import BACKUP_FOLDER, VARIABLES, Databases, as_function, start_servers
from tests.scripts.fake_cloud import GCLOUD, GCLOUD_FOLDER
from tests.scripts.gcloud_server import client, starter
from tests.servers import CHAT_TOKEN_KEY, Answer, Caller, Servers, manifest
from tests.terraform.planning import DOMAIN, Plan, Terraform
from tests.topologies import ThroughBalancer
from tests.users import User

BEHIND_BALANCER = {f"test_{family}" for family in manifest()}
LONGEST_FIRST = [
    "functions/test_real_model.py", "scripts/test_release.py", "topology", "installation/test_installation.py",
    "scripts/test_package.py",
    "scripts/test_operations.py", "local/test_serve.py", "functions/test_logs.py", "functions/test_ai_chat.py",
    "functions/test_cleanup.py", "functions/test_resilience.py", "migrations/test_migrations.py",
    "functions/test_ai_chat_instances.py", "local/test_backups.py", "functions/test_whatever_fits.py",
]  # fmt: skip
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")  # no example has to be quick
DATABASE_SERVERS = pytest.StashKey[ExitStack]()


def pytest_configure(config: pytest.Config) -> None:
    # A shell has what it runs in the background ignore Ctrl-C, and so would every program that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not hasattr(config, "workerinput"):
        config.stash[DATABASE_SERVERS] = start_servers()


def pytest_unconfigure(config: pytest.Config) -> None:
    if DATABASE_SERVERS in config.stash:
        config.stash[DATABASE_SERVERS].close()


def _deployments() -> list[str]:
    found = ["gateway", "alone"]
    if VARIABLES["postgres15"] in os.environ:
        found.append("gateway on PostgreSQL 15")
    return [*found, "topology"]


STANDING = ("terraform/test_standing.py", "terraform/test_secrets_in_time.py")  # with a configuration of their own


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="only what is quick, and every route at the gateway alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not wanted, and give each worker whole files, the longest first: they share their servers."""
    fast = config.getoption("--fast")
    items[:] = [item for item in items if _is_wanted(item, fast=fast)]
    places = {file: place for place, file in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(_share(item.nodeid), len(places)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return WholeFiles(config, log)


class WholeFiles(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
    """Gives each worker whole files, whose tests share servers, and one of them all that needs a plan."""

    def _split_scope(self, nodeid: str) -> str:
        return _share(nodeid)


def _share(nodeid: str) -> str:
    """Return what one worker runs together."""
    file, _, test = nodeid.removeprefix("tests/").partition("::")
    plans = file.startswith(("terraform/", "rehearsal/")) and file not in STANDING
    needs_plan = plans or "topology" in test.partition("[")[2]
    return "topology" if needs_plan else file


def _deployment(item: pytest.Item) -> str | None:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("call") if callspec is not None else None


def _is_wanted(item: pytest.Item, *, fast: bool) -> bool:
    if fast:
        return _deployment(item) in {None, "gateway"} and item.get_closest_marker("slow") is None
    if _deployment(item) != "topology" or os.environ.get("TEST_TOPOLOGY") == "true":
        return True
    return item.path.stem in BEHIND_BALANCER and item.get_closest_marker("direct") is None


@pytest.fixture(scope="session")
def new_database() -> Iterator[Callable[..., str]]:
    """Return a function that makes a database, empty or `migrated`, and returns its URL."""
    databases = Databases()
    yield databases.new
    databases.close()


@pytest.fixture(scope="session")
def database_url(new_database: Callable[..., str]) -> str:
    """Return the URL of this worker's migrated database. Tests share it, and keep to users of their own."""
    return new_database(migrated=True)


@pytest.fixture(scope="session")
def db(database_url: str) -> Iterator[Database]:
    database = Database(database_url, 32, 30)
    yield database
    database.close()


@pytest.fixture
def own_url(new_database: Callable[..., str]) -> str:
    """Return the URL of a migrated database of the test's own, for what counts or removes everybody's."""
    return new_database(migrated=True)


@pytest.fixture
def own_db(own_url: str) -> Iterator[Database]:
    database = Database(own_url, 8, 30)
    yield database
    database.close()


@pytest.fixture(scope="session")
def servers(database_url: str) -> Iterator[Servers]:
    with Servers(database_url, url_for=as_function) as running:
        yield running


@pytest.fixture(scope="session")
def servers_on_postgres15(new_database: Callable[..., str]) -> Iterator[Servers]:
    with Servers(new_database("postgres15", migrated=True)) as running:
        yield running


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return Terraform(tmp_path_factory.mktemp("terraform"))


@pytest.fixture(scope="session")
def production(terraform: Terraform) -> Plan:
    return Plan(terraform.plan("production", domain=DOMAIN))


@pytest.fixture(scope="session")
def staging(terraform: Terraform) -> Plan:
    return Plan(terraform.plan("staging"))


@pytest.fixture(scope="session")
def topology(production: Plan, database_url: str) -> Iterator[Topology]:
    """Return production, running: every function in a process of its own, behind its load balancer.

    The planner's model is a canned coach.
    """
    secrets = {"CHAT_TOKEN_KEY": CHAT_TOKEN_KEY, "WEB_AUTH_API_KEY": "key"}
    with ModelServer() as model:
        settings = {"LOG_LEVEL": "ERROR", "OPENAI_BASE_URL": model.base_url}
        settings["BACKUP_STORE"] = f"file://{os.environ[BACKUP_FOLDER]}"
        with Topology(production, ("127.0.0.1", 0), database_url, secrets, **settings) as running:
            yield running


@pytest.fixture(scope="session")
def gcloud() -> Iterator[None]:
    """Put gcloud's name, the real one in one process for this worker, before the wrapper that starts it anew."""
    if GCLOUD is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="liftlog-gcloud-") as folder:
        path = Path(folder) / "socket"
        with subprocess.Popen([GCLOUD, path], env=os.environ | starter(), stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            assert server.stdout.readline(), "gcloud does not start"
            program = Path(folder) / "gcloud"
            program.write_text(client(path))
            program.chmod(0o755)
            os.environ[GCLOUD_FOLDER] = folder
            yield
            del os.environ[GCLOUD_FOLDER]
            server.kill()


@pytest.fixture(params=_deployments())
def call(request: pytest.FixtureRequest) -> Caller:
    """Return a function that sends a request: to the gateway, to each family alone, to the gateway on PostgreSQL 15,
    to the load balancer of a production plan.
    """
    if request.param == "gateway on PostgreSQL 15":
        postgres15: Servers = request.getfixturevalue("servers_on_postgres15")
        return Caller(postgres15, alone=False)
    running: Servers = request.getfixturevalue("servers")
    if request.param == "topology":
        return ThroughBalancer(running, request.getfixturevalue("topology"))
    return Caller(running, alone=request.param == "alone")


@pytest.fixture
def new_user(call: Callable[..., Answer]) -> Callable[[], User]:
    """Return a function that creates an account."""

    def create() -> User:
        created = call("POST", "/user/create", {}).json
        return User(created["id"], created["lookup"], created["password"])

    return create
