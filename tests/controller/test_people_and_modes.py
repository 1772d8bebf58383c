"""What people command and what modes allow, against the shipped controller in virtual time."""

from dataclasses import replace

import pytest

from failover.lab.fleet import TwinFleet
from failover.lab.virtual import VirtualClock, run_virtual
from failover.model.errors import Refused, StoreUnavailable, UsageError
from failover.model.ids import ApplicationName, ClusterName
from failover.model.inventory import Resources
from failover.model.journal import RunState
from failover.model.policy import Mode, PlacementRule, Workload, WorkloadRef
from failover.model.records import RecordSet, RecordType
from failover.model.verdict import VerdictKind
from tests.controller.test_region_loss_in_virtual_time import PERSON, a_healthy_fleet, runs
from tests.support.policies import NAME, WEB, policy

BANK = WorkloadRef(object_kind="Deployment", namespace="bank", name="core")
BANK_NAME = "bank.example.test."


def test_recommend_shows_the_plan_and_carries_nothing_out() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet(mode=Mode.RECOMMEND)
        fleet.kill_cluster("north-1")
        await fleet.clock.sleep(30)
        assert runs(fleet) == []
        status = fleet.controller.status()
        assert status["recommendations"][0]["applications"] == ["shop"]
        assert len(fleet.addresses("example-test", NAME)) == 3
        await fleet.stop()

    run_virtual(story())


def test_approve_waits_for_a_person() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet(mode=Mode.APPROVE)
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet), seconds=30)
        run = runs(fleet)[0]
        assert run.state is RunState.AWAITING_APPROVAL
        await fleet.clock.sleep(10)
        assert len(runs(fleet)) == 1, "one run waits, not one a second"
        await fleet.controller.command({**PERSON, "verb": "approve", "run": run.id})
        await fleet.until(lambda: runs(fleet)[0].state is RunState.DONE, seconds=60)
        assert runs(fleet)[0].approved_by == "ada@desk"
        assert fleet.addresses("example-test", NAME) == ("198.51.100.21", "198.51.100.31")
        await fleet.stop()

    run_virtual(story())


def test_a_drain_moves_everything_and_takes_the_source_away_last() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        answer = await fleet.controller.command(
            {**PERSON, "verb": "start", "kind": "drain", "domain": "north"}
        )
        await fleet.until(lambda: runs(fleet)[0].state.final, seconds=120)
        assert runs(fleet)[0].state is RunState.DONE, runs(fleet)[0].sentence
        assert answer["run"] == runs(fleet)[0].id
        assert fleet.replicas(WEB)["north-1"] == (0, 0)
        assert sum(wanted for wanted, _ in fleet.replicas(WEB).values()) == 18
        assert fleet.addresses("example-test", NAME) == ("198.51.100.21", "198.51.100.31")
        await fleet.stop()

    run_virtual(story())


def test_a_person_overrides_by_name_only() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        request = {**PERSON, "verb": "start", "kind": "evacuation", "domain": "north"}
        with pytest.raises(Refused) as refused:
            await fleet.controller.command(request)
        assert [item.code for item in refused.value.refusals] == ["still-serving"]
        with pytest.raises(UsageError, match="cannot be overridden"):
            await fleet.controller.command({**request, "overrides": ["lease"]})
        answer = await fleet.controller.command({**request, "overrides": ["still-serving"]})
        await fleet.until(lambda: fleet.controller.context.runs[answer["run"]].state.final, seconds=60)
        assert fleet.controller.context.runs[answer["run"]].state is RunState.DONE
        await fleet.stop()

    run_virtual(story())


def test_a_saved_plan_is_refused_when_the_world_has_moved_on() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        shown = await fleet.controller.command({**PERSON, "verb": "plan", "kind": "drain", "domain": "north"})
        fleet.clusters["south-1"].set_replicas(WEB, 7, "kubectl")
        with pytest.raises(Refused) as refused:
            await fleet.controller.command({**PERSON, "verb": "apply", "plan": shown["plan"]})
        assert refused.value.refusals[0].code == "stale-plan"
        fleet.clusters["south-1"].set_replicas(WEB, 6, "kubectl")
        await fleet.clock.sleep(5)
        started = await fleet.controller.command({**PERSON, "verb": "apply", "plan": shown["plan"]})
        await fleet.until(lambda: fleet.controller.context.runs[started["run"]].state.final, seconds=120)
        await fleet.stop()

    run_virtual(story())


def test_a_what_if_changes_nothing_and_is_never_carried_out() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        asked = {**PERSON, "kind": "evacuation", "assume_down": ["north"]}
        shown = await fleet.controller.command({**asked, "verb": "plan"})
        assert shown["refusals"] == []
        assert not shown["empty"]
        with pytest.raises(Refused, match="hypothetical"):
            await fleet.controller.command({**PERSON, "verb": "apply", "plan": shown["plan"]})
        assert all(not world.writes for world in fleet.clusters.values())
        await fleet.stop()

    run_virtual(story())


def test_a_cordoned_region_is_no_target() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        await fleet.controller.command({**PERSON, "verb": "cordon", "target": "south"})
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state.final, seconds=40)
        assert fleet.replicas(WEB)["south-1"][0] == 6
        assert fleet.replicas(WEB)["west-1"][0] == 12
        assert "198.51.100.21" in fleet.addresses("example-test", NAME), (
            "membership in DNS is not eligibility"
        )
        await fleet.stop()

    run_virtual(story())


def test_an_abort_before_dns_keeps_what_was_added() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        for world in fleet.clusters.values():
            world.faults.never_ready = True
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet), seconds=30)
        await fleet.clock.sleep(3)
        await fleet.controller.command(
            {**PERSON, "verb": "abort", "run": runs(fleet)[0].id, "reason": "not today"}
        )
        await fleet.until(lambda: runs(fleet)[0].state.final, seconds=30)
        assert runs(fleet)[0].state is RunState.ABORTED
        assert len(fleet.addresses("example-test", NAME)) == 3
        assert fleet.replicas(WEB)["south-1"][0] == 9
        await fleet.stop()

    run_virtual(story())


def test_a_source_that_comes_back_before_dns_ends_the_run() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        for name in ("south-1", "west-1"):
            fleet.clusters[name].faults.throttle = 1000
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet), seconds=30)
        fleet.revive_cluster("north-1")
        await fleet.until(
            lambda: fleet.controller.context.judgement.of_cluster("north-1").kind is VerdictKind.HEALTHY,
            seconds=60,
        )
        for name in ("south-1", "west-1"):
            fleet.clusters[name].faults.throttle = 0
        await fleet.until(lambda: runs(fleet)[0].state.final, seconds=60)
        assert runs(fleet)[0].state is RunState.ABORTED
        assert len(fleet.addresses("example-test", NAME)) == 3
        await fleet.stop()

    run_virtual(story())


def test_a_second_controller_stands_by_and_says_who_acts() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        first = fleet.controller
        second = fleet.boot()
        await fleet.clock.sleep(5)
        assert not second.acting
        assert first.acting
        assert "controller-1" in second.context.leadership.standby
        await fleet.stop()

    run_virtual(story())


def test_a_fleet_that_was_never_looked_into_moves_nothing_by_itself() -> None:
    """Found by the benchmark: an unknown demand was taken for an empty one, and DNS moved without capacity (I1, I9)."""

    async def story() -> None:
        fleet = await a_healthy_fleet()
        await fleet.crash()
        fleet.disk.documents.clear()
        for world in fleet.clusters.values():
            world.faults.throttle = 10**9
        fleet.boot()
        for runner in fleet._vantages:
            runner.stop()
        fleet._vantages.clear()
        fleet.start_vantages()
        await fleet.clock.sleep(30)
        fleet.kill_cluster("north-1")
        await fleet.clock.sleep(60)
        assert fleet.controller.context.judgement.of_cluster("north-1").kind is VerdictKind.DOWN
        assert runs(fleet) == []
        codes = {item.code for found in fleet.controller.context.refusals.values() for item in found}
        assert "capacity-floor" in codes
        assert len(fleet.addresses("example-test", NAME)) == 3
        await fleet.stop()

    run_virtual(story())


async def a_fleet_with_a_bank(shop: Mode) -> TwinFleet:
    """A second application, in `auto`, whose replicas find no room anywhere at first."""
    made = policy(mode=shop)
    first = made.applications[0]
    names = tuple(entry.name for entry in made.fleet.clusters)
    bank = replace(
        first,
        name=ApplicationName("bank"),
        mode=Mode.AUTO,
        workloads=(
            Workload(
                ref=BANK, placement=tuple(PlacementRule(cluster=name, min_replicas=1) for name in names)
            ),
        ),
        dns=(replace(first.dns[0], name=BANK_NAME),),
    )
    fleet = TwinFleet(replace(made, applications=(bank, first)), VirtualClock(), seed=3)
    addresses = tuple(sorted(entry.ipv4[0] for entry in made.fleet.clusters))
    zone = next(iter(fleet.zones.values()))
    for name in (NAME, BANK_NAME):
        zone.set_records(RecordSet(name=name, record_type=RecordType.A, ttl=5, values=addresses))
    for world in fleet.clusters.values():
        world.add(WEB, 6)
        world.add(BANK, 2).requests = Resources(cpu_m=20_000, memory=1 << 20)
    controller = fleet.boot()
    fleet.start_vantages()
    await fleet.until(lambda: controller.context.judgement.warm_up is None, seconds=60)
    await fleet.clock.sleep(15)
    return fleet


@pytest.mark.parametrize("mode", [Mode.APPROVE, Mode.AUTO, Mode.RECOMMEND])
def test_an_application_that_waits_or_runs_delays_no_other(mode: Mode) -> None:
    """The bank is short of room when the region dies; it moves as soon as there is room, whatever the shop waits for."""

    async def story() -> None:
        fleet = await a_fleet_with_a_bank(mode)
        fleet.kill_cluster("north-1")
        await fleet.clock.sleep(20)
        assert "198.51.100.11" in fleet.addresses("example-test", BANK_NAME)
        for world in fleet.clusters.values():
            world.node_size = Resources(cpu_m=160_000, memory=64 << 30, pods=110)
        await fleet.until(
            lambda: "198.51.100.11" not in fleet.addresses("example-test", BANK_NAME), seconds=120
        )
        waiting = [run for run in runs(fleet) if run.state is RunState.AWAITING_APPROVAL]
        assert len(waiting) == (1 if mode is Mode.APPROVE else 0), "one run waits, not one a second"
        await fleet.clock.sleep(60)
        moved = [run for run in runs(fleet) if "bank" in run.applications]
        assert [run.state for run in moved] == [RunState.DONE]
        await fleet.stop()

    run_virtual(story())


def test_what_a_person_released_stays_released_over_a_restart_and_without_a_controller() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        for _ in range(3):
            fleet.kill_cluster("west-1")
            await fleet.clock.sleep(12)
            fleet.revive_cluster("west-1")
            await fleet.clock.sleep(20)
        held = fleet.controller.context.judgement.of_cluster(ClusterName("west-1"))
        assert held is not None
        assert held.hold_down_until is not None
        await fleet.crash()
        fleet.boot()
        await fleet.until(lambda: fleet.controller.acting, seconds=60)
        await fleet.controller.command({**PERSON, "verb": "ack", "target": "cluster/west-1"})
        await fleet.crash()
        fleet.boot()
        await fleet.until(lambda: fleet.controller.acting, seconds=60)
        released = fleet.controller.context.judgement.of_cluster(ClusterName("west-1"))
        assert released is not None
        assert released.hold_down_until is None
        await fleet.stop()

    run_virtual(story())


def test_a_resume_that_the_journal_does_not_take_ends_no_pause() -> None:
    """The person is told of an error, and automation stands still (simulation, seed 3344)."""

    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        await controller.command({**PERSON, "verb": "pause", "reason": "maintenance"})
        await controller.command({**PERSON, "verb": "cordon", "target": "region/north"})
        fleet.disk.tearing = True
        for verb in ({"verb": "resume"}, {"verb": "uncordon", "target": "region/north"}):
            with pytest.raises(StoreUnavailable):
                await controller.command({**PERSON, **verb})
        people = controller.context.people
        assert people.pause is not None
        assert [cordon.target for cordon in people.cordons] == ["region/north"]
        fleet.disk.tearing = False
        await fleet.clock.sleep(10)
        await controller.command({**PERSON, "verb": "resume"})
        assert controller.context.people.pause is None
        await fleet.stop()

    run_virtual(story())
