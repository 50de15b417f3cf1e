"""Fixtures: one real PostgreSQL for the run, one database per worker, real functions-framework servers over sockets.

`TEST_DATABASE_URL` names another server, on which databases are made and dropped. Where PostgreSQL 15 is installed,
what takes the `call` fixture runs on it, too. The routes' own tests also run behind the load balancer of a production
plan; with `TEST_TOPOLOGY=true` all do that take `call`, but for those marked `direct`.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

import migrations
from client.model_server import ModelServer
from local.postgres import EmbeddedPostgres
from rehearsal.topology import Topology
from shared.data.pool import Database
from tests.servers import CHAT_TOKEN_KEY, Answer, Caller, Servers, manifest
from tests.terraform.planning import DOMAIN, Plan, Terraform
from tests.topologies import ThroughBalancer
from tests.users import User

POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
MAX_CONNECTIONS = 600  # a dozen servers of each worker, with 16 each
VARIABLES = {"default": "TEST_DATABASE_URL", "postgres15": "TEST_DATABASE_URL_POSTGRES15"}
BEHIND_BALANCER = {f"test_{family}" for family in manifest()}
_started: list[tuple[EmbeddedPostgres, str]] = []


def pytest_configure(config: pytest.Config) -> None:
    """Start the database servers in the process that starts the workers; they inherit the URLs."""
    if hasattr(config, "workerinput"):
        return
    if "TEST_DATABASE_URL" not in os.environ:
        _start("default")
        if (POSTGRES_15 / "postgres").exists():
            _start("postgres15", POSTGRES_15)


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    while _started:
        postgres, folder = _started.pop()
        postgres.stop()
        shutil.rmtree(folder)


def _start(name: str, *binaries: Path) -> None:
    folder = tempfile.mkdtemp(prefix="liftlog-test-")
    Path(folder).chmod(0o711)  # PostgreSQL's account passes through
    postgres = EmbeddedPostgres(Path(folder), *binaries, max_connections=MAX_CONNECTIONS)
    _started.append((postgres, folder))
    postgres.start()
    os.environ[VARIABLES[name]] = postgres.url


def _deployments() -> list[str]:
    found = ["gateway", "alone"]
    if VARIABLES["postgres15"] in os.environ:
        found.append("gateway on PostgreSQL 15")
    return [*found, "topology"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what is not wanted behind the load balancer."""
    everything = os.environ.get("TEST_TOPOLOGY") == "true"

    def wanted(item: pytest.Item) -> bool:
        callspec = getattr(item, "callspec", None)
        if callspec is None or callspec.params.get("call") != "topology":
            return True
        return (everything or item.path.stem in BEHIND_BALANCER) and item.get_closest_marker("direct") is None

    items[:] = filter(wanted, items)


@pytest.fixture(scope="session")
def new_database() -> Iterator[Callable[..., str]]:
    """Return a function that makes an empty database and returns its URL; dropped at the end."""
    made: list[tuple[Database, str]] = []
    admins: dict[str, Database] = {}

    def create(server: str = "default") -> str:
        url = os.environ[VARIABLES[server]]
        name = f"liftlog_test_{uuid4().hex}"
        if server not in admins:
            admins[server] = Database(url, 1, 30)
            admins[server].rows("SET statement_timeout = 0")  # each of these waits for a checkpoint
        admin = admins[server]
        admin.rows(f"CREATE DATABASE {name}")
        made.append((admin, name))
        before, _, query = url.partition("?")
        return f"{before.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")

    yield create
    for admin, name in made:
        admin.rows(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    for admin in admins.values():
        admin.close()


@pytest.fixture(scope="session")
def database_url(new_database: Callable[..., str]) -> str:
    """Return the URL of this worker's migrated database. Tests share it, and keep to users of their own."""
    url: str = new_database()
    migrations.upgrade(url)
    return url


@pytest.fixture(scope="session")
def db(database_url: str) -> Iterator[Database]:
    database = Database(database_url, 32, 30)
    yield database
    database.close()


@pytest.fixture
def own_url(new_database: Callable[..., str]) -> str:
    """Return the URL of a migrated database of the test's own, for what counts or removes everybody's."""
    url: str = new_database()
    migrations.upgrade(url)
    return url


@pytest.fixture
def own_db(own_url: str) -> Iterator[Database]:
    database = Database(own_url, 8, 30)
    yield database
    database.close()


@pytest.fixture(scope="session")
def servers(database_url: str) -> Iterator[Servers]:
    with Servers(database_url) as running:
        yield running


@pytest.fixture(scope="session")
def servers_on_postgres15(new_database: Callable[..., str]) -> Iterator[Servers]:
    url = new_database("postgres15")
    migrations.upgrade(url)
    with Servers(url) as running:
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
        with Topology(production, ("127.0.0.1", 0), database_url, secrets, **settings) as running:
            yield running


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
