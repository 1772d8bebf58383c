"""Who answers for a zone, and what resolvers give clients, as `failover dns verify` finds out."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from failover.dnszones.delegation import compared, servers_of
from failover.dnszones.resolving import resolver_answers
from failover.lab.nameserver import NameServer, empty_zone
from failover.model.policy import NameServer as Server
from failover.model.policy import Zone

from .worlds import APEX, ZONE, CloudDNSWorld, LabWorld, Route53World, record

SHOP = record("shop", "192.0.2.10")


@pytest.fixture
async def resolver() -> AsyncIterator[NameServer]:
    """A server that our resolvers' questions go to: it knows the zone, its name servers, and their addresses."""
    made = NameServer([empty_zone(APEX, name_servers=("ns1", "ns2"))])
    await made.start()
    for number, name in enumerate(("ns1", "ns2"), 1):
        made.set_records(APEX, name, "A", 60, f"192.0.2.{number}")
    made.set_records(APEX, "shop", "A", 60, "192.0.2.10")
    yield made
    await made.stop()


def zone(resolver: NameServer, *authoritative: str) -> Zone:
    return Zone(
        name=ZONE,
        apex=f"{APEX}.",
        authoritative=tuple(Server(address=address) for address in authoritative),
        resolvers=(Server(address=resolver.address, port=resolver.port),),
        timeout_s=2.0,
    )


async def test_every_address_of_every_name_server_is_found_and_one_that_nobody_reads_back_is_named(
    resolver: NameServer,
) -> None:
    found = await servers_of(zone(resolver, "192.0.2.1", "192.0.2.2"))
    assert found.servers == {"192.0.2.1", "192.0.2.2"}
    assert found.problems == ()
    (sentence,) = (await servers_of(zone(resolver, "192.0.2.1"))).problems
    assert "ns2.example.test. is 192.0.2.2, which is not under `authoritative`" in sentence
    (sentence,) = (await servers_of(zone(resolver, "192.0.2.1", "192.0.2.2", "192.0.2.3"))).problems
    assert "192.0.2.3 is under `authoritative`, and is no name server of example.test." in sentence
    wrong = (await servers_of(zone(resolver, "192.0.2.1", "192.0.2.3"))).problems
    assert len(wrong) == 2, "as many as there are, and not the same ones"


@pytest.mark.parametrize("provider", ["lab", "route53", "clouddns"])
@pytest.mark.parametrize("resolvers", [True, False], ids=["by resolvers", "by the zone"])
async def test_the_check_names_the_servers_that_the_policy_lacks_and_those_that_it_has_besides(
    provider: str, resolvers: bool, tmp_path: Path
) -> None:
    """Two are delegated to and two are under `authoritative`: to count them says nothing."""
    made: LabWorld | Route53World | CloudDNSWorld
    made = {"lab": LabWorld, "route53": Route53World, "clouddns": CloudDNSWorld}[provider](tmp_path)
    await made.start()
    try:
        for name, address in (("ns1", "127.0.0.1"), ("ns2", "192.0.2.53")):
            await made.outside(name, "A", 60, address)
        server, other = made.zone.authoritative
        elsewhere = replace(other, address="127.0.0.2")
        zone = made.open(
            authoritative=(server, elsewhere), resolvers=(server,) if resolvers else (), timeout_s=2.0
        )
        said = " ".join(item.sentence for item in await zone.check([(SHOP.name, "A")]))
        assert "ns2.example.test. is 192.0.2.53, which is not under `authoritative`" in said
        assert "127.0.0.2 is under `authoritative`, and is no name server of example.test" in said
        assert "127.0.0.1 is under" not in said
    finally:
        await made.close()


def test_a_name_server_without_a_known_address_could_be_any() -> None:
    made = Zone(name=ZONE, apex=f"{APEX}.", authoritative=(Server(address="192.0.2.1"),))
    assert compared(made, {"ns1": {"192.0.2.9"}, "ns2": set()}) == [
        "ns1 is 192.0.2.9, which is not under `authoritative`: clients are sent there, so it is read back at port 53 as well"
    ]


async def test_without_resolvers_nothing_is_said_and_a_silent_one_is_told(resolver: NameServer) -> None:
    assert (await servers_of(replace(zone(resolver, "192.0.2.1"), resolvers=()))).problems == ()
    resolver.faults.silent = True
    (sentence,) = (await servers_of(replace(zone(resolver, "192.0.2.1"), timeout_s=0.3))).problems
    assert "could not be found out" in sentence


async def test_a_resolver_that_still_gives_the_old_address_is_named_and_a_lower_ttl_is_its_cache(
    resolver: NameServer,
) -> None:
    (answer,) = await resolver_answers(zone(resolver, "192.0.2.1"), [replace(SHOP, ttl=300)])
    assert answer.matches, "a cached answer has less of its TTL left"
    (answer,) = await resolver_answers(zone(resolver, "192.0.2.1"), [replace(SHOP, values=("192.0.2.99",))])
    assert answer.answered
    assert "192.0.2.10" in answer.detail
    resolver.faults.silent = True
    (answer,) = await resolver_answers(replace(zone(resolver, "192.0.2.1"), timeout_s=0.3), [SHOP])
    assert not answer.answered
