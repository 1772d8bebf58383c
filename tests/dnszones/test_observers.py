"""Other people's tools beside us: they see what we did, keep to our fence, and find nothing that we did not say."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from failover.model.errors import Conflict, FencedOff
from failover.model.ports import DNSZone

from ..servers.observers import program
from .ministack import MinistackWorld
from .worlds import APEX, SHOP, PairWorld, Writer, create, record, until_effective, values_at

EAST, WEST, NORTH = "192.0.2.10", "198.51.100.10", "203.0.113.10"
SHOP_EAST, SHOP_WEST = record("shop", EAST), record("shop", WEST)


async def run(
    *command: str | Path, text: str = "", environment: dict[str, str] | None = None
) -> tuple[int, str]:
    """A program's exit code and all that it says."""
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
    )
    output, _ = await process.communicate(text.encode())
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.fixture(params=["bind_knot", "knot", "powerdns"])
async def pair(request: pytest.FixtureRequest, observers_tier: None) -> AsyncIterator[PairWorld]:
    made = PairWorld(request.getfixturevalue(f"{request.param}_pair"))
    await made.start()
    yield made
    await made.close()


async def test_kdig_and_nsupdate_see_our_records_and_keep_to_our_fence(pair: PairWorld) -> None:
    zone, who = pair.open(), Writer()
    fence = await create(zone, SHOP_EAST)
    move = who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    await zone.change(who.permit(), move)
    await until_effective(zone, SHOP_WEST)
    for server in pair.zone.authoritative:
        where = (f"@{server.address}", "-p", str(server.port), "+short")
        code, said = await run("kdig", *where, f"shop.{APEX}", "A")
        assert (code, said.split()) == (0, [WEST])
        code, said = await run("kdig", *where, f"_failover-fence.shop.{APEX}", "TXT")
        assert said.strip().strip('"') == move.fence_after.text
    primary = pair.zone.primary
    assert primary is not None
    for text, expected in ((fence.text, 2), (move.fence_after.text, 0)):
        script = (
            f"server {primary.address} {primary.port}\nzone {APEX}\n"
            f'prereq yxrrset _failover-fence.shop.{APEX} TXT "{text}"\n'
            f"update add shop.{APEX} 60 A {NORTH}\nsend\n"
        )
        code, said = await run("nsupdate", "-k", pair.zone.tsig_key_file, text=script)
        assert code == expected, said
    back = who.change("plan-2", (SHOP_WEST, SHOP_EAST), fence_before=move.fence_after)
    with pytest.raises(Conflict, match="shop"):
        await zone.change(who.permit(), back)


@pytest.mark.parametrize("servers", ["bind_knot", "knot", "powerdns", "powerdns_lmdb"])
async def test_octodns_sees_exactly_our_change_and_then_none(
    servers: str, request: pytest.FixtureRequest, others_tier: None, tmp_path: Path
) -> None:
    """Its copy of the zone before our change differs from the zone after it by our record and our fence, no more."""
    world = PairWorld(request.getfixturevalue(f"{servers}_pair"))
    await world.start()
    try:
        zone, who = world.open(), Writer()
        names = [record(f"app{number}", EAST) for number in range(50)]
        fence = await create(zone, SHOP_EAST, *names)
        primary = world.zone.primary
        assert primary is not None
        key = world.key
        (tmp_path / "config.yaml").write_text(
            f"""
providers:
  files: {{class: octodns.provider.yaml.YamlProvider, directory: {tmp_path}/zones, default_ttl: 60, enforce_order: false}}
  zone:
    class: octodns_bind.Rfc2136Provider
    host: {primary.address}
    port: {primary.port}
    key_name: {key.name.to_text()}
    key_secret: {world.pair.key.secret}
    key_algorithm: hmac-sha256
zones:
  {APEX}.: {{sources: [files], targets: [zone]}}
"""
        )
        (tmp_path / "zones").mkdir()
        config = f"--config-file={tmp_path}/config.yaml"
        dump = (program("octodns-dump"), config, f"--output-dir={tmp_path}/zones", f"{APEX}.", "zone")
        code, said = await run(*dump)
        assert code == 0, said
        code, said = await run(program("octodns-sync"), config)
        assert "No changes were planned" in said, said
        await zone.change(who.permit(), who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence))
        code, said = await run(program("octodns-sync"), config)
        changed = [
            line for line in said.splitlines() if "Update" in line or "Create" in line or "Delete" in line
        ]
        updates = [line for line in changed if "Update" in line and "Summary" not in line]
        assert "Creates=0, Updates=2, Deletes=0" in said, said
        assert any(EAST in line or WEST in line for line in said.splitlines()), updates
        code, said = await run(*dump)
        code, said = await run(program("octodns-sync"), config)
        assert "No changes were planned" in said, said
    finally:
        await world.close()


@pytest.fixture
async def theirs(ministack: str, tmp_path: Path) -> AsyncIterator[DNSZone]:
    """A hosted zone there, through our adapter."""
    world = MinistackWorld(ministack, tmp_path)
    await world.start()
    yield world.open()
    await world.close()


async def test_another_route_53_takes_our_changes_and_refuses_stale_ones(theirs: DNSZone) -> None:
    who = Writer()
    fence = await create(theirs, SHOP_EAST, record("www", EAST))
    move = who.change("plan-1", (SHOP_EAST, SHOP_WEST), fence_before=fence)
    await theirs.change(who.permit(), move)
    assert await values_at(theirs, [SHOP_EAST]) == {SHOP_EAST.name: (WEST,)}
    with pytest.raises(Conflict):
        await theirs.change(
            who.permit(), who.change("plan-2", (SHOP_EAST, record("shop", NORTH)), fence_before=fence)
        )
    with pytest.raises(Conflict):
        await theirs.change(
            who.permit(), who.change("plan-2", (None, SHOP_EAST), fence_before=move.fence_after)
        )
    back = who.change("plan-3", (SHOP_WEST, SHOP_EAST), fence_before=move.fence_after)
    await theirs.change(who.permit(), back)
    assert await values_at(theirs, [SHOP_EAST]) == {SHOP_EAST.name: (EAST,)}


async def test_another_route_53_lets_one_of_twelve_writers_win_and_fences_a_stale_leader(
    theirs: DNSZone,
) -> None:
    who, new = Writer(), Writer(epoch=2, holder="controller-b")
    fence = await create(theirs, SHOP_EAST)
    wanted = [record("shop", f"192.0.2.{number}") for number in range(100, 112)]
    results = await asyncio.gather(
        *(
            theirs.change(
                who.permit(), who.change(f"plan-{item.values[0]}", (SHOP_EAST, item), fence_before=fence)
            )
            for item in wanted
        ),
        return_exceptions=True,
    )
    assert results.count(None) == 1
    assert all(isinstance(item, Conflict) for item in results if item is not None)
    state = await theirs.read([SHOP_EAST], [SHOP])
    held, mine = state.record_sets[0], state.fence(SHOP)
    assert held in wanted
    await theirs.change(new.permit(), new.change("plan-new", (held, SHOP_WEST), fence_before=mine))
    with pytest.raises(FencedOff, match="epoch 2"):
        await theirs.change(who.permit(), who.change("plan-old", (held, SHOP_EAST), fence_before=mine))


async def test_another_route_53_keeps_weights(theirs: DNSZone) -> None:
    who = Writer()
    plain = record("shop", EAST, WEST)
    weighted = replace(plain, weights=(10, 90))
    await theirs.change(who.permit(), who.change("plan-1", (None, weighted)))
    assert (await theirs.read([plain], [SHOP])).record_sets == (weighted,)
    moved = replace(plain, weights=(50, 50))
    await theirs.change(
        who.permit(), who.change("plan-2", (weighted, moved), fence_before=who.fence("plan-1"))
    )
    assert (await theirs.read([plain], [SHOP])).record_sets == (moved,)
