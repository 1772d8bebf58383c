"""Each fault does to the world what its name says; one that changes nothing proves nothing."""

import pytest

from failover.kube import transport
from failover.lab.simulation import twins
from failover.lab.simulation.faults import FAULTS
from failover.lab.simulation.fleet import SHAPES, WEB, ZONE
from failover.lab.simulation.play import Planned, play
from failover.lab.simulation.twins import SimClusterPort
from failover.lab.simulation.world import World
from failover.lab.twins.cluster import TwinCluster
from failover.model.errors import LocalFault, OutcomeUnknown, Unavailable
from failover.model.ids import Epoch, IntentId
from failover.model.journal import RaiseFence, ScaleChange
from failover.model.observation import Outcome, Signal
from failover.model.permit import Permit
from failover.model.plan import ScaleField
from tests.simulation.worlds import begin, in_a_world, outcomes, ready

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


@pytest.mark.parametrize("looks", [True, False])
def test_pods_that_never_get_ready_do_when_it_is_over_whether_or_not_anybody_looked(looks: bool) -> None:
    async def story(world: World) -> None:
        places = world.clusters.values()
        for place in places:
            place.set_replicas(WEB, 6, "kubectl")
        await world.clock.sleep(5.0)  # long due, and nobody has looked
        undo = begin(world, "pods-never-ready")
        (struck,) = (place for place in places if place.faults.never_ready)
        struck.set_replicas(WEB, 8, "kubectl")
        for _ in range(10):
            await world.clock.sleep(3.0)
            assert not looks or struck.settle(WEB).ready == 6
        undo()
        assert struck.settle(WEB).ready == 8

    in_a_world(story)


# -- faults over faults -----------------------------------------------------------------------------------------------------


def settings(world: World) -> str:
    """All that faults turn for a while."""
    clusters = [(place.ready_s, place.faults) for place in world.clusters.values()]
    servers = [(server.lag_s, server.stopped, server.faults) for server in world.zones[ZONE].servers]
    return repr((clusters, servers, world.disk.trouble, world.disk.tearing))


ALIKE = (
    "pods-never-ready",
    "pods-slow",
    "names-refuse-updates",
    "names-silent",
    "names-servfail",
    "names-slow",
)
ALIKE += (
    "names-throttle",
    "key-clock-skewed",
    "key-refused",
    "secondary-lags",
    "secondary-dead",
    "primary-dead",
)
ALIKE += ("disk-full", "disk-io-error")


def test_a_fault_over_another_of_its_kind_lasts_until_both_are_over_and_no_longer() -> None:
    async def story(world: World) -> None:
        for kind in ALIKE:
            bare = settings(world)
            for ends_first in (0, 1):
                undos = [begin(world, kind), begin(world, kind)]
                undos.pop(ends_first)()
                assert settings(world) != bare, f"{kind} ends with one of two"
                undos.pop()()
                assert settings(world) == bare, f"{kind} outlasts both"
        full, broken = begin(world, "disk-full"), begin(world, "disk-io-error")
        full()
        assert world.disk.trouble == "disk I/O error"
        broken()
        assert not world.disk.trouble

    in_a_world(story)


# -- data planes and control planes -------------------------------------------------------------------------------------------


def test_a_slow_data_plane_is_late_for_no_probe_for_some_or_for_all() -> None:
    shares, served = [], set()

    async def story(world: World) -> None:
        for dice in range(16):
            undo = begin(world, "data-plane-slow", dice)
            (name,) = {str(key[-1]) for key in world.paths.on()}
            share = outcomes(world, Signal.DATA_PLANE, name)[Outcome.TIMEOUT] / 40
            shares.append(share)
            assert world.serves(name) or share == 1
            served.add(world.serves(name))
            assert world.is_gray(name) or not share
            assert outcomes(world, Signal.CONTROL_PLANE, name) == {Outcome.OK: 40}
            undo()
            assert outcomes(world, Signal.DATA_PLANE, name) == {Outcome.OK: 40}
        await world.stop()

    in_a_world(story)
    assert {0.0, 1.0} < set(shares), "never late, always, and something between"
    assert served == {True, False}, "who is never answered in time is not served"


def test_who_is_turned_away_with_429_is_a_vantage_too_and_that_is_its_own_fault() -> None:
    async def story(world: World) -> None:
        world.random.seed(1)
        FAULTS["api-429"].begin(world)
        (name,) = (name for name, place in world.clusters.items() if place.faults.throttle)
        left = world.clusters[name].faults.throttle
        assert outcomes(world, Signal.DATA_PLANE, name) == {Outcome.OK: 40}
        assert outcomes(world, Signal.CONTROL_PLANE, name, left + 5) == {Outcome.LOCAL: left, Outcome.OK: 5}
        await world.stop()

    in_a_world(story)


def test_only_lists_break_off() -> None:
    async def story(world: World) -> None:
        life = world.boot()
        ports = {name: SimClusterPort(world, place, life) for name, place in world.clusters.items()}
        undo = begin(world, "api-list-breaks-off")
        (name,) = (name for name, place in world.clusters.items() if place.api)
        with pytest.raises(Unavailable, match="broke off"):
            await ports[name].inventory([WEB])
        (state,) = await ports[name].read_workloads([WEB])
        assert state.ready == 4
        assert outcomes(world, Signal.CONTROL_PLANE, name) == {Outcome.OK: 40}
        undo()
        assert (await ports[name].inventory([WEB])).nodes
        await world.stop()

    in_a_world(story)


UNANSWERED = {
    "control-plane-500": (OutcomeUnknown, {True, False}),
    "control-plane-garbage": (OutcomeUnknown, {True, False}),
    "control-plane-silent": (OutcomeUnknown, {True, False}),
    "control-planes-all-down": (OutcomeUnknown, {True, False}),
    "region-isolated": (OutcomeUnknown, {False}),
    "region-silent": (OutcomeUnknown, {False}),
    "own-network-gone": (OutcomeUnknown, {False}),
    "region-killed": (Unavailable, {False}),
    "control-plane-down": (Unavailable, {False}),
    "control-plane-401": (LocalFault, {False}),
    "control-plane-403": (LocalFault, {False}),
}
"""What a write is told that meets such a fault, as the shipped adapter tells it, and whether it takes effect."""


@pytest.mark.parametrize("kind", UNANSWERED)
def test_a_write_that_is_not_answered_may_have_taken_effect(kind: str) -> None:
    told, effects = UNANSWERED[kind]
    scaled, fenced = set(), set()

    async def story(world: World) -> None:
        life = world.boot()
        undo = begin(world, kind)
        dead = [place for name, place in world.clusters.items() if world.is_dead(name)]
        place = next(
            iter(dead or [one for one in world.clusters.values() if one.api] or world.clusters.values())
        )
        port = SimClusterPort(world, place, life)
        for number in range(1, 13):
            permit = Permit(
                intent=IntentId(f"r/s/{number}"),
                epoch=Epoch(number),
                target=place.name,
                rules=(),
                expires_mono=1e9,
            )
            before = place.state(WEB)
            change = ScaleChange(
                cluster=place.name,
                cluster_uid=place.uid,
                workload=WEB,
                field=ScaleField.REPLICAS,
                before=before.wanted,
                after=5 + number % 2,
                resource_version=before.resource_version,
            )
            with pytest.raises(told) as raised:
                await port.scale(permit, change)
            assert raised.type is told
            scaled.add(place.state(WEB).resource_version != before.resource_version)
            fence = place.fence
            with pytest.raises(told):
                await port.raise_fence(
                    permit, RaiseFence(cluster=place.name, cluster_uid=place.uid, epoch=Epoch(number))
                )
            fenced.add(place.fence != fence)
        undo()
        await world.stop()

    in_a_world(story)
    assert (scaled, fenced) == (effects, effects)


def test_moves_come_to_their_end_over_writes_that_are_not_answered() -> None:
    kind, told, evacuations = "api-fails-at-changes", "", 0
    for seed in range(1, 4):
        broken = Planned(number=0, fault=kind, at=26.0, seconds=150.0)
        lost = Planned(number=1, fault=("region-killed", "region-silent")[seed % 2], at=30.0, seconds=90.0)
        played = play(seed, [broken, lost], shape=SHAPES["small"], tell=True)
        assert played.violations == []
        evacuations += played.runs["evacuation"]
        told += "\n".join(played.lines)
    assert evacuations
    assert all(f" {word} before controller-1 sends" in told for word in ("fails", "silent", "isolated"))


def test_a_write_is_given_up_as_late_as_the_shipped_adapter_gives_it_up() -> None:
    assert (twins.CONNECT_TIMEOUT_S, twins.WRITE_TIMEOUT_S) == (
        transport.CONNECT_TIMEOUT_S,
        transport.WRITE_TIMEOUT_S,
    )
