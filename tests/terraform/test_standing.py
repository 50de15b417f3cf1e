"""What Terraform does to an environment that stands already: the first apply, the next plan, a change, the end."""

import json
import re

import functions_framework
import pytest

from tests.terraform.planning import DOMAIN, PROJECT, ROOT, Terraform
from tests.terraform.standing import Standing

PINNED = ("OFFLINE_TRAFFIC_SPLIT", "*")  # for providers without a cloud: a script has split every function's traffic


@pytest.fixture(scope="module")
def ground(tmp_path_factory):
    """Return a configuration that these tests may change."""
    return Terraform(tmp_path_factory.mktemp("standing"))


@pytest.fixture(scope="module", name="stands", params=["staging", "production"])
def standing_environment(ground, request):
    domain = {"domain": DOMAIN} if request.param == "production" else {}
    environment = Standing(ground, request.param, **domain)
    environment.apply()
    return environment


@pytest.fixture(name="manifest_of")
def changeable_manifest(ground):
    """Return the manifest's path; it is put back afterwards."""
    path = ground.folder.parent / "functions" / "manifest.yaml"
    before = path.read_text()
    yield path
    path.write_text(before)


def functions_of(changes):
    return {address: change for address, change in changes.items() if ".google_cloudfunctions2_function." in address}


def test_after_a_release_the_next_plan_is_empty(stands, monkeypatch):
    """Packages are new with each release, the traffic is pinned, and Terraform minds neither."""
    monkeypatch.setenv(*PINNED)
    assert stands.changes() == {}


def test_a_change_of_memory_moves_no_traffic(stands, manifest_of, monkeypatch):
    """What is sent with it is what has been read: after the pin that is false, and the traffic stays where it is."""
    monkeypatch.setenv(*PINNED)
    text, replaced = re.subn(r"memory: \d+", "memory: 1024", manifest_of.read_text())
    assert replaced
    manifest_of.write_text(text)
    changed = stands.changes()
    assert changed
    for address, change in changed.items():
        assert change["actions"] == ["update"], address
        if address in functions_of(changed):
            for side in ("before", "after"):
                assert change[side]["service_config"][0]["all_traffic_on_latest_revision"] is False, address
            assert change["after"]["service_config"][0]["available_memory"] == "1024Mi"
        else:  # a service of Cloud Run: what is sent is what was read
            assert change["before"]["traffic"] == change["after"]["traffic"], address


def test_before_the_pin_false_is_sent_and_seen_in_the_plan(stands):
    """The API answers true while the newest revision has all traffic; that must never be what an update sends."""
    changes = stands.changes()
    assert functions_of(changes).keys() == changes.keys()
    made = [address for address in stands.resources() if ".google_cloudfunctions2_function.this" in address]
    assert len(changes) == len(made) > 3
    for change in changes.values():
        assert change["before"]["service_config"][0]["all_traffic_on_latest_revision"] is True
        assert change["after"]["service_config"][0]["all_traffic_on_latest_revision"] is False


def test_what_earlier_versions_made_is_forgotten_and_not_destroyed(stands, monkeypatch):
    """Revisions that serve until the next release reach the database by the connector, and are open by the grant."""
    monkeypatch.setenv(*PINNED)
    earlier = stands.fork()
    state = json.loads(earlier.state.read_text())
    provider = 'provider["registry.terraform.io/hashicorp/google"]'
    connector = {"name": "liftlog-stg", "region": "us-central1", "project": PROJECT, "ip_cidr_range": "10.8.0.0/28"}
    grant = {"name": "liftlog-x", "location": "us-central1", "role": "roles/run.invoker", "member": "allUsers"}
    for kind, name, attributes in (
        ("google_vpc_access_connector", "main", connector),
        ("google_cloud_run_v2_service_iam_member", "anybody", grant | {"project": PROJECT}),
    ):
        instance: dict[str, object] = {"schema_version": 0, "attributes": attributes | {"id": f"{kind}-id"}}
        entry = {"mode": "managed", "type": kind, "name": name, "provider": provider, "instances": [instance]}
        if name == "anybody":
            entry |= {"module": 'module.function["health"]'}
            instance |= {"index_key": 0}
        state["resources"].append(entry)
    earlier.state.write_text(json.dumps(state))
    assert {address: change["actions"] for address, change in earlier.changes().items()} == {
        "google_vpc_access_connector.main": ["forget"],
        'module.function["health"].google_cloud_run_v2_service_iam_member.anybody[0]': ["forget"],
    }


def test_a_function_that_was_never_released_answers_503_to_everything():
    for family in ("user", "ai_chat", "gateway"):
        client = functions_framework.create_app(family, str(ROOT / "terraform" / "first" / "main.py")).test_client()
        for method, path in (("GET", "/user/x"), ("POST", "/"), ("GET", "/health/ready"), ("DELETE", "/nothing")):
            answer = client.open(path, method=method)
            assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
            assert answer.headers["Retry-After"]


def test_what_a_function_is_made_of_at_first_takes_the_release_s_framework():
    (wanted,) = (ROOT / "terraform" / "first" / "requirements.txt").read_text().split()
    assert f"{wanted} \\\n" in (ROOT / "requirements.txt").read_text()
