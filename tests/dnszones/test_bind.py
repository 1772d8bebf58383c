"""BIND beyond the contract: keys and clocks, frozen servers, and other people's tools beside us."""

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import dns.asyncquery
import dns.exception
import dns.message
import pytest

from failover.lab.nameserver import new_key
from failover.model.errors import Conflict, LocalFault, OutcomeUnknown, Rejected, Unavailable
from failover.model.policy import NameServer

from .worlds import (
    APEX,
    SHOP,
    BindWorld,
    Writer,
    create,
    record,
    until_effective,
    values_at,
    write_key,
)

EAST, WEST, NORTH = "192.0.2.10", "198.51.100.10", "203.0.113.10"
SHOP_EAST, SHOP_WEST = record("shop", EAST), record("shop", WEST)


async def nsupdate(bind: BindWorld, *lines: str) -> tuple[int | None, str]:
    """Run BIND's own client with the key; its exit code (0 done, 2 refused) and what it says."""
    server = bind.zone.primary
    script = "\n".join((f"server {server.address} {server.port}", f"zone {APEX}", *lines, "send", ""))
    process = await asyncio.create_subprocess_exec(
        "nsupdate",
        "-k",
        bind.zone.tsig_key_file,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(script.encode())
    return process.returncode, output.decode()


async def test_keys_that_bind_does_not_take_are_our_fault(bind: BindWorld, tmp_path: Path) -> None:
    who = Writer()
    name = bind.key.name.to_text(omit_final_dot=True)
    for key, word in ((new_key(name), "BADSIG"), (new_key("stranger"), "BADKEY")):
        zone = bind.open(tsig_key_file=str(write_key(tmp_path / f"{word}.key", key)))
        with pytest.raises(LocalFault, match=word):
            await zone.change(who.permit(), who.change("plan-1", (None, SHOP_EAST)))
        assert [word in problem.sentence for problem in await zone.check([(SHOP_EAST.name, "A")])] == [True]


async def test_a_clock_an_hour_behind_is_our_fault(bind: BindWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    zone, who = bind.open(), Writer()
    await zone.read([SHOP_EAST], [SHOP])
    monkeypatch.setattr("dns.message.time", SimpleNamespace(time=lambda: time.time() - 3600))
    with pytest.raises(LocalFault, match="clock"):
        await zone.change(who.permit(), who.change("plan-1", (None, SHOP_EAST)))


async def test_a_zone_that_bind_does_not_serve_is_rejected(bind: BindWorld) -> None:
    zone, who = bind.open(apex="example.org"), Writer()
    with pytest.raises(Rejected, match="NOTAUTH"):
        await zone.change(who.permit(), who.change("p", (None, record("shop", EAST, apex="example.org"))))


async def test_nsupdate_with_a_stale_fence_is_refused_and_we_see_what_it_changes(bind: BindWorld) -> None:
    """The fence is not a private agreement: any client that names it in a prerequisite keeps it."""
    zone, who = bind.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    move = who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    await zone.change(who.permit(), move)
    foreign = f"update add shop.{APEX} 60 A {NORTH}"
    stale = f'prereq yxrrset _failover-fence.shop.{APEX} TXT "{fence.text}"'
    current = f'prereq yxrrset _failover-fence.shop.{APEX} TXT "{move.fence_after.text}"'
    code, said = await nsupdate(bind, stale, foreign)
    assert code == 2
    assert "NXRRSET" in said
    code, said = await nsupdate(bind, current, foreign)
    assert code == 0, said
    back = who.change("plan-2", (SHOP_WEST, SHOP_EAST), fence_before=move.fence_after)
    with pytest.raises(Conflict, match="shop"):
        await zone.change(who.permit(), back)
    assert await values_at(zone, [SHOP_EAST]) == {SHOP_EAST.name: tuple(sorted((WEST, NORTH)))}


async def test_a_frozen_secondary_is_silent_and_catches_up_when_thawed(bind: BindWorld) -> None:
    zone, who = bind.open(timeout_s=1.0), Writer()
    fence = await create(zone, SHOP_EAST)
    await until_effective(zone, SHOP_EAST)
    bind.pair.secondary.freeze()
    try:
        await zone.change(who.permit(), who.change("p", (SHOP_EAST, SHOP_WEST), fence_before=fence))
        primary, secondary = await zone.verify([SHOP_WEST])
        assert primary.matches
        assert not secondary.answered
        assert not secondary.matches
    finally:
        bind.pair.secondary.thaw()
    await until_effective(zone, SHOP_WEST)


async def test_a_frozen_primary_leaves_the_outcome_unknown_and_the_world_whole(bind: BindWorld) -> None:
    zone, who = bind.open(timeout_s=0.5), Writer()
    fence = await create(zone, SHOP_EAST)
    move = who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    bind.pair.primary.freeze()
    try:
        with pytest.raises(OutcomeUnknown):
            await zone.change(who.permit(), move)
        with pytest.raises(Unavailable):
            await zone.read([SHOP_EAST], [SHOP])
    finally:
        bind.pair.primary.thaw()
    patient = bind.open()
    state = await patient.read([SHOP_EAST], [SHOP])
    landed = state.fence(SHOP) == move.fence_after
    assert state.record_sets == ((SHOP_WEST,) if landed else (SHOP_EAST,))
    if not landed:
        await patient.change(who.permit(), move)
    assert await values_at(patient, [SHOP_EAST]) == {SHOP_EAST.name: (WEST,)}


async def test_clients_never_see_an_empty_or_mixed_set_while_it_flips(bind: BindWorld) -> None:
    zone, who = bind.open(), Writer()
    sides = [record("shop", "192.0.2.1", "192.0.2.2", ttl=5), record("shop", "198.51.100.1", ttl=5)]
    fence = await create(zone, sides[0])
    await until_effective(zone, sides[0])
    seen: set[tuple[str, ...]] = set()
    done = asyncio.Event()

    async def watch(server: NameServer) -> None:
        while not done.is_set():
            query = dns.message.make_query(sides[0].name, "A")
            with suppress(dns.exception.Timeout):
                answer = await dns.asyncquery.udp(query, server.address, port=server.port, timeout=2)
                seen.add(tuple(sorted(item.to_text() for rrset in answer.answer for item in rrset)))

    watchers = [asyncio.create_task(watch(server)) for server in bind.zone.authoritative]
    for turn in range(60):
        before, after = sides[turn % 2], sides[1 - turn % 2]
        change = who.change(f"plan-{turn}", (before, after), fence_before=fence)
        await zone.change(who.permit(), change)
        fence = change.fence_after
    await until_effective(zone, sides[0])
    done.set()
    await asyncio.gather(*watchers)
    assert seen <= {side.values for side in sides}
    assert len(seen) == 2


async def test_a_hundred_applications_move_and_both_servers_answer(bind: BindWorld) -> None:
    zone, who = bind.open(), Writer()
    names = [record(f"app{number}", EAST) for number in range(100)]
    applications = [type(SHOP)(f"app{number}") for number in range(100)]
    for plan, before, after in (("plan-1", None, EAST), ("plan-2", EAST, WEST)):
        await asyncio.gather(
            *(
                zone.change(
                    who.permit(),
                    who.change(
                        plan,
                        (replace(name, values=(before,)) if before else None, replace(name, values=(after,))),
                        fence_before=who.fence("plan-1", application) if before else None,
                        application=application,
                    ),
                )
                for name, application in zip(names, applications, strict=True)
            )
        )
    await until_effective(zone, *(replace(name, values=(WEST,)) for name in names))
