"""The functions' way to the database: through addresses of their own, of which there are enough."""

import ipaddress

from tests.servers import manifest
from tests.terraform.planning import ROOT

BLOCK = (
    16  # addresses that Cloud Run takes at once for a revision: cloud.google.com/run/docs/configuring/vpc-direct-vpc
)
PER_INSTANCE = 2
ALIVE = 3  # revisions whose addresses are taken: the new one, the old one, and one that ended less than 20 minutes ago


def test_functions_reach_the_database_without_a_connector(production, staging):
    for plan in (production, staging):
        network, subnetwork = plan.one("google_compute_network"), plan.one("google_compute_subnetwork")
        assert plan.all("google_vpc_access_connector") == {}
        for address, function in plan.all("google_cloudfunctions2_function").items():
            config = function["service_config"][0]
            assert config["direct_vpc_egress"] == "VPC_EGRESS_PRIVATE_RANGES_ONLY", address
            (interface,) = config["direct_vpc_network_interface"]
            assert (interface["network"], interface["subnetwork"]) == (network["name"], subnetwork["name"])
            assert not config["vpc_connector"]
        for service in plan.all("google_cloud_run_v2_service").values():
            (access,) = service["template"][0]["vpc_access"]
            assert (access["egress"], access["connector"]) == ("PRIVATE_RANGES_ONLY", None)
            (interface,) = access["network_interfaces"]
            assert (interface["network"], interface["subnetwork"]) == (network["name"], subnetwork["name"])


def addresses(most_instances: int) -> int:
    """How many addresses the instances of a revision take."""
    return -(-PER_INSTANCE * most_instances // BLOCK) * BLOCK


def test_two_releases_in_a_row_have_addresses_for_all_instances(production):
    """Where there are none, an instance does not start."""
    wanted = ALIVE * sum(addresses(row["instances"]["production"][1]) for row in manifest().values())
    wanted += ALIVE * addresses(2)  # the operators' gateway
    network = ipaddress.ip_network(production.one("google_compute_subnetwork")["ip_cidr_range"])
    assert wanted <= network.num_addresses - 4  # of each subnetwork four are Google's
    assert network.prefixlen <= 26  # Cloud Run takes no smaller one
    assert f"production takes {wanted} " in (ROOT / "docs" / "infrastructure.md").read_text()


def test_the_connector_of_earlier_versions_may_stay_beside_it(production):
    """Ranges of one network may not overlap, and revisions that serve until the next release use the connector's."""
    network = ipaddress.ip_network(production.one("google_compute_subnetwork")["ip_cidr_range"])
    assert not network.overlaps(ipaddress.ip_network("10.8.0.0/28"))


def test_the_database_is_not_in_the_functions_subnetwork(production):
    """Its range is chosen by Google in the network, and may not overlap."""
    peering = production.all("google_compute_global_address")["google_compute_global_address.database"]
    assert (peering["purpose"], peering["prefix_length"]) == ("VPC_PEERING", 20)
