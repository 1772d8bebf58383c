"""Each fault does to the world what its name says: domains, vantages, controllers that are cut off, and people."""

import asyncio

import pytest

from failover.lab.simulation.fleet import SHAPES, WEB, ZONE
from failover.lab.simulation.lives import Life
from failover.lab.simulation.play import Planned, play
from failover.lab.simulation.twins import SimClusterPort, SimZonePort
from failover.lab.simulation.world import World
from failover.model.errors import OutcomeUnknown, Unavailable
from failover.model.ids import ApplicationName, Epoch, IntentId, VantageName
from failover.model.observation import Outcome, Signal
from failover.model.permit import Permit
from failover.model.records import FenceRecord, RecordChange, RecordSet, RecordType, ZoneChange
from tests.simulation.worlds import begin, in_a_world, outcomes, ready

# -- domains, and controllers that are cut off --------------------------------------------------------------------------------


def test_a_slow_region_is_late_in_both_planes_and_to_controllers() -> None:
    async def story(world: World) -> None:
        undo = begin(world, "region-slow")
        late = {(key[1], key[2]) for key in world.paths.on()}
        struck = {name for _, name in late}
        assert len({world.region_of(name) for name in struck}) == 1
        assert late == {
            (signal, name) for signal in (Signal.DATA_PLANE, Signal.CONTROL_PLANE) for name in struck
        }
        assert {name for name, place in world.clusters.items() if place.api.has("slow")} == struck
        undo()
        assert not world.paths

    in_a_world(story)


def test_a_datacenter_is_silent_and_another_time_half_back() -> None:
    sizes = set()

    async def story(world: World) -> None:
        for dice in range(6):
            undo = begin(world, "datacenter-silent", dice)
            silent = [entry for entry in world.policy.fleet.clusters if world.is_dead(entry.name)]
            assert len({entry.datacenter for entry in silent}) == 1
            sizes.add(len(silent))
            assert outcomes(world, Signal.DATA_PLANE, silent[0].name) == {Outcome.TIMEOUT: 40}
            undo()
        before = ready(world)
        undo = begin(world, "datacenter-half-back")
        names = [name for name in world.clusters if world.is_dead(name)]
        await world.clock.sleep(41.0)
        for name in names:
            assert world.serves(name)
            assert 0 < ready(world)[name] <= before[name] / 2
        undo()
        await world.clock.sleep(2.0)
        assert ready(world) == before
        await world.stop()

    in_a_world(story)
    assert sizes == {1, 2}, "a datacenter is no cluster"


@pytest.mark.parametrize(("kind", "boots"), [("vantage-dead", 1), ("vantage-stuck", 0)])
def test_a_vantage_that_died_begins_anew_and_one_that_was_stuck_goes_on(kind: str, boots: int) -> None:
    async def story(world: World) -> None:
        life = world.boot()
        world.start_vantages()
        await world.clock.sleep(20.0)
        assert life.controller is not None
        before = {name: (state.boot, state.reports) for name, state in world.vantages.items()}
        first, second = begin(world, kind, 3), begin(world, kind, 3)
        (struck,) = (name for name, state in world.vantages.items() if state.faults)
        state = world.vantages[struck]
        await world.clock.sleep(5.0)
        reports = state.reports
        assert reports - before[struck][1] <= 2, "what it saw before may arrive"
        first()
        await world.clock.sleep(10.0)
        assert state.reports == reports, "the other fault holds it still"
        second()
        await world.clock.sleep(10.0)
        assert state.reports > reports
        assert state.boot - before[struck][0] == boots
        await world.stop()

    in_a_world(story)


def test_a_vantage_that_starts_while_no_controller_lives_probes_when_one_is_back() -> None:
    async def story(world: World) -> None:
        life = world.boot()
        world.start_vantages()
        await world.clock.sleep(5.0)
        await world.kill(life)
        world.start_vantage("elsewhere")
        state = world.vantages[VantageName("elsewhere")]
        reports = state.reports
        await world.clock.sleep(20.0)
        assert state.reports == reports
        world.boot()
        await world.clock.sleep(20.0)
        assert state.reports > reports
        await world.stop()

    in_a_world(story)


def test_of_two_controllers_one_is_cut_off() -> None:
    async def story(world: World) -> None:
        world.boot()
        undo = begin(world, "one-controller-cut-off")
        (cut,) = (life for life in world.lives if life.cut_off)
        (other,) = (life for life in world.lives if not life.cut_off)
        place, zone = next(iter(world.clusters.values())), next(iter(world.zones.values()))
        for life in (cut, other):
            reached = []
            for ask in (
                SimClusterPort(world, place, life).inventory([WEB]),
                SimZonePort(world, zone, life).read([], []),
            ):
                try:
                    await ask
                except Unavailable:
                    continue
                reached.append(ask)
            assert len(reached) == (0 if life is cut else 2)
        silent = await SimZonePort(world, zone, cut).verify([])
        assert not any(answer.answered for answer in silent)
        await world.clock.sleep(30.0)
        assert world.blind_vantages(place.name) == {"control"}
        undo()
        assert (await SimClusterPort(world, place, cut).inventory([WEB])).nodes
        await world.stop()

    in_a_world(story)


async def reached(world: World, life: Life) -> list[str]:
    """What a life reaches: clusters, the primary name server, servers that answer its read-back."""
    zone = next(iter(world.zones.values()))
    asked = [SimClusterPort(world, place, life).inventory([WEB]) for place in world.clusters.values()]
    port = SimZonePort(world, zone, life)
    found = await asyncio.gather(*asked, port.read([], []), return_exceptions=True)
    assert all(isinstance(item, Unavailable) for item in found if isinstance(item, BaseException))
    names = [*world.clusters, "the primary"]
    answers = [answer.server for answer in await port.verify([]) if answer.answered]
    return [
        str(name) for name, item in zip(names, found, strict=True) if not isinstance(item, BaseException)
    ] + answers


def test_without_their_network_controllers_reach_nothing_and_nobody_else_is_hurt() -> None:
    async def story(world: World) -> None:
        lives = [world.boot()]
        world.start_vantages()
        undo = begin(world, "own-network-gone")
        lives.append(world.boot())
        beats = [len(times) for times in world.beaten.values()]
        await world.clock.sleep(20.0)
        for life in lives:
            assert await reached(world, life) == []
        assert [len(times) for times in world.beaten.values()] == beats
        assert all(world.serves(name) for name in world.clusters)
        assert not any(server.faults.silent for server in world.zones[ZONE].servers)
        assert not any(place.api for place in world.clusters.values())
        assert {"control"} == set.union(*(world.blind_vantages(name) for name in world.clusters))
        undo()
        for life in lives:
            assert len(await reached(world, life)) == len(world.clusters) + 1 + 2
        await world.stop()

    in_a_world(story)


def test_a_change_of_names_by_a_controller_that_is_cut_off_is_unknown_and_does_not_arrive() -> None:
    async def story(world: World) -> None:
        life, zone = world.boot(), world.zones[ZONE]
        port = SimZonePort(world, zone, life)
        name = RecordSet(
            name="shop.example.test.", record_type=RecordType.A, ttl=5, values=("198.51.100.11",)
        )
        fence = FenceRecord(
            owner="simulated",
            application=ApplicationName("shop"),
            plan="p",
            generation="g",
            epoch=Epoch(1),
            holder="h",
        )
        before = zone.current
        change = ZoneChange(
            zone=zone.zone.name,
            application=ApplicationName("shop"),
            changes=(RecordChange(before=before.record_sets[name.key], after=name),),
            fence_before=None,
            fence_after=fence,
        )
        permit = Permit(
            intent=IntentId("r/s/1"), epoch=Epoch(1), target=str(zone.zone.name), rules=(), expires_mono=1e9
        )
        undo = begin(world, "own-network-gone")
        with pytest.raises(OutcomeUnknown, match="no answer in time"):
            await port.change(permit, change)
        assert zone.current is before
        undo()
        await port.change(permit, change)
        assert zone.current.record_sets[name.key].values == name.values
        await world.stop()

    in_a_world(story)


# -- people -----------------------------------------------------------------------------------------------------------------


def test_a_person_who_finds_nothing_to_abort_aborts_the_next_move() -> None:
    killed = Planned(number=0, fault="region-killed", at=30.0, seconds=100.0)
    asked = Planned(number=1, fault="abort", at=10.0, seconds=115.0)
    aborted = 0
    for seed in range(1, 5):
        played = play(seed, [asked, killed], shape=SHAPES["small"], tell=True)
        assert played.violations == []
        spoken = [line for line in played.lines if " person abort " in line]
        assert len(spoken) <= 1, "only one"
        aborted += any("error" not in line for line in spoken)
    assert aborted
