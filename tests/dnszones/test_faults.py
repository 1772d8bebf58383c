"""What a zone does when its name servers do not do what they should: unknown is never down, never failed, never empty."""

import asyncio
from dataclasses import replace

import pytest

from failover.model.errors import Conflict, LocalFault, OutcomeUnknown, Rejected, Unavailable
from failover.model.ports import DNSZone
from failover.model.records import FenceRecord

from .worlds import SHOP, FaultyWorld, Writer, create, record, until_effective, values_at

EAST, WEST = "192.0.2.10", "198.51.100.10"
SHOP_EAST, SHOP_WEST = record("shop", EAST), record("shop", WEST)


async def test_a_change_whose_answer_is_lost_is_unknown_and_a_read_tells_that_it_landed(
    faulty: FaultyWorld,
) -> None:
    zone, who = faulty.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    faulty.faults(0).lose_answers = 1
    change = who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    with pytest.raises(OutcomeUnknown):
        await zone.change(who.permit(), change)
    state = await zone.read([SHOP_EAST], [SHOP])
    assert state.record_sets == (SHOP_WEST,)
    assert state.fence(SHOP) == change.fence_after
    with pytest.raises(Conflict):  # a blind retry does no harm
        await zone.change(who.permit(), change)
    assert (await zone.read([SHOP_EAST], [SHOP])).serial == state.serial


async def test_a_change_that_never_arrived_is_unknown_too_and_may_be_sent_again(faulty: FaultyWorld) -> None:
    zone, who = faulty.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    faulty.faults(0).drop_updates = 1
    change = who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    with pytest.raises(OutcomeUnknown):
        await zone.change(who.permit(), change)
    state = await zone.read([SHOP_EAST], [SHOP])
    assert state.record_sets == (SHOP_EAST,)
    assert state.fence(SHOP) == fence
    await zone.change(who.permit(), change)
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: (WEST,)}


async def test_a_primary_that_refuses_updates_is_named_before_and_at_the_change(faulty: FaultyWorld) -> None:
    zone, who = faulty.open(), Writer()
    faulty.faults(0).refuse_updates = True
    problems = await zone.check([(SHOP_EAST.name, "A")])
    assert any("refuses updates" in problem.sentence for problem in problems)
    with pytest.raises(Rejected, match="REFUSED"):
        await zone.change(who.permit(), who.change("plan-1", (None, SHOP_EAST)))


async def test_servfail_is_neither_empty_nor_failed(faulty: FaultyWorld) -> None:
    zone, who = faulty.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    faulty.faults(0).servfail = True
    with pytest.raises(Unavailable, match="SERVFAIL"):
        await zone.read([SHOP_EAST], [SHOP])
    with pytest.raises(OutcomeUnknown, match="SERVFAIL"):
        await zone.change(who.permit(), who.change("p", (SHOP_EAST, SHOP_WEST), fence_before=fence))
    answers = await zone.verify([SHOP_EAST])
    assert [answer.answered for answer in answers] == [False, True]


async def test_a_silent_primary_is_an_error_of_reading_and_unknown_when_changing(faulty: FaultyWorld) -> None:
    zone, who = faulty.open(), Writer()
    faulty.faults(0).silent = True
    with pytest.raises(Unavailable):
        await zone.read([SHOP_EAST], [SHOP])
    with pytest.raises(OutcomeUnknown):
        await zone.change(who.permit(), who.change("plan-1", (None, SHOP_EAST)))
    faulty.faults(0).silent = False
    assert (await zone.read([SHOP_EAST], [SHOP])).record_sets == ()


async def test_a_stopped_primary_was_never_sent_anything(faulty: FaultyWorld) -> None:
    zone, who = faulty.open(), Writer()
    await zone.read([SHOP_EAST], [SHOP])  # a kept connection must not make it unknown
    await faulty.stop_server(0)
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await zone.read([SHOP_EAST], [SHOP])
    with pytest.raises(Unavailable):
        await zone.change(who.permit(), who.change("plan-1", (None, SHOP_EAST)))


async def test_a_primary_that_says_yes_and_does_nothing_is_found_out(faulty: FaultyWorld) -> None:
    zone, who = faulty.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    faulty.faults(0).ignore_updates = True
    with pytest.raises(OutcomeUnknown, match="accepted"):
        await zone.change(who.permit(), who.change("p", (SHOP_EAST, SHOP_WEST), fence_before=fence))
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: (EAST,)}


async def test_throttling_is_unknown_and_passes(faulty: FaultyWorld) -> None:
    zone, who = faulty.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    faulty.faults(0).updates_per_s = 1
    sets, landed, throttled = [SHOP_EAST, SHOP_WEST], 0, 0
    for turn in range(4):
        change = who.change(f"plan-{turn}", (sets[0], sets[1]), fence_before=fence)
        try:
            await zone.change(who.permit(), change)
        except OutcomeUnknown:
            throttled += 1
        else:
            landed, fence, sets = landed + 1, change.fence_after, sets[::-1]
    assert throttled
    assert landed
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: sets[0].values}


async def test_a_clock_that_is_off_is_our_fault(faulty: FaultyWorld) -> None:
    zone, who = faulty.open(), Writer()
    faulty.faults(0).clock_offset_s = 3600
    with pytest.raises(LocalFault, match="clock"):
        await zone.change(who.permit(), who.change("plan-1", (None, SHOP_EAST)))
    with pytest.raises(LocalFault, match="clock"):
        await zone.read([SHOP_EAST], [SHOP])


async def test_a_key_that_the_server_does_not_take_is_our_fault(faulty: FaultyWorld) -> None:
    zone, who = faulty.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    faulty.faults(0).rejects_key = True
    with pytest.raises(LocalFault, match="BADSIG"):
        await zone.change(who.permit(), who.change("p", (SHOP_EAST, SHOP_WEST), fence_before=fence))
    with pytest.raises(LocalFault, match="BADSIG"):
        await zone.read([SHOP_EAST], [SHOP])
    faulty.faults(0).rejects_key = False
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: SHOP_EAST.values}, "nothing was changed"


async def test_a_lagging_secondary_keeps_a_change_from_being_effective(faulty: FaultyWorld) -> None:
    zone, who = faulty.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    faulty.faults(1).frozen_content = True
    await zone.verify([SHOP_EAST])
    await zone.change(who.permit(), who.change("p", (SHOP_EAST, SHOP_WEST), fence_before=fence))
    primary, secondary = await zone.verify([SHOP_WEST])
    assert primary.matches
    assert secondary.answered
    assert not secondary.matches
    assert "lags" in secondary.detail
    assert secondary.serial is not None
    assert primary.serial is not None
    assert secondary.serial < primary.serial


async def test_a_secondary_catches_up_after_its_lag(faulty: FaultyWorld) -> None:
    zone = faulty.open()
    faulty.set_lag(0.2)
    await create(zone, SHOP_EAST)
    first = await zone.verify([SHOP_EAST])
    assert [answer.matches for answer in first] == [True, False]
    await until_effective(zone, SHOP_EAST)


async def away_and_home(zone: DNSZone, who: Writer, fence: FenceRecord) -> None:
    """Two changes, after which the name is where it was."""
    away = who.change("away", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    await zone.change(who.permit(), away)
    home = who.change("home", (SHOP_WEST, SHOP_EAST), fence_before=away.fence_after)
    await zone.change(who.permit(), home)


async def test_a_secondary_that_still_serves_what_was_there_two_changes_ago_has_not_got_it(
    faulty: FaultyWorld,
) -> None:
    """Away and home again: the same addresses, and yet clients would be sent away once more before they come home."""
    zone, who = faulty.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    await until_effective(zone, SHOP_EAST)
    faulty.faults(1).frozen_content = True
    await zone.verify([SHOP_EAST])
    await away_and_home(zone, who, fence)
    for port in (zone, faulty.open()):  # the second has just started, and knows of no change of its own
        primary, secondary = await port.verify([SHOP_EAST])
        assert primary.matches
        assert secondary.answered
        assert not secondary.matches
        assert "lags" in secondary.detail


async def test_who_leads_again_does_not_measure_servers_by_a_change_of_its_own_from_before(
    faulty: FaultyWorld,
) -> None:
    """Another leader moved the name away and home since: a secondary that has neither gives the right address all the same."""
    ours, theirs, who = faulty.open(), faulty.open(), Writer()
    fence = await create(ours, SHOP_EAST)
    await until_effective(ours, SHOP_EAST)
    faulty.faults(1).frozen_content = True
    await ours.verify([SHOP_EAST])
    await away_and_home(theirs, who, fence)
    ours.forget()
    primary, secondary = await ours.verify([SHOP_EAST])
    assert primary.matches
    assert not secondary.matches
    assert "lags" in secondary.detail


@pytest.mark.parametrize("how", ["silent", "stopped", "servfail"])
async def test_a_silent_secondary_is_named_and_holds_nothing_up(faulty: FaultyWorld, how: str) -> None:
    zone = faulty.open()
    await create(zone, SHOP_EAST)
    if how == "stopped":
        await faulty.stop_server(1)
    else:
        setattr(faulty.faults(1), how, True)
    primary, secondary = await zone.verify([SHOP_EAST])
    assert primary.matches
    assert not secondary.answered
    assert not secondary.matches
    assert secondary.detail
    server = faulty.zone.authoritative[1]
    assert secondary.server == f"{server.address} port {server.port}"
    problems = await zone.check([(SHOP_EAST.name, "A")])
    assert any(problem.warning and secondary.server in problem.sentence for problem in problems)


async def test_a_wrong_ttl_or_a_missing_set_does_not_match(faulty: FaultyWorld) -> None:
    zone = faulty.open()
    await create(zone, SHOP_EAST)
    for wanted in (replace(SHOP_EAST, ttl=61), record("absent", EAST), SHOP_WEST):
        answers = await zone.verify([wanted])
        assert all(answer.answered and not answer.matches for answer in answers)
