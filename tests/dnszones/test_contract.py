"""The contract of DNSZone, word for word the same on the twin, the lab's servers, BIND, Knot, PowerDNS and the stand-ins."""

import asyncio
from dataclasses import replace

import pytest

from failover.model.errors import Conflict, FencedOff, Rejected, Unavailable
from failover.model.ids import ApplicationName
from failover.model.records import CAPABILITIES, RecordSet, RecordType

from .worlds import (
    SHOP,
    LaggingWorld,
    TwinWorld,
    World,
    Writer,
    ask_on,
    create,
    record,
    until_effective,
    values_at,
)

EAST, WEST, NORTH = "192.0.2.10", "198.51.100.10", "203.0.113.10"


async def test_a_first_change_creates_names_and_fence_and_every_server_answers_them(world: World) -> None:
    zone = world.open()
    shop = record("shop", EAST, WEST)
    fence = await create(zone, shop)
    state = await zone.read([shop, ("absent.example.test.", "A")], [SHOP, ApplicationName("other")])
    assert state.record_sets == (shop,)
    assert [item.text for item in state.fences] == [fence.text]
    assert state.find("absent.example.test.", RecordType.A) is None
    await until_effective(zone, shop)
    answers = await zone.verify([shop])
    assert len(answers) == 2
    assert all(answer.answered and answer.serial for answer in answers)


async def test_a_move_replaces_the_whole_set_and_its_ttl(world: World) -> None:
    zone = world.open()
    before, after = record("shop", EAST, WEST, ttl=300), record("shop", WEST, ttl=30)
    fence = await create(zone, before)
    who = Writer()
    await zone.change(who.permit(), who.change("plan-1", (before, after), fence_before=fence))
    assert (await zone.read([after], [SHOP])).record_sets == (after,)
    await until_effective(zone, after)


async def test_every_managed_type_moves_in_one_update(world: World) -> None:
    zone = world.open()
    sets = (
        record("shop", EAST, WEST),
        record("shop", "2001:db8::10", "2001:db8::20", kind=RecordType.AAAA),
        record("www", "shop.example.net.", kind=RecordType.CNAME),
    )
    await create(zone, *sets)
    state = await zone.read(sets, [SHOP])
    assert set(state.record_sets) == set(sets)
    await until_effective(zone, *sets)


@pytest.mark.parametrize(
    "believed", [(NORTH,), (EAST,), (EAST, WEST, NORTH)], ids=["other", "subset", "more"]
)
async def test_anything_but_the_exact_old_set_is_a_conflict(world: World, believed: tuple[str, ...]) -> None:
    zone = world.open()
    actual = record("shop", EAST, WEST)
    fence = await create(zone, actual)
    who = Writer()
    change = who.change("plan-1", (record("shop", *believed), record("shop", NORTH)), fence_before=fence)
    with pytest.raises(Conflict, match=r"shop\.example\.test\. A"):
        await zone.change(who.permit(), change)
    state = await zone.read([actual], [SHOP])
    assert state.record_sets == (actual,)
    assert state.fences == (fence,)


async def test_one_stale_name_among_many_changes_none(world: World) -> None:
    zone = world.open()
    names = [record(f"shop{number}", EAST) for number in range(5)]
    fence = await create(zone, *names)
    await world.outside("shop3", "A", 60, NORTH)
    who = Writer()
    moves = [(item, replace(item, values=(WEST,))) for item in names]
    with pytest.raises(Conflict, match="shop3"):
        await zone.change(who.permit(), who.change("plan-1", *moves, fence_before=fence))
    held = await values_at(zone, names)
    assert held == {item.name: (NORTH,) if "shop3" in item.name else (EAST,) for item in names}


async def test_a_name_that_must_not_exist_and_does_is_a_conflict(world: World) -> None:
    zone = world.open()
    await world.outside("shop", "A", 60, EAST)
    who = Writer()
    with pytest.raises(Conflict):
        await zone.change(who.permit(), who.change("plan-1", (None, record("shop", WEST))))
    assert await values_at(zone, [record("shop")]) == {"shop.example.test.": (EAST,)}


async def test_a_cname_where_an_address_shall_be_is_seen_and_never_passed_over(world: World) -> None:
    zone = world.open()
    await world.outside("shop", "CNAME", 60, "old.example.net.")
    state = await zone.read([("shop.example.test.", "A")], [])
    assert state.find("shop.example.test.", RecordType.A) is None
    assert state.find("shop.example.test.", RecordType.CNAME) is not None
    who = Writer()
    with pytest.raises(Conflict, match="CNAME"):
        await zone.change(who.permit(), who.change("plan-1", (None, record("shop", WEST))))
    problems = await zone.check([("shop.example.test.", "A")])
    assert any("CNAME" in problem.sentence and not problem.warning for problem in problems)


async def test_an_address_where_a_cname_shall_be_is_a_conflict(world: World) -> None:
    zone = world.open()
    await world.outside("shop", "A", 60, EAST)
    who = Writer()
    wanted = record("shop", "new.example.net.", kind=RecordType.CNAME)
    with pytest.raises(Conflict):
        await zone.change(who.permit(), who.change("plan-1", (None, wanted)))
    assert await values_at(zone, [record("shop")]) == {"shop.example.test.": (EAST,)}


async def test_a_stale_leader_is_fenced_off(world: World) -> None:
    zone = world.open()
    shop, moved = record("shop", EAST), record("shop", WEST)
    old, new = Writer(epoch=1, holder="controller-a"), Writer(epoch=2, holder="controller-b")
    first = await create(zone, shop, writer=old)
    await zone.change(new.permit(), new.change("plan-1", (shop, shop), fence_before=first))
    with pytest.raises(FencedOff, match="epoch 2"):
        await zone.change(old.permit(), old.change("plan-2", (shop, moved), fence_before=first))
    with pytest.raises(FencedOff, match="epoch 2"):
        await zone.change(old.permit(), old.change("plan-2", (shop, moved), fence_before=new.fence("plan-1")))
    assert await values_at(zone, [shop]) == {"shop.example.test.": (EAST,)}


@pytest.mark.parametrize("honest", [True, False], ids=["fence read", "fence ignored"])
@pytest.mark.parametrize(
    ("other", "sentence"),
    [(Writer(owner="fleet-2"), "belongs to fleet-2"), (Writer(holder="controller-b"), "holds our epoch")],
    ids=["owner", "holder"],
)
async def test_a_fence_of_another_owner_or_holder_shuts_us_out(
    world: World, other: Writer, sentence: str, honest: bool
) -> None:
    zone = world.open()
    shop = record("shop", EAST)
    theirs = await create(zone, shop, writer=other)
    who = Writer()
    change = who.change("plan-1", (shop, record("shop", WEST)), fence_before=theirs if honest else None)
    with pytest.raises(FencedOff, match=sentence):
        await zone.change(who.permit(), change)
    assert await values_at(zone, [shop]) == {"shop.example.test.": (EAST,)}


async def test_an_expired_permit_sends_nothing(world: World) -> None:
    zone = world.open()
    shop = record("shop", EAST)
    before = (await zone.read([shop], [])).serial
    who = Writer()
    with pytest.raises(Unavailable, match="expired"):  # our lease ended: that says nothing of a newer leader
        await zone.change(who.permit(seconds=0), who.change("plan-1", (None, shop)))
    assert (await zone.read([shop], [])).serial == before


async def test_what_must_never_be_sent_is_rejected(world: World) -> None:
    zone = world.open()
    who = Writer()
    shop = record("shop", EAST)
    unsound = {
        "never empty": who.change("p", (shop, replace(shop, values=()))),
        "outside the zone": who.change("p", (None, record("shop", EAST, apex="example.org"))),
        "another name or type": who.change("p", (record("www", EAST), shop)),
        "twice": who.change("p", (None, shop), (None, record("shop", WEST))),
        "never at the apex": who.change(
            "p",
            (
                None,
                RecordSet(name="example.test.", record_type=RecordType.CNAME, ttl=60, values=("a.test.",)),
            ),
        ),
        "not a value": who.change("p", (None, record("shop", "not-an-address"))),
        "no record set": who.change("p"),
    }
    for sentence, change in unsound.items():
        with pytest.raises(Rejected, match=sentence):
            await zone.change(who.permit(), change)
    with pytest.raises(Rejected, match="permit"):
        await zone.change(replace(who.permit(), target="another"), who.change("p", (None, shop)))
    with pytest.raises(Rejected, match="epoch"):
        await zone.change(Writer(epoch=7).permit(), who.change("p", (None, shop)))
    for kind in ("NS", "SOA", "DS", "MX"):
        with pytest.raises(Rejected, match="never read or changed"):
            await zone.read([("example.test.", kind)], [])
    assert (await zone.read([shop], [SHOP])).record_sets == ()


async def test_names_without_a_fence_are_claimed_only_where_the_policy_adopts(world: World) -> None:
    await world.outside("shop", "A", 60, EAST)
    shop, moved, who = record("shop", EAST), record("shop", WEST), Writer()
    strict = world.open(adopt=False)
    with pytest.raises(Rejected, match="adopt"):
        await strict.change(who.permit(), who.change("plan-1", (shop, moved)))
    zone = world.open(adopt=True)
    await zone.change(who.permit(), who.change("plan-1", (shop, moved)))
    assert await values_at(zone, [shop]) == {"shop.example.test.": (WEST,)}


async def test_as_many_names_as_told_fit_one_change_and_too_many_are_refused_with_their_number(
    world: World,
) -> None:
    zone = world.open(timeout_s=10.0)
    able = zone.capabilities.atomic_names
    names = [record(f"shop{number}", EAST) for number in range(able)]
    fence = await create(zone, *names)
    who = Writer()
    moves = [(item, replace(item, values=(NORTH,))) for item in names]
    await zone.change(who.permit(), who.change("plan-1", *moves, fence_before=fence))
    held = await values_at(zone, names)
    assert len(held) == able
    assert set(held.values()) == {(NORTH,)}
    many = [(None, record(f"more{number}", EAST, WEST)) for number in range(2000)]
    with pytest.raises(Rejected, match="2000 names do not fit"):
        await zone.change(who.permit(), who.change("plan-2", *many, fence_before=who.fence("plan-1")))


async def test_twelve_writers_race_and_one_wins_each_round(world: World) -> None:
    """Every controller believes the same: one compare-and-swap lands, the readers never see anything in between."""
    zones = [world.open(timeout_s=5.0) for _ in range(12)]
    reader = world.open(timeout_s=5.0)
    current = record("shop", "192.0.2.100", "192.0.2.200")
    fence = await create(zones[0], current)
    allowed = {current.values}
    seen: list[tuple[str, ...]] = []
    stop = asyncio.Event()

    async def read_on() -> None:
        while not stop.is_set():
            state = await reader.read([current], [SHOP])
            seen.append(state.record_sets[0].values if state.record_sets else ())
            await asyncio.sleep(0)

    await until_effective(zones[0], current)
    # By DNS too, at every server: the twin alone has none.
    servers = () if isinstance(world, TwinWorld) else world.zone.authoritative
    counts = [[0, 0] for _ in servers]
    asking = [
        ask_on(server, current.name, allowed, stop, count)
        for server, count in zip(servers, counts, strict=True)
    ]
    reading, who = asyncio.gather(read_on(), *asking), Writer()
    for turn in range(5):
        wanted = [record("shop", f"192.0.2.{number}", f"198.51.100.{turn + 1}") for number in range(12)]
        allowed |= {item.values for item in wanted}
        results = await asyncio.gather(
            *(
                zone.change(
                    who.permit(),
                    who.change(f"plan-{turn}-{number}", (current, item), fence_before=fence),
                )
                for number, (zone, item) in enumerate(zip(zones, wanted, strict=True))
            ),
            return_exceptions=True,
        )
        winners = [number for number, result in enumerate(results) if result is None]
        losers = [result for result in results if result is not None]
        assert len(winners) == 1, results
        assert all(isinstance(result, Conflict) for result in losers), losers
        current, fence = wanted[winners[0]], who.fence(f"plan-{turn}-{winners[0]}")
        state = await reader.read([current], [SHOP])
        assert state.record_sets == (current,)
        assert state.fences == (fence,)
    stop.set()
    await reading
    assert seen
    assert set(seen) <= allowed
    assert all(answers and not wrong for answers, wrong in counts), counts


async def test_a_sound_zone_passes_the_check_and_is_unchanged_by_it(world: World) -> None:
    zone = world.open()
    shop = record("shop", EAST)
    await create(zone, shop)
    await until_effective(zone, shop)
    before = await zone.read([shop], [SHOP])
    assert await zone.check([("shop.example.test.", "A"), ("new.example.test.", "AAAA")]) == ()
    after = await zone.read([shop], [SHOP])
    assert replace(after, read_mono=0.0) == replace(before, read_mono=0.0)


async def test_the_check_names_what_lies_outside(world: World) -> None:
    problems = await world.open().check([("shop.example.org.", "A")])
    assert any("outside" in problem.sentence for problem in problems)


async def test_weights_are_kept_where_there_are_any_and_refused_where_not(world: World) -> None:
    zone = world.open()
    who = Writer()
    plain = record("shop", EAST, WEST)
    weighted = replace(plain, weights=(5, 95))
    if not zone.capabilities.weights:
        with pytest.raises(Rejected, match="plain record sets without weights"):
            await zone.change(who.permit(), who.change("plan-1", (None, weighted)))
        return
    await zone.change(who.permit(), who.change("plan-1", (None, weighted)))
    assert (await zone.read([plain], [SHOP])).record_sets == (weighted,)
    await until_effective(zone, weighted)
    with pytest.raises(Rejected, match="equal split"):
        await zone.change(
            who.permit(),
            who.change(
                "plan-2", (weighted, replace(plain, weights=(0, 0))), fence_before=who.fence("plan-1")
            ),
        )
    moved = replace(plain, weights=(50, 50))
    stale = replace(plain, weights=(10, 90))
    with pytest.raises(Conflict, match="shop"):
        await zone.change(
            who.permit(), who.change("plan-2", (stale, moved), fence_before=who.fence("plan-1"))
        )
    await zone.change(who.permit(), who.change("plan-2", (weighted, moved), fence_before=who.fence("plan-1")))
    assert (await zone.read([plain], [SHOP])).record_sets == (moved,)
    answers = await zone.verify([weighted])
    assert any("other weights" in answer.detail for answer in answers)
    await zone.change(who.permit(), who.change("plan-3", (moved, plain), fence_before=who.fence("plan-2")))
    assert (await zone.read([plain], [SHOP])).record_sets == (plain,)


@pytest.mark.parametrize("known", ["by the writer", "by a reader"])
async def test_a_server_that_has_yet_to_pass_through_another_change_does_not_serve_the_one_after(
    lagging: LaggingWorld, known: str
) -> None:
    """There and back: a lagging server still gives what is wanted, and will give the other for a while."""
    zone, who = lagging.open(), Writer()
    home, away = record("shop", EAST), record("shop", WEST)
    first = await create(zone, home)
    await until_effective(zone, home)
    lagging.set_lag(1.5)
    await zone.change(who.permit(), who.change("plan-1", (home, away), fence_before=first))
    await zone.change(who.permit(), who.change("plan-2", (away, home), fence_before=who.fence("plan-1")))
    if known == "by a reader":  # a standby that takes over, or our own process, started again
        zone = lagging.open()
        assert (await zone.read([home], [SHOP])).fences == (who.fence("plan-2"),)
    last = (await zone.verify([home]))[1]
    assert last.answered
    assert not last.matches, "it gives the other address next"
    assert "lags" in last.detail
    lagging.set_lag(0.0)
    await until_effective(zone, home)


async def test_a_fence_of_a_newer_epoch_at_the_servers_is_no_lag(lagging: LaggingWorld) -> None:
    zone, other = lagging.open(), lagging.open()
    shop, old, new = record("shop", EAST), Writer(epoch=1), Writer(epoch=2, holder="controller-b")
    first = await create(zone, shop, writer=old)
    await until_effective(zone, shop)
    await other.change(new.permit(), new.change("plan-1", (shop, shop), fence_before=first))
    await until_effective(other, shop)
    assert all(answer.matches for answer in await zone.verify([shop]))


async def test_capabilities_are_those_that_a_policy_is_checked_against(world: World) -> None:
    assert world.open().capabilities == CAPABILITIES[world.zone.provider]


async def test_the_resolvers_that_the_policy_names_are_asked_for_what_they_give(world: World) -> None:
    """Here the name servers themselves stand in for resolvers: what they hold is what they give."""
    zone = world.open(resolvers=world.zone.authoritative)
    shop = record("shop", EAST, WEST)
    await create(zone, shop)
    await until_effective(zone, shop)
    answers = await zone.ask_resolvers([shop])
    assert [answer.matches for answer in answers] == [True] * len(world.zone.authoritative)
    assert all(answer.server.startswith("resolver ") for answer in answers)
    wanted = record("shop", "203.0.113.77")
    assert [answer.matches for answer in await zone.ask_resolvers([wanted])] == [False] * len(answers)
    assert await world.open(resolvers=()).ask_resolvers([shop]) == ()
