"""Each fault does to the world what its name says; one that changes nothing proves nothing."""

from collections.abc import Awaitable, Callable

import pytest

from failover.lab.simulation.faults import FAULTS
from failover.lab.simulation.fleet import API, SHAPES, WEB
from failover.lab.simulation.layers import Undo
from failover.lab.simulation.play import Planned, play
from failover.lab.simulation.world import World
from failover.lab.twins.cluster import TwinCluster
from failover.lab.virtual import run_virtual


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


# -- workloads and the room for them ---------------------------------------------------------------------------------------


def test_less_room_is_there_than_an_inventory_tells() -> None:
    async def story(world: World) -> None:
        undo = begin(world, "less-capacity-than-told")
        struck = [place for place in world.clusters.values() if place.limits]
        assert struck
        for place in struck:
            told = (await TwinCluster(place).inventory([WEB])).places_for(place.workloads[WEB].requests)
            place.set_replicas(WEB, 8, "kubectl")
            await world.clock.sleep(30.0)
            assert told > 100
            assert place.settle(WEB).ready <= 5, "four ran, and at most one found a place"
        undo()
        await world.clock.sleep(5.0)
        assert all(place.settle(WEB).ready == 8 for place in struck)

    in_a_world(story)


@pytest.mark.parametrize("shape", ["whole", "whole-short"])
def test_survivors_lose_what_ran_on_their_nodes(shape: str) -> None:
    struck = set()

    async def story(world: World) -> None:
        for dice in range(12):
            before = ready(world)
            undo = begin(world, "survivors-lose-nodes", dice)
            fewer = {name for name, count in ready(world).items() if count < before[name]}
            struck.add(tuple(sorted(fewer)))
            await world.clock.sleep(30.0)
            held = ready(world) == before
            assert held == (shape == "whole" or not fewer), "it is ready elsewhere, where there is room"
            undo()
            await world.clock.sleep(5.0)
            assert ready(world) == before

    in_a_world(story, shape)
    assert len(struck) > 3, "always the same would teach nothing"


def test_survivors_lose_nodes_while_a_move_is_on_its_way() -> None:
    killed = Planned(number=0, fault="region-killed", at=30.0, seconds=100.0)
    struck = 0
    for number in range(1, 5):
        lost = Planned(number=number, fault="survivors-lose-nodes", at=26.0, seconds=115.0)
        played = play(5, [lost, killed], shape=SHAPES["small"], tell=True)
        assert played.violations == []
        moments = [float(line.split()[0]) for line in played.lines if " lost: " in line]
        opened = [float(line.split()[0]) for line in played.lines if " run.opened " in line]
        struck += any(opened[0] <= moment <= opened[0] + 5.0 for moment in moments)
    assert struck
