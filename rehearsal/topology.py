"""`make topology`: production as Terraform plans it, on this machine, until Ctrl-C or SIGTERM.

Each function runs in a process of its own, with the settings and only the secrets that the plan gives it; the load
balancer's URL map decides which of them answers. The database is the embedded one (or DATABASE_URL). Whoever reaches a
private function's own port is an operator, as behind the cloud's IAM. A plan that was made elsewhere
(`terraform show -json`) may take the place of terraform.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from local import processes
from local.processes import Address
from local.server import (
    CHECK_SECONDS,
    CannotServe,
    Cleaner,
    base_url,
    local_secrets,
    revive,
    run,
    start_database,
    wait_for_port,
)
from local.settings import LocalSettings
from rehearsal.balancer import Balancer
from rehearsal.terraform import DOMAIN, Plan, PlanFailed, Terraform, TerraformUnavailable
from rehearsal.url_map import UnknownRule, UrlMap

FUNCTIONS = Path(__file__).parent.parent / "functions"
HOST = "127.0.0.1"
STOP_SECONDS = 8.0
# What leads to the cloud's database, secrets and scheduler.
NOT_HERE = {
    "CLEANUP_JOB",
    "DB_FUNCTION_USERS",
    "DB_IAM_AUTH",
    "DB_NAME",
    "DB_USER",
    "GCP_PROJECT_ID",
    "INSTANCE_CONNECTION_NAME",
    "RATE_LIMIT_DATABASE_URL",
}


@dataclass(frozen=True, slots=True)
class PlannedFunction:
    """A function as the plan makes it."""

    family: str
    name: str
    entry_point: str
    environment: dict[str, str]
    secrets: frozenset[str]  # as environment variables are called


def planned_functions(plan: Plan) -> list[PlannedFunction]:
    """Return all functions that a plan makes, in the order of their families."""
    found = []
    for address, values in plan.all("google_cloudfunctions2_function").items():
        environment = values["service_config"][0]["environment_variables"]
        found.append(_planned(plan, address, values["name"], values["build_config"][0]["entry_point"], environment))
    for address, values in plan.all("google_cloud_run_v2_service").items():
        environment = {entry["name"]: entry["value"] for entry in values["template"][0]["containers"][0]["env"]}
        target = values["build_config"][0]["function_target"]
        found.append(_planned(plan, address, values["name"], target, environment))
    return sorted(found, key=lambda function: function.family)


def _planned(plan: Plan, address: str, name: str, entry_point: str, environment: dict[str, str]) -> PlannedFunction:
    family = address.split('"')[1]
    suffix = f"-{environment['ENVIRONMENT']}"
    readable = plan.of_function("google_secret_manager_secret_iam_member", family).values()
    secrets = {member["secret_id"].removesuffix(suffix).replace("-", "_").upper() for member in readable}
    return PlannedFunction(family, name, entry_point, environment, frozenset(secrets))


class Function:
    """A function in a process of its own, which may be stopped and started again."""

    def __init__(self, planned: PlannedFunction, environment: dict[str, str]) -> None:
        self.name = planned.name
        self.address: Address = (HOST, processes.free_port())
        self._target = planned.entry_point
        self._environment = environment
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.address[1]}"

    def start(self) -> None:
        source = FUNCTIONS / self._target / "main.py"
        self.process = processes.start(self._target, source, self.address, self._environment, one_cpu=True)

    def wait_until_listening(self) -> None:
        """Raises CannotServe if it ends instead."""
        if self.process is None or not processes.wait_until_listening(self.process, self.address):
            raise CannotServe(f"{self.name} does not start; its messages are above")

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask_to_stop(self) -> None:
        if self.process is not None:
            self.process.terminate()

    def stop(self) -> None:
        if self.process is not None:
            processes.end(self.process, STOP_SECONDS)
            self.process = None


class Topology:
    """The functions of a plan on one database, and the load balancer in front of them."""

    def __init__(
        self, plan: Plan, listen: Address, database_url: str, secrets: dict[str, str], **environment: str
    ) -> None:
        """`secrets` by their variables' names; a function gets those that it may read. Raises UnknownRule."""
        planned = planned_functions(plan)
        of_the_cloud = NOT_HERE.union(*(function.secrets for function in planned))
        inherited = {name: value for name, value in os.environ.items() if name not in of_the_cloud}
        self.functions: dict[str, Function] = {}
        for function in planned:
            own = {name: value for name, value in function.environment.items() if name not in NOT_HERE}
            readable = {name: value for name, value in secrets.items() if name in function.secrets}
            self.functions[function.family] = Function(
                function, inherited | own | readable | {"DATABASE_URL": database_url} | environment
            )
        self._by_name = {function.name: function for function in self.functions.values()}
        self.url_map = UrlMap(plan)
        domain = plan.document["planned_values"]["outputs"]["service_url"]["value"].removeprefix("https://")
        self._balancer = Balancer(listen, domain, self.url_map, self._find)

    @property
    def url(self) -> str:
        host, port = self._balancer.server_address[:2]
        return f"http://{host!s}:{port}"

    def _find(self, name: str) -> Address | None:
        function = self._by_name[name]
        return function.address if function.is_running() else None

    def __enter__(self) -> "Topology":
        """Start everything. Raises CannotServe."""
        try:
            for function in self.functions.values():
                function.start()
            for function in self.functions.values():
                function.wait_until_listening()
        except BaseException:
            self._stop_functions()
            raise
        self._balancer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._balancer.stop()
        self._stop_functions()

    def revive(self) -> None:
        """Start functions again that have died, as Cloud Run does."""
        for function in self.functions.values():
            if not function.is_running():
                print(f"{function.name} died; starting it again", file=sys.stderr, flush=True)
                function.start()

    def _stop_functions(self) -> None:
        for function in self.functions.values():
            function.ask_to_stop()  # all at once
        for function in self.functions.values():
            function.stop()


def main() -> int:
    """Serve until a signal comes. Return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m rehearsal.topology", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("plan", nargs="?", type=Path, help="a plan as JSON; else terraform makes one")
    return run("make topology", partial(_serve, parser.parse_args().plan))


def _serve(plan_path: Path | None, settings: LocalSettings, started: ExitStack) -> None:
    wait_for_port(settings)
    plan = _plan(plan_path)
    secrets = {name: os.environ[name] for name in _secrets_of(plan) if os.environ.get(name)} | local_secrets(settings)
    url, postgres = start_database(settings, started)
    rate_limits = settings.rate_limit_database_url
    further = {"RATE_LIMIT_DATABASE_URL": rate_limits} if rate_limits else {}
    try:
        topology = Topology(plan, (settings.host, settings.port), url, secrets, **further)
    except UnknownRule as error:
        raise CannotServe(str(error)) from None
    print(f"Starting {len(topology.functions)} functions", flush=True)
    started.enter_context(topology)
    for function in topology.functions.values():
        if function.name not in topology.url_map.functions:
            print(f"{function.name}, for operators: {function.url}", flush=True)
    print(f"LiftLog answers on {base_url(settings)}, as its load balancer would (Ctrl-C ends it)", flush=True)
    cleaner = Cleaner(topology.functions["cleanup"].url)
    while True:
        cleaner.clean_if_due()
        revive(postgres)
        topology.revive()
        time.sleep(CHECK_SECONDS)


def _plan(path: Path | None) -> Plan:
    """Return the plan of production, a given one or terraform's. Raises CannotServe."""
    if path is not None:
        try:
            return Plan(json.loads(path.read_text()))
        except (OSError, ValueError) as error:
            raise CannotServe(f"{path} is no plan as `terraform show -json` writes it: {error}") from None
    print("Planning production with terraform", flush=True)
    with tempfile.TemporaryDirectory(prefix="liftlog-plan-") as folder:
        try:
            return Plan(Terraform(Path(folder)).plan("production", domain=DOMAIN))
        except TerraformUnavailable as error:
            raise CannotServe(
                f"TERRAFORM IS MISSING: {error}. Nothing runs, since the topology is what terraform plans."
                " TERRAFORM names another one, and PLAN=plan.json a plan that was made elsewhere (terraform show -json)"
            ) from None
        except PlanFailed as error:
            raise CannotServe(f"terraform plans nothing:\n{error}") from None


def _secrets_of(plan: Plan) -> set[str]:
    return set().union(*(function.secrets for function in planned_functions(plan)))


if __name__ == "__main__":
    sys.exit(main())
