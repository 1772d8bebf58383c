"""What DNS must reach: one winner of twelve writers, a thousand names in two seconds, never an answer without an address."""

import asyncio
import time
from contextlib import suppress
from dataclasses import replace

import dns.asyncquery
import dns.exception
import dns.message

from failover.controller.record_steps import VERIFY_EVERY_S
from failover.model.errors import Conflict
from failover.model.ids import ApplicationName
from failover.model.parts import in_parts
from failover.model.ports import DNSZone
from failover.model.records import CAPABILITIES, RecordChange, RecordSet
from tests.benchmarks.dns_elsewhere import elsewhere
from tests.benchmarks.dns_places import PLACES, place
from tests.benchmarks.figures import Figure
from tests.dnszones.worlds import APEX, SHOP, TwinWorld, Writer, ask_on, create, record, until_effective

WRITERS, ROUNDS = 12, 100
NAMES, FLIPS = 1_000, 900
WINDOW = 500
FLIP_LIMIT_S, PART_LIMIT_S = 2.0, 1.0
"""The second for each part of one application's names: a part is read back at every server before the next is sent."""

SETTLE_S, INSYNC_S, BEHIND_S = 2.0, 5.0, 1.0
"""How long the stand-ins take for a change (Route 53: until the next may come, and until INSYNC, "generally within 60
seconds"; Cloud DNS: until done, and from there to its name servers).
"""


def measure_race() -> list[Figure]:
    """Twelve writers believe the same and race; readers look on all the time: through the adapter, and by DNS at each server."""
    return [figure for name in PLACES for figure in asyncio.run(_race(name))]


async def _race(name: str) -> list[Figure]:
    async with place(name) as world:
        zones = [world.open(timeout_s=10.0) for _ in range(WRITERS)]
        reader = world.open(timeout_s=10.0)
        current = record("shop", "192.0.2.100", "192.0.2.200")
        fence = await create(zones[0], current)
        allowed, wrong, reads, asked = {current.values}, [0, 0], [0], [0, 0]
        stop = asyncio.Event()
        await until_effective(zones[0], current)

        async def look() -> None:
            while not stop.is_set():
                state = await reader.read([current], [SHOP])
                values = state.record_sets[0].values if state.record_sets else ()
                reads[0] += 1
                wrong[0 if not values else 1] += values not in allowed
                await asyncio.sleep(0)

        # The twin has no name servers to ask.
        servers = () if isinstance(world, TwinWorld) else world.zone.authoritative
        asking = [ask_on(server, current.name, allowed, stop, asked) for server in servers]
        looking, who = asyncio.gather(look(), *asking), Writer()
        lone = 0
        for turn in range(ROUNDS):
            wanted = [record("shop", f"192.0.2.{n}", f"198.51.100.{turn + 1}") for n in range(WRITERS)]
            allowed |= {item.values for item in wanted}
            changes = [
                who.change(f"plan-{turn}-{n}", (current, item), fence_before=fence)
                for n, item in enumerate(wanted)
            ]
            results = await asyncio.gather(
                *(zone.change(who.permit(600), change) for zone, change in zip(zones, changes, strict=True)),
                return_exceptions=True,
            )
            winners = [n for n, result in enumerate(results) if result is None]
            losers = [result for result in results if result is not None]
            lone += len(winners) == 1 and all(isinstance(item, Conflict) for item in losers)
            state = await reader.read([current], [SHOP])
            current = state.record_sets[0]
            found = state.fence(SHOP)
            assert found is not None
            fence = found
        stop.set()
        await looking
    return [
        _figure(f"{name}: rounds of {ROUNDS} with exactly one winner", lone, ROUNDS, at_most=False),
        _figure(f"{name}: empty or mixed in {reads[0]} reads", sum(wrong), 0),
        *([_figure(f"{name}: empty or mixed in {asked[0]} answers by DNS", asked[1], 0)] if servers else []),
    ]


def _figure(what: str, value: float, limit: float, *, at_most: bool = True, unit: str = "") -> Figure:
    return Figure(benchmark="dns", what=what, unit=unit, limit=limit, values=(float(value),), at_most=at_most)


def measure_flip() -> list[Figure]:
    """A thousand names move: acknowledged, and read back at two servers."""
    figures = []
    for name in ("bind", "bind_knot", "knot", "powerdns", "powerdns-lmdb"):
        taken, notify_s = zip(*(asyncio.run(_flip(name)) for _ in range(3)), strict=True)
        figures.append(
            Figure(
                benchmark="dns",
                what=f"{name}: {NAMES} names flip, read back at two servers (of it {max(notify_s):.2f} s the secondary's lag)",
                unit="s",
                limit=FLIP_LIMIT_S + max(notify_s),
                values=taken,
            )
        )
        taken, lags_s, parts = zip(*(asyncio.run(_flip_one(name)) for _ in range(3)), strict=True)
        figures.append(
            Figure(
                benchmark="dns",
                what=f"{name}: {NAMES} names of one application flip in {parts[0]} parts, additions first, each read back at two "
                f"servers before the next (of it {max(lags_s):.2f} s the secondary's lags)",
                unit="s",
                limit=PART_LIMIT_S * parts[0] + max(lags_s),
                values=taken,
            )
        )
    return [*figures, *_flip_at_limits()]


async def _move(zone: DNSZone, plan: str, before: str, after: str, size: int) -> list[RecordSet]:
    """Every name in atomic changes of `size`, each of an application of its own, at once as the controller does it."""
    who, moved, changes = Writer(), [], []
    for start in range(0, NAMES, size):
        application = ApplicationName(f"part{start}")
        names = [record(f"app{number}", after) for number in range(start, min(NAMES, start + size))]
        moves = [(replace(item, values=(before,)) if before else None, item) for item in names]
        fence = who.fence(f"plan-{before}", application) if before else None
        changes.append(who.change(plan, *moves, fence_before=fence, application=application))
        moved += names
    await asyncio.gather(*(zone.change(who.permit(600), change) for change in changes))
    return moved


async def _flip_one(name: str) -> tuple[float, float, int]:
    """The same for names of one application, as the controller does it: part after part, each with the fence.

    (seconds from the first byte to the last read-back, of them the secondary's after each acknowledgement, parts).
    """
    async with place(name) as world:
        zone, who = world.open(timeout_s=60.0), Writer()
        primary = world.open(authoritative=world.zone.authoritative[:1], timeout_s=60.0)
        lag_s, fence = 0.0, None

        async def move(plan: str, changes: tuple[RecordChange, ...]) -> int:
            nonlocal lag_s, fence
            parts = in_parts(changes, CAPABILITIES["rfc2136"], f"{APEX}.")
            for part in parts:
                moves = [(item.before, item.after) for item in part]
                change = who.change(plan, *moves, fence_before=fence)
                await zone.change(who.permit(600), change)
                fence = change.fence_after
                await until_effective(primary, *(item.after for item in part))
                served_by_primary = time.perf_counter()
                await until_effective(zone, *(item.after for item in part))
                lag_s += time.perf_counter() - served_by_primary
            return len(parts)

        old, new = ([record(f"app{n}", f"192.0.2.{side}") for n in range(NAMES)] for side in (1, 2))
        await move("plan-1", tuple(RecordChange(before=None, after=item) for item in old))
        lag_s, began = 0.0, time.perf_counter()
        pairs = zip(old, new, strict=True)
        count = await move("plan-2", tuple(RecordChange(before=one, after=other) for one, other in pairs))
        return time.perf_counter() - began, lag_s, count


async def _flip(name: str) -> tuple[float, float]:
    """(seconds from the first byte to the last read-back, of them the secondary's after the last acknowledgement)."""
    async with place(name) as world:
        zone = world.open(timeout_s=60.0)
        await until_effective(zone, *await _move(zone, "plan-192.0.2.1", "", "192.0.2.1", WINDOW))
        began = time.perf_counter()
        moved = await _move(zone, "plan-2", "192.0.2.1", "192.0.2.2", WINDOW)
        acknowledged = time.perf_counter()
        primary = world.open(authoritative=world.zone.authoritative[:1], timeout_s=60.0)
        await until_effective(primary, *moved)
        served_by_primary = time.perf_counter()
        await until_effective(zone, *moved)
        ended = time.perf_counter()
    return ended - began, max(0.0, ended - max(acknowledged, served_by_primary))


def _flip_at_limits() -> list[Figure]:
    figures = []
    for name, told, changes, allowed_s in (
        # 499 names and the fence fill a batch of 1,000 values: three batches, two waits, and the last must be served.
        ("route53", {"settle_s": SETTLE_S, "insync_s": INSYNC_S}, 400, 2 * SETTLE_S + INSYNC_S),
        # 999 names and the fence fill a change: two changes, which do not wait for each other.
        ("clouddns", {"settle_s": SETTLE_S, "behind_s": BEHIND_S}, 900, SETTLE_S + BEHIND_S),
    ):
        taken = tuple(asyncio.run(_flip_limited(name, told, changes)) / allowed_s for _ in range(3))
        figures.append(
            Figure(
                benchmark="dns",
                what=f"{name} stand-in at real limits: {NAMES} names flip, times of the {allowed_s:g} s that they allow",
                unit="x",
                limit=1.2,
                values=taken,
            )
        )
    return figures


async def _flip_limited(name: str, told: dict[str, float], size: int) -> float:
    async with elsewhere(name, rate=10.0, burst=50.0) as world:
        zone = world.open(timeout_s=60.0, requests_per_s=10.0)
        await until_effective(zone, *await _move(zone, "plan-192.0.2.1", "", "192.0.2.1", size))
        await world.slow_down(told)
        began = time.perf_counter()
        moved = await _move(zone, "plan-2", "192.0.2.1", "192.0.2.2", size)
        await until_effective(zone, *moved, every_s=VERIFY_EVERY_S)  # as the controller waits
        return time.perf_counter() - began


def measure_load() -> list[Figure]:
    """900 flips under load; every answer has a live address."""
    figures = []
    for name in ("bind", "bind_knot", "knot", "powerdns", "powerdns-lmdb", "route53", "clouddns"):
        asked, bad = asyncio.run(_under_load(name))
        figures.append(
            _figure(f"{name}: answers without a live address in {FLIPS} flips, of {asked}", bad, 0)
        )
    return figures


async def _under_load(name: str) -> tuple[int, int]:
    async with place(name) as world:
        zone, who = world.open(timeout_s=10.0), Writer()
        sides = [record("shop", "192.0.2.1", "192.0.2.2", ttl=5), record("shop", "198.51.100.1", ttl=5)]
        live = {value for side in sides for value in side.values}
        fence = await create(zone, sides[0])
        await until_effective(zone, sides[0])
        counts, done = [0, 0], asyncio.Event()

        async def load(address: str, port: int) -> None:
            while not done.is_set():
                query = dns.message.make_query(sides[0].name, "A")
                with suppress(dns.exception.Timeout):
                    answer = await dns.asyncquery.udp(query, address, port=port, timeout=3)
                    given = {item.to_text() for rrset in answer.answer for item in rrset}
                    counts[0] += 1
                    counts[1] += not given or not given <= live

        loads = [
            asyncio.create_task(load(item.address, item.port))
            for item in world.zone.authoritative
            for _ in range(2)
        ]
        for turn in range(FLIPS):
            before, after = sides[turn % 2], sides[1 - turn % 2]
            change = who.change(f"plan-{turn}", (before, after), fence_before=fence)
            await zone.change(who.permit(600), change)
            fence = change.fence_after
        done.set()
        await asyncio.gather(*loads)
    return counts[0], counts[1]
