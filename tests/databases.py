"""The database servers of a test run, and the databases on them: each a copy of one that was migrated once.

`TEST_DATABASE_URL` names another server, on which databases are made and dropped. Where PostgreSQL 15 is installed,
there is one of those, too. What crashes servers, or looks at what a crash leaves, starts servers of its own.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from uuid import uuid4

from pg8000.native import Connection

import migrations
from local.postgres import BIN, ROLE, EmbeddedPostgres
from migrations.grants import GRANTS
from shared.data.connections import connect
from tests.waiting import WAIT_SECONDS

POSTGRES_15 = Path("/usr/lib/postgresql/15/bin")
MAX_CONNECTIONS = 600  # a dozen servers of each worker, with 16 each
VARIABLES = {"default": "TEST_DATABASE_URL", "postgres15": "TEST_DATABASE_URL_POSTGRES15"}
FUNCTION_USERS = {family: f"liftlog_{family}" for family in GRANTS}  # on servers of our own
BACKUP_FOLDER = "TEST_BACKUP_FOLDER"  # the environment variable with the folder of phones' backups
RUN = "TEST_RUN"  # the environment variable with the run's own part of all its databases' names


def start_servers() -> ExitStack:
    """Start the servers, in the process that starts the workers: they inherit the URLs. Closing ends them.

    Servers of our own are thrown away with all databases; from another one the run's are dropped.
    """
    os.environ[RUN] = uuid4().hex[:8]
    with ExitStack() as started:
        os.environ[BACKUP_FOLDER] = started.enter_context(tempfile.TemporaryDirectory(prefix="liftlog-test-backups-"))
        if "TEST_DATABASE_URL" in os.environ:
            admin = started.enter_context(closing(Admin(os.environ["TEST_DATABASE_URL"])))
            started.callback(admin.drop_all)
        else:
            _start(started, "default", BIN)
            if (POSTGRES_15 / "postgres").exists():
                _start(started, "postgres15", POSTGRES_15)
        for variable in VARIABLES.values():
            if variable in os.environ:
                with closing(Admin(os.environ[variable])) as admin:
                    migrations.upgrade(admin.create(_name("template")), users=admin.function_users())
        return started.pop_all()


def as_function(url: str, family: str) -> str:
    """Return a database's URL for the user of a family, who may do what it needs; the same one if it has none."""
    user = FUNCTION_USERS.get(family)
    return url.replace(f"//{ROLE}@/", f"//{user}@/", 1) if user else url


def _start(started: ExitStack, name: str, binaries: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="liftlog-test-"))
    started.callback(shutil.rmtree, folder)
    folder.chmod(0o711)  # PostgreSQL's account passes through
    postgres = EmbeddedPostgres(folder, binaries, max_connections=MAX_CONNECTIONS, durable=False)
    started.callback(postgres.stop)
    postgres.start()
    with closing(Admin(postgres.url)) as admin:
        admin.create_function_users()
    os.environ[VARIABLES[name]] = postgres.url


class Admin:
    """Makes and drops databases on a server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection = connect(url, Connection, WAIT_SECONDS)
        self._connection.run("SET statement_timeout = 0")

    def create(self, name: str, template: str = "template1") -> str:
        """Make a database like another one, in 40 ms, and return its URL."""
        self._connection.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        before, _, query = self._url.partition("?")
        return f"{before.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")

    def create_function_users(self) -> None:
        for user in FUNCTION_USERS.values():
            self._connection.run(f"CREATE ROLE {user} LOGIN")

    def function_users(self) -> dict[str, str]:
        """Return the users of the families that there are; on another server than ours there are none."""
        known = {name for (name,) in self._connection.run("SELECT rolname FROM pg_roles")}
        return {family: user for family, user in FUNCTION_USERS.items() if user in known}

    def drop_all(self) -> None:
        """Drop the run's databases."""
        for (name,) in self._connection.run("SELECT datname FROM pg_database WHERE datname LIKE :run", run=_name("%")):
            self._connection.run(f"DROP DATABASE {name} WITH (FORCE)")

    def close(self) -> None:
        self._connection.close()


class Databases:
    """What makes the databases of one worker."""

    def __init__(self) -> None:
        self._admins: dict[str, Admin] = {}

    def new(self, server: str = "default", *, migrated: bool = False) -> str:
        """Make a database, empty or in the newest schema, and return its URL."""
        if server not in self._admins:
            self._admins[server] = Admin(os.environ[VARIABLES[server]])
        return self._admins[server].create(_name(uuid4().hex), _name("template") if migrated else "template1")

    def close(self) -> None:
        for admin in self._admins.values():
            admin.close()


@contextmanager
def transaction(url: str, *statements: str) -> Iterator[None]:
    """Hold a transaction open in which the statements have run, and with it their locks."""
    with closing(connect(url, Connection, WAIT_SECONDS)) as connection:
        connection.run("SET statement_timeout = 0")
        for statement in ("BEGIN", *statements):
            connection.run(statement)
        yield
        connection.run("COMMIT")


def _name(suffix: str) -> str:
    return f"liftlog_test_{os.environ[RUN]}_{suffix}"
