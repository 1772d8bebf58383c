"""What every vantage asks: from the policy, free of secrets, each with a hash that tells when the question changed."""

from dataclasses import dataclass, replace

from failover.model.codec import canonical_json, from_plain, to_plain
from failover.model.ids import ClusterName
from failover.model.observation import ProbeDefinition, ProbeKind, Signal
from failover.model.policy import DataProbe
from failover.probes import build_definitions
from tests.support.policies import policy


@dataclass(frozen=True)
class Api:
    address: str = "203.0.113.7"
    port: int = 6443
    server_name: str = "api.north.example.net"
    ca_pem: str = "PEM"


def no_bundle(path: str) -> str:
    assert path == ""
    return ""


def test_a_cluster_is_asked_on_both_planes_and_its_endpoint_is_never_the_global_name() -> None:
    made = policy()
    definitions = build_definitions(made, {ClusterName("north-1"): Api()}, no_bundle)
    north = {item.signal: item for item in definitions if item.subject.cluster == "north-1"}
    data, control = north[Signal.DATA_PLANE], north[Signal.CONTROL_PLANE]
    assert (data.address, data.port, data.probe) == ("198.51.100.11", 443, ProbeKind.HTTPS)
    assert (data.server_name, data.host) == ("north-1.example.net", "north-1.example.net")
    assert (control.address, control.port, control.path) == ("203.0.113.7", 6443, "/readyz")
    assert (data.interval_s, data.timeout_s) == (made.fleet.timing.interval_s, made.fleet.timing.timeout_s)


def test_every_address_of_an_endpoint_is_asked() -> None:
    made = policy()
    first, *rest = made.fleet.clusters
    both = replace(first, ipv4=("198.51.100.11", "198.51.100.12"), ipv6=("2001:db8::11",))
    made = replace(made, fleet=replace(made.fleet, clusters=(both, *rest)))
    data = next(item for item in build_definitions(made, {}, no_bundle) if item.subject.cluster == first.name)
    assert [item.address for item in data.by_address()] == ["198.51.100.11", "198.51.100.12", "2001:db8::11"]
    assert all(not item.more_addresses for item in data.by_address())


def test_a_cluster_whose_api_server_is_unknown_has_no_control_plane_probe() -> None:
    definitions = build_definitions(policy(), {}, no_bundle)
    assert {item.signal for item in definitions} == {Signal.DATA_PLANE}
    assert len(definitions) == 3


def test_an_application_with_a_probe_of_its_own_is_a_subject_of_its_own() -> None:
    made = policy()
    probe = DataProbe(server_name="shop.example.test", path="/healthz", ca_file="/etc/shop.pem")
    made = replace(made, applications=(replace(made.applications[0], data_probe=probe),))
    read = {"": "", "/etc/shop.pem": "SHOP"}
    own = [item for item in build_definitions(made, {}, read.__getitem__) if item.subject.application]
    assert {item.subject.cluster for item in own} == {"north-1", "south-1", "west-1"}
    assert {(item.server_name, item.host, item.path, item.ca_pem) for item in own} == {
        ("shop.example.test", "shop.example.test", "/healthz", "SHOP")
    }


def test_a_cluster_without_an_address_is_not_asked() -> None:
    made = policy()
    bare = tuple(replace(entry, ipv4=()) for entry in made.fleet.clusters)
    assert build_definitions(replace(made, fleet=replace(made.fleet, clusters=bare)), {}, no_bundle) == ()


def test_the_hash_changes_with_everything_that_decides_the_answer_and_survives_the_wire() -> None:
    definition = build_definitions(policy(), {}, no_bundle)[0]
    others = [
        replace(definition, port=444),
        replace(definition, server_name="x.example.net"),
        replace(definition, statuses=(204,)),
        replace(definition, ca_pem="PEM"),
        replace(definition, timeout_s=2.0),
    ]
    assert len({item.definition_hash for item in [definition, *others]}) == 6
    again: ProbeDefinition = from_plain(ProbeDefinition, to_plain(definition))
    assert again == definition
    assert again.definition_hash == definition.definition_hash
    assert "token" not in canonical_json(definition).lower()
