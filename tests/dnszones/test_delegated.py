"""Name servers that clients are sent to and the policy does not list: read back like the others."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import dns.message
import dns.name
import pytest

from failover.dnszones import open_zones
from failover.dnszones.delegated import FOUND_FOR_S, DelegatedServers, Published
from failover.dnszones.delegation import _glue, servers_of
from failover.dnszones.limits import urgently
from failover.lab.nameserver import NameServer, empty_zone
from failover.model.ids import ZoneName
from failover.model.policy import Fleet, Policy, Zone
from failover.model.policy import NameServer as Server
from failover.model.records import RecordSet, ServerAnswer, Verification

from .worlds import (
    APEX,
    CloudDNSWorld,
    LabWorld,
    LoopClock,
    Route53World,
    Writer,
    create,
    record,
    until_effective,
)

EAST, WEST = record("shop", "192.0.2.10"), record("shop", "198.51.100.10")


class Third:
    """A zone whose NS name a server at 127.0.0.2 as well, which the policy lacks: it serves what `serves` says."""

    def __init__(self, world: LabWorld | Route53World | CloudDNSWorld) -> None:
        self.world = world
        self.server = NameServer([empty_zone(APEX)], address="127.0.0.2")

    async def start(self) -> None:
        await self.world.start()
        await self.server.start()
        await self.world.outside("ns1", "A", 60, "127.0.0.1")
        await self.world.outside("ns2", "A", 60, "127.0.0.2")

    def serves(self, item: RecordSet) -> None:
        """The whole zone as the first listed server has it, but for one record set."""
        world = self.world
        first = world.servers[0] if isinstance(world, LabWorld) else world.fake.behind.servers[0]
        self.server.take(first.content(APEX))
        self.server.set_records(APEX, item.name, "A", item.ttl, *item.values)

    def open(self, **changed: Any) -> Any:
        zone = self.world.open(timeout_s=2.0, **changed)
        zone.delegated.port = self.server.port
        return zone

    async def close(self) -> None:
        await self.server.stop()
        await self.world.close()


@pytest.fixture(params=["lab", "route53", "clouddns"])
async def third(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Third]:
    worlds = {"lab": LabWorld, "route53": Route53World, "clouddns": CloudDNSWorld}
    made = Third(worlds[request.param](tmp_path))
    await made.start()
    yield made
    await made.close()


def effective(answers: Iterable[ServerAnswer]) -> bool:
    return Verification(
        zone=ZoneName("z"), servers=tuple(answers), checked_at=LoopClock().now().wall
    ).effective


async def test_a_server_that_clients_are_sent_to_holds_a_change_up_until_it_serves_it(third: Third) -> None:
    zone, who = third.open(), Writer()
    fence = await create(zone, EAST)
    third.serves(EAST)
    await until_effective(zone, EAST)
    await zone.change(who.permit(), who.change("plan-1", (EAST, WEST), fence_before=fence))
    answers = await zone.verify([WEST])
    *listed, stale = [item for item in answers if "API" not in item.server]
    assert stale.server == f"127.0.0.2 port {third.server.port}, ns2.example.test."
    assert (stale.answered, stale.matches, stale.delegated) == (True, False, True)
    assert all(item.matches and not item.delegated for item in listed)
    assert not effective(answers), "clients are sent there, and get what was before"
    third.serves(WEST)
    await until_effective(zone, WEST)


@pytest.mark.parametrize("how", ["silent", "lame"])
async def test_one_that_gives_clients_no_answer_is_named_and_holds_nothing_up(third: Third, how: str) -> None:
    zone = third.open()
    await create(zone, EAST)
    if how == "silent":
        third.server.faults.silent = True
    else:  # it has been given the zone above: what it says of ours is without authority
        third.server._zones = {(above := empty_zone("test")).apex: above}
        third.server.set_records("test", f"{APEX}.", "NS", 60, f"ns1.{APEX}.")
    await until_listed(zone, EAST)
    answers = await zone.verify([EAST])
    assert effective(answers)
    (said,) = (item for item in answers if item.delegated)
    assert not said.answered
    assert said.detail


async def until_listed(zone: Any, item: RecordSet) -> None:
    """Until the policy's own servers have it."""
    while not all(answer.matches for answer in await zone.verify([item]) if not answer.delegated):
        pass


@pytest.mark.parametrize("third", ["route53", "clouddns"], indirect=True)
async def test_what_a_provider_says_of_its_name_servers_may_be_anything_and_breaks_no_read_back(
    third: Third, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = third.open()
    await create(zone, EAST)
    monkeypatch.setattr(zone, "_describe", lambda: ((5, None), ()))
    assert effective(await zone.verify([EAST]))
    third.world.fake.faults.garbage = True  # type: ignore[union-attr]
    other = third.open()
    assert effective([item for item in await other.verify([EAST]) if "API" not in item.server])


async def test_the_check_names_a_lame_one(third: Third) -> None:
    zone = third.open()
    third.server.faults.silent = True
    said = " ".join(item.sentence for item in await zone.check([(EAST.name, "A")]) if item.warning)
    assert f"127.0.0.2 port {third.server.port}, ns2.example.test." in said


def asking(found: list[Server]) -> Any:
    """Who is asked; each answers as wanted."""

    async def ask(server: Server, whole: bool) -> ServerAnswer:
        found.append(server)
        name = f"{server.address} port {server.port}"
        return ServerAnswer(
            server=name, answered=True, matches=whole, serial=7, detail="" if whole else "old"
        )

    return ask


def delegated(zone: Zone, clock: list[float], *published: dict[str, str], own: bool = False) -> Any:
    """`published`: what the zone names at each look, the last for ever."""
    looks = list(published)

    async def look() -> Published:
        now = looks.pop(0) if len(looks) > 1 else looks[0]
        return Published(addresses={n: frozenset({a} if a else ()) for n, a in now.items()}, own=own)

    return DelegatedServers(zone, mono=lambda: clock[0], published=look)


LISTED = Zone(
    name=ZoneName("z"), apex=f"{APEX}.", authoritative=(Server(address="192.0.2.1"),), timeout_s=0.3
)


async def test_a_delegation_is_looked_up_now_and_then_and_never_in_a_failover() -> None:
    clock, asked = [1000.0], list[Server]()
    found = delegated(LISTED, clock, {"ns.": "192.0.2.2"}, {"ns.": "192.0.2.3"})
    for _ in range(2):
        await found.answers(asking(asked))
    clock[0] += FOUND_FOR_S + 1
    with urgently():
        await found.answers(asking(asked))
    assert [item.address for item in asked] == ["192.0.2.2"] * 3
    await found.answers(asking(asked))
    assert asked[-1].address == "192.0.2.3"


async def test_a_failover_waits_for_no_search_that_is_under_way() -> None:
    clock, gate, asked = [1000.0], asyncio.Event(), list[Server]()
    found = delegated(LISTED, clock, {"ns.": "192.0.2.2"})
    await found.answers(asking(asked))
    clock[0] += FOUND_FOR_S + 1

    async def hangs() -> Published:
        gate.set()
        await asyncio.sleep(600)
        raise AssertionError("it is not waited for")

    found._published = hangs
    looking = asyncio.create_task(found.answers(asking(asked)))
    await gate.wait()
    with urgently():
        (answer,) = await found.answers(asking(asked))
    assert answer.matches
    assert not looking.done()
    await looking  # its search ends by its own deadline, and what was known holds
    assert [item.address for item in asked] == ["192.0.2.2"] * 3


async def test_what_another_provider_of_the_zone_lists_is_that_ones_and_what_nobody_lists_is_unknown() -> (
    None
):
    other = replace(LISTED, name=ZoneName("other"), authoritative=(Server(address="192.0.2.2"),))
    names = {"ns1.": "192.0.2.1", "ns2.": "192.0.2.2", "ns3.": "192.0.2.3"}
    asked = list[Server]()
    shared = delegated(LISTED, [0.0], names)
    shared.beside((other,))
    (answer,) = await shared.answers(asking(asked))
    assert [item.address for item in asked] == ["192.0.2.3"]
    assert not answer.answered
    assert "whose server it is cannot be told" in answer.detail
    own = delegated(LISTED, [0.0], names, own=True)
    own.beside((other,))
    (answer,) = await own.answers(asking(asked))
    assert answer.matches, "a provider's API says which are its own"


async def test_zones_of_one_apex_know_of_each_other(tmp_path: Path) -> None:
    world = LabWorld(tmp_path)
    await world.start()
    other = replace(world.zone, name=ZoneName("other"), authoritative=(Server(address="192.0.2.2"),))
    fleet = Fleet(name="f", clusters=(), vantages=())
    zones = open_zones(Policy(generation="0" * 16, fleet=fleet, zones=(world.zone, other)), LoopClock())
    assert zones[world.zone.name].delegated._elsewhere == {"192.0.2.2"}  # type: ignore[attr-defined]
    assert zones[other.name].delegated._elsewhere == {"127.0.0.1"}  # type: ignore[attr-defined]
    await world.close()


async def test_where_nobody_can_say_who_answers_for_a_zone_that_is_a_silent_row() -> None:
    server = NameServer([])
    await server.start()
    server.faults.silent = True
    zone = replace(LISTED, resolvers=(Server(address=server.address, port=server.port),))
    (answer,) = await delegated(zone, [0.0], {"ns.": ""}).answers(asking([]))
    assert not answer.answered
    assert answer.delegated
    assert answer.server == "name servers of example.test."
    await server.stop()


async def test_a_name_server_without_an_address_is_named_where_resolvers_could_have_told() -> None:
    assert await delegated(LISTED, [0.0], {"ns.": ""}).answers(asking([])) == ()
    server = NameServer([empty_zone(APEX)])
    await server.start()
    zone = replace(LISTED, resolvers=(Server(address=server.address, port=server.port),))
    (answer,) = await delegated(zone, [0.0], {}).answers(asking([]))
    assert answer.server == "ns1.example.test."
    assert "no address" in answer.detail
    await server.stop()


async def test_the_parent_is_the_zone_with_the_cut_however_far_above() -> None:
    """`a.b.test` is delegated by `test`, which has no zone `b.test` between."""
    apex = dns.name.from_text("a.b.test.")
    parent = NameServer([empty_zone("test")], address="127.0.0.2")
    await parent.start()
    parent.set_records("test", "a.b", "NS", 60, "ns9.test.")
    resolver = NameServer(
        [empty_zone("test", address="127.0.0.2"), empty_zone("a.b.test", address="192.0.2.1")]
    )
    await resolver.start()
    resolver.set_records("test", "ns9", "A", 60, "192.0.2.9")
    zone = Zone(
        name=ZoneName("z"),
        apex=apex.to_text(),
        authoritative=(Server(address="192.0.2.1"),),
        resolvers=(Server(address=resolver.address, port=resolver.port),),
        timeout_s=1.0,
    )
    resolver.set_records("test", "ns1", "A", 60, "127.0.0.2", "127.0.0.3")  # nobody is at the second
    found = await servers_of(zone, port=parent.port)
    assert found.servers == {"192.0.2.1", "192.0.2.9"}
    assert any("the parent delegates a.b.test. to ns9.test." in item for item in found.problems)
    await resolver.stop()
    await parent.stop()


def test_glue_counts_beside_what_resolvers_say() -> None:
    answer = dns.message.from_text(
        "id 1\nopcode QUERY\nrcode NOERROR\nflags QR\n;QUESTION\na.test. IN NS\n;AUTHORITY\na.test. 60 IN NS ns.a.test.\n"
        ";ADDITIONAL\nns.a.test. 60 IN A 192.0.2.7\nns.a.test. 60 IN AAAA 2001:db8::7\nother.test. 60 IN A 192.0.2.8\n"
    )
    assert _glue(answer, dns.name.from_text("ns.a.test.")) == {"192.0.2.7", "2001:db8::7"}
