"""Production as Terraform plans it, for tests: every function behind the plan's load balancer."""

from dataclasses import dataclass
from subprocess import Popen
from typing import Any

from rehearsal.topology import Topology
from tests.servers import Caller, Servers, family_of


@dataclass(frozen=True)
class Entrance:
    """Where a request goes, and the process that answers it in the end."""

    url: str
    process: Popen[bytes] | None


class ThroughBalancer(Caller):
    """Sends requests to the load balancer. The root path belongs to nobody, as with each family alone."""

    def __init__(self, servers: Servers, topology: Topology) -> None:
        super().__init__(servers, alone=True)
        self._topology = topology

    def server(self, path: str) -> Any:
        return Entrance(self._topology.url, self._topology.functions[family_of(path)].process)
