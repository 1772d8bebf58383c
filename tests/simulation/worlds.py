"""A world in virtual time, for tests of what single faults do to it."""

from collections import Counter
from collections.abc import Awaitable, Callable

from failover.lab.simulation.faults import FAULTS
from failover.lab.simulation.fleet import API, SHAPES, WEB
from failover.lab.simulation.layers import Undo
from failover.lab.simulation.world import World
from failover.lab.virtual import run_virtual
from failover.model.observation import Outcome, Signal


def in_a_world(story: Callable[[World], Awaitable[None]], shape: str = "whole", seed: int = 1) -> None:
    async def told() -> None:
        await story(World(seed, SHAPES[shape]))

    run_virtual(told())


def begin(world: World, kind: str, dice: int = 1) -> Undo:
    world.random.seed(dice)
    undo = FAULTS[kind].begin(world)
    assert callable(undo)
    return undo


def ready(world: World) -> dict[str, int]:
    return {str(name): world.ready(name, WEB) + world.ready(name, API) for name in world.clusters}


def outcomes(world: World, signal: Signal, cluster: str, probes: int = 40) -> Counter[Outcome]:
    """What so many probes of it meet now."""
    life = world.lives[0] if world.lives else world.boot()
    assert life.controller is not None
    definition = next(
        item
        for item in life.controller.definitions
        if (item.signal, item.subject.cluster, item.subject.application) == (signal, cluster, None)
    )
    return Counter(world.takes("elsewhere", definition)[0] for _ in range(probes))
