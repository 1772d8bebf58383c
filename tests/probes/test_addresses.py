"""Where a data-plane probe may go: policies come from many teams, and a probe is a request sent from our network."""

import pytest

from failover.model.observation import Outcome, ProbeKind
from failover.probes.addresses import refusal_of
from failover.probes.prober import ProberSet
from tests.probes.servers import definition, site

EVERYTHING = ("0.0.0.0/0", "::/0")


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "169.254.0.1", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254"],
)
def test_link_local_and_metadata_addresses_are_refused_whatever_is_allowed(address: str) -> None:
    assert "link-local" in refusal_of(address, EVERYTHING)


@pytest.mark.parametrize("address", ["224.0.0.1", "ff02::1", "0.0.0.0", "::"])
def test_only_one_host_at_a_time_is_probed(address: str) -> None:
    assert "not a unicast address" in refusal_of(address, EVERYTHING)


@pytest.mark.parametrize("address", ["north-1.example.net", "", "127.1", "10.0.0.1/8", "0x7f000001"])
def test_only_literal_addresses_are_probed(address: str) -> None:
    assert "not a literal IP address" in refusal_of(address, EVERYTHING)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("127.0.0.1", "127.0.0.0/8"),
        ("::1", "::1/128"),
        ("10.1.2.3", "10.1.0.0/16"),
        ("192.168.7.7", "192.168.0.0/16"),
        ("fd12::1", "fd12::/16"),
        ("100.100.100.200", "100.64.0.0/10"),
        ("::ffff:10.1.2.3", "10.1.0.0/16"),
    ],
)
def test_private_and_loopback_addresses_only_where_the_fleet_allows_them(address: str, allowed: str) -> None:
    assert "probes.allowCidrs does not name" in refusal_of(address, ())
    assert "probes.allowCidrs does not name" in refusal_of(address, ("172.16.0.0/12", "fd99::/16"))
    assert refusal_of(address, (allowed,)) == ""


@pytest.mark.parametrize("address", ["8.8.8.8", "2a00:1450::1", "198.51.100.11", "2001:db8::7"])
def test_public_and_documentation_addresses_may_be_probed(address: str) -> None:
    assert refusal_of(address, ()) == ""


@pytest.mark.parametrize("probe", [ProbeKind.HTTP, ProbeKind.HTTPS, ProbeKind.TCP])
async def test_a_refused_address_is_our_fault_and_nothing_is_sent(probe: ProbeKind) -> None:
    prober = ProberSet()
    async with site() as there:
        result = await prober.probe(definition(there.port, probe))
    await prober.close()
    assert result.outcome is Outcome.LOCAL
    assert "probes.allowCidrs" in result.detail
    assert there.asked == []
