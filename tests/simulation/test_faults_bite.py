"""Each fault does to the world what its name says; one that changes nothing proves nothing."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from failover.kube import transport
from failover.lab.simulation import twins
from failover.lab.simulation.faults import FAULTS
from failover.lab.simulation.fleet import API, SHAPES, WEB, ZONE
from failover.lab.simulation.layers import Undo
from failover.lab.simulation.lives import Life
from failover.lab.simulation.play import Planned, play
from failover.lab.simulation.twins import SimClusterPort, SimZonePort
from failover.lab.simulation.world import World
from failover.lab.twins.cluster import TwinCluster
from failover.lab.virtual import run_virtual
from failover.model.errors import LocalFault, OutcomeUnknown, Unavailable
from failover.model.ids import ApplicationName, Epoch, IntentId, VantageName
from failover.model.journal import RaiseFence, ScaleChange
from failover.model.observation import Outcome, Signal
from failover.model.permit import Permit
from failover.model.plan import ScaleField
from failover.model.records import FenceRecord, RecordChange, RecordSet, RecordType, ZoneChange


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
