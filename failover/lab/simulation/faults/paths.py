"""Paths between vantages, clusters and the controller."""

import asyncio

from failover.lab.simulation.layers import Undo
from failover.lab.simulation.world import World

from .clusters import REGIONS, members
from .registry import all_of, ender, fault
from .vantages import one as elsewhere


def dark(world: World, vantages: list[str], region: str) -> Undo:
    return all_of(
        *(world.paths.put(("dark", name, cluster)) for name in vantages for cluster in members(world, region))
    )


def some(world: World, count: int) -> list[str]:
    return world.random.sample(list(world.vantages), count)


@fault("path-of-one-vantage", "path", longest_s=120)
def path_of_one_vantage(world: World) -> Undo:
    return dark(world, some(world, 1), world.random.choice(REGIONS))


@fault("path-of-two-vantages", "path", longest_s=90)
def path_of_two_vantages(world: World) -> Undo:
    return dark(world, some(world, 2), world.random.choice(REGIONS))


@fault("path-of-the-controller", "path", longest_s=90)
def path_of_the_controller(world: World) -> Undo:
    return dark(world, ["control"], world.random.choice(REGIONS))


@fault("vantages-at-fault-with-a-region", "path", longest_s=90)
def at_fault(world: World) -> Undo:
    """A quorum's own credentials, resolver or load, or everybody's: whatever they say of that region says nothing of it."""
    region = world.random.choice(REGIONS)
    outside = [entry.name for entry in world.policy.fleet.vantages if entry.region != region]
    names = world.random.sample(outside, world.random.choice((world.policy.fleet.quorum, len(outside))))
    return all_of(
        *(world.paths.put(("local", name, cluster)) for name in names for cluster in members(world, region))
    )


@fault("path-flapping", "path", longest_s=90)
def path_flapping(world: World) -> Undo:
    names, region = some(world, 1), world.random.choice(REGIONS)
    task = asyncio.ensure_future(flap(world, names, region))
    return ender(task)


async def flap(world: World, names: list[str], region: str) -> None:
    while True:
        undo = dark(world, names, region)
        try:
            await world.clock.sleep(world.random.uniform(5, 40))
        finally:
            undo()
        await world.clock.sleep(world.random.uniform(5, 20))


@fault("path-one-way", "path", longest_s=90)
def path_one_way(world: World) -> Undo:
    """The vantage sees everything, and nothing of what it says arrives."""
    return elsewhere(world).faults.put("mute")


@fault("reports-late", "path", longest_s=90)
def reports_late(world: World) -> Undo:
    state = elsewhere(world)
    return state.faults.put("late", world.random.uniform(0.5, 6.0))


@fault("reports-doubled", "path", longest_s=90)
def reports_doubled(world: World) -> Undo:
    return elsewhere(world).faults.put("double")


@fault("reports-reordered", "path", longest_s=90)
def reports_reordered(world: World) -> Undo:
    state = elsewhere(world)
    return state.faults.put("reorder", 5.0)


@fault("own-network-gone", "correlated", longest_s=90)
def own_network_gone(world: World) -> Undo:
    """Controllers reach nothing and nothing reaches them, those that boot meanwhile as well; for everybody else all is as it was."""
    return world.paths.put("own-network")
