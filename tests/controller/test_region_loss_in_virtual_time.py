"""The main job, in virtual time: a region dies, its replicas and its DNS move; it returns; a person fails back."""

from failover.lab.fleet import TwinFleet
from failover.lab.virtual import VirtualClock, run_virtual
from failover.model.journal import RunState
from failover.model.ports import Clock, Store
from failover.model.records import RecordSet, RecordType
from failover.model.verdict import VerdictKind
from tests.support.policies import NAME, WEB, policy

PERSON = {"actor": "ada@desk"}


async def a_healthy_fleet(
    seed: int = 1, *, clock: Clock | None = None, store: Store | None = None, **changes: object
) -> TwinFleet:
    fleet = TwinFleet(policy(**changes), clock or VirtualClock(), seed=seed)  # type: ignore[arg-type]
    addresses = tuple(sorted(entry.ipv4[0] for entry in fleet.policy.fleet.clusters))
    for world in fleet.clusters.values():
        world.add(WEB, 6)
    zone = next(iter(fleet.zones.values()))
    zone.set_records(RecordSet(name=NAME, record_type=RecordType.A, ttl=5, values=addresses))
    controller = fleet.boot(store)
    fleet.start_vantages()
    await fleet.until(lambda: controller.context.judgement.warm_up is None, seconds=60)
    await fleet.until(
        lambda: all(v.kind is VerdictKind.HEALTHY for v in controller.context.judgement.verdicts), seconds=60
    )
    await fleet.until(lambda: len(controller.context.world.inventories) == len(fleet.clusters), seconds=30)
    await fleet.clock.sleep(10)
    return fleet


def runs(fleet: TwinFleet) -> list:
    assert fleet.controller is not None
    return list(fleet.controller.context.runs.values())


async def lose_and_fail_back(seed: int) -> list[str]:
    fleet = await a_healthy_fleet(seed)
    fleet.kill_cluster("north-1")
    await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state is RunState.DONE, seconds=30)
    assert fleet.addresses("example-test", NAME) == ("198.51.100.21", "198.51.100.31")
    survivors = [fleet.replicas(WEB)[name] for name in ("south-1", "west-1")]
    assert sum(wanted for wanted, _ in survivors) == 18
    assert all(ready == wanted for wanted, ready in survivors)
    assert fleet.replicas(WEB)["north-1"][0] == 6, "the source's objects are left alone"

    fleet.revive_cluster("north-1")
    controller = fleet.controller
    assert controller is not None
    await fleet.until(
        lambda: controller.context.judgement.of_cluster("north-1").kind is VerdictKind.HEALTHY, seconds=60
    )
    await fleet.clock.sleep(40)
    assert len(runs(fleet)) == 1, "nothing moves back by itself"
    request = {**PERSON, "verb": "start", "kind": "failback", "domain": "region/north"}
    answer = await controller.command(request)
    await fleet.until(lambda: controller.context.runs[answer["run"]].state.final, seconds=120)
    assert controller.context.runs[answer["run"]].state is RunState.DONE
    assert fleet.addresses("example-test", NAME) == ("198.51.100.11", "198.51.100.21", "198.51.100.31")
    assert [wanted for wanted, _ in fleet.replicas(WEB).values()] == [6, 6, 6]
    await fleet.stop()
    return fleet.log.lines


def test_a_region_dies_recovers_and_is_failed_back_and_the_same_seed_gives_the_same_log() -> None:
    first = run_virtual(lose_and_fail_back(7))
    assert first == run_virtual(lose_and_fail_back(7))
    assert first != run_virtual(lose_and_fail_back(8))


def test_what_a_run_took_away_a_moment_ago_is_not_counted_as_kept() -> None:
    """The stand-ins shrink, and a region dies before the next look at them: the plan knows what is left there."""

    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state is RunState.DONE, seconds=40)
        fleet.revive_cluster("north-1")
        await fleet.clock.sleep(60)
        request = {**PERSON, "verb": "start", "kind": "failback", "domain": "region/north"}
        answer = await controller.command(request)
        await fleet.until(lambda: controller.context.runs[answer["run"]].state.final, seconds=120)
        known = controller.context.world.inventories
        assert [known[name].workload(WEB).wanted for name in ("south-1", "west-1")] == [6, 6]
        behind = controller.context.changes.latest()
        await controller.context.world.catch_up(controller.policy, behind, 2.0)
        assert all(known[name].taken_mono > behind[name] for name in ("south-1", "west-1"))
        fleet.clusters["west-1"].faults.down = True
        controller.context.changes.note("west-1", controller.context.now().mono)
        await controller.context.world.catch_up(controller.policy, controller.context.changes.latest(), 2.0)
        assert known["west-1"].workload(WEB).wanted == 6, "who does not answer keeps what is known"
        await fleet.stop()

    run_virtual(story())


def test_a_dead_control_plane_moves_nothing() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        from failover.model.observation import Outcome

        fleet.paths.control["north-1"] = Outcome.TIMEOUT
        fleet.clusters["north-1"].faults.down = True
        await fleet.clock.sleep(60)
        assert runs(fleet) == []
        assert fleet.controller.context.judgement.of_cluster("north-1").kind is VerdictKind.CONTROL_PLANE_DOWN
        await fleet.stop()

    run_virtual(story())


def test_everything_down_freezes_and_moves_nothing() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        for name in fleet.clusters:
            fleet.kill_cluster(name)
        await fleet.clock.sleep(60)
        assert runs(fleet) == []
        assert fleet.controller.context.judgement.freeze is not None
        assert len(fleet.addresses("example-test", NAME)) == 3
        await fleet.stop()

    run_virtual(story())


def test_a_controller_that_dies_in_the_middle_is_resumed_by_the_next() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet), seconds=30)
        await fleet.crash()
        fleet.boot()
        for runner in fleet._vantages:
            runner.stop()
        fleet._vantages.clear()
        fleet.start_vantages()
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state is RunState.DONE, seconds=60)
        assert fleet.addresses("example-test", NAME) == ("198.51.100.21", "198.51.100.31")
        assert sum(fleet.replicas(WEB)[name][0] for name in ("south-1", "west-1")) == 18
        assert len(runs(fleet)) == 1
        await fleet.stop()

    run_virtual(story())


def test_pause_stops_automation_and_never_a_person() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        await controller.command({**PERSON, "verb": "pause", "reason": "maintenance"})
        fleet.kill_cluster("north-1")
        await fleet.clock.sleep(30)
        assert runs(fleet) == []
        codes = {item.code for found in controller.context.refusals.values() for item in found}
        assert "paused" in codes
        answer = await controller.command(
            {**PERSON, "verb": "start", "kind": "evacuation", "domain": "north"}
        )
        await fleet.until(lambda: controller.context.runs[answer["run"]].state.final, seconds=60)
        assert controller.context.runs[answer["run"]].state is RunState.DONE
        await fleet.stop()

    run_virtual(story())
