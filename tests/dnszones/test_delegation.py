"""Who answers for a zone, and what resolvers give clients, as `failover dns verify` finds out."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from failover.dnszones.delegation import servers_of
from failover.dnszones.resolving import resolver_answers
from failover.lab.nameserver import NameServer, empty_zone
from failover.model.policy import NameServer as Server
from failover.model.policy import Zone

from .worlds import APEX, ZONE, record

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
