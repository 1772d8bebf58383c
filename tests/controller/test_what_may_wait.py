"""What may not be sent yet: it waits as long as it should, counted from when it could go, and holds up nothing beside it."""

from dataclasses import replace
from typing import Any

from failover.lab.fleet import TwinFleet
from failover.lab.virtual import VirtualClock, run_virtual
from failover.model.ids import ApplicationName, ClusterName
from failover.model.journal import Run, RunState, StepState
from failover.model.observation import Outcome
from failover.model.plan import ChangeRecordsStep, Phase, ScaleStep
from failover.model.policy import PlacementRule, Workload, WorkloadRef
from failover.model.records import RecordSet, RecordType
from failover.model.verdict import VerdictKind
from tests.controller.test_region_loss_in_virtual_time import PERSON, a_healthy_fleet, runs
from tests.support.policies import NAME, WEB, policy

NORTH, SOUTH, WEST = (ClusterName(name) for name in ("north-1", "south-1", "west-1"))
LEDGER = WorkloadRef(object_kind="Deployment", namespace="ledger", name="api")
LEDGER_NAME = "ledger.example.test."
LONG_TTL = 300


async def started(fleet: TwinFleet, kind: str) -> str:
    assert fleet.controller is not None
    answer = await fleet.controller.command({**PERSON, "verb": "start", "kind": kind, "domain": "north"})
    return str(answer["run"])


def run_of(fleet: TwinFleet, run: str) -> Run:
    assert fleet.controller is not None
    return fleet.controller.context.runs[run]  # type: ignore[index]


async def ended(fleet: TwinFleet, run: str) -> Run:
    await fleet.until(lambda: run_of(fleet, run).state.final, seconds=1500)
    return run_of(fleet, run)


def kind_of(fleet: TwinFleet, cluster: ClusterName) -> VerdictKind:
    assert fleet.controller is not None
    verdict = fleet.controller.context.judgement.of_cluster(cluster)
    assert verdict is not None
    return verdict.kind


def with_long_ttl(fleet: TwinFleet) -> None:
    zone = next(iter(fleet.zones.values()))
    values = fleet.addresses("example-test", NAME)
    zone.set_records(RecordSet(name=NAME, record_type=RecordType.A, ttl=LONG_TTL, values=values))


def test_the_wait_for_an_old_ttl_uses_up_no_patience() -> None:
    """Five minutes after a failback began, its last steps meet a control plane that is away for half a minute."""

    async def story() -> None:
        fleet = await a_healthy_fleet()
        fleet.kill_cluster(NORTH)
        await fleet.until(lambda: runs(fleet) and runs(fleet)[0].state is RunState.DONE, seconds=60)
        fleet.revive_cluster(NORTH)
        await fleet.until(lambda: kind_of(fleet, NORTH) is VerdictKind.HEALTHY, seconds=60)
        with_long_ttl(fleet)
        await fleet.clock.sleep(60)
        run = await started(fleet, "failback")
        await fleet.clock.sleep(LONG_TTL - 15)
        assert run_of(fleet, run).state is RunState.RUNNING
        fleet.paths.control[SOUTH] = Outcome.TIMEOUT
        await fleet.until(lambda: kind_of(fleet, SOUTH) is VerdictKind.CONTROL_PLANE_DOWN, seconds=60)
        await fleet.clock.sleep(30)
        assert fleet.replicas(WEB)[WEST][0] == 6, "the wait is over"
        assert fleet.replicas(WEB)[SOUTH][0] > 6
        assert run_of(fleet, run).state is RunState.RUNNING, "not yet is not never"
        del fleet.paths.control[SOUTH]
        assert (await ended(fleet, run)).state is RunState.DONE
        assert fleet.replicas(WEB)[SOUTH][0] == 6
        await fleet.stop()

    run_virtual(story())


def two_applications(shop_at: ClusterName = WEST) -> TwinFleet:
    """The ledger stands in at south only, the shop at west only (or `shop_at`); both run in the north."""
    made = policy()
    (shop,) = made.applications

    def at(*names: ClusterName) -> tuple[PlacementRule, ...]:
        return tuple(PlacementRule(cluster=name) for name in names)

    def made_of(application: Any, ref: WorkloadRef, name: str, stand_in: ClusterName) -> Any:
        return replace(
            application,
            workloads=(Workload(ref=ref, placement=at(NORTH, stand_in)),),
            dns=(replace(application.dns[0], name=name, clusters=(NORTH, stand_in)),),
        )

    ledger = made_of(replace(shop, name=ApplicationName("ledger")), LEDGER, LEDGER_NAME, SOUTH)
    applications = (ledger, made_of(shop, WEB, NAME, shop_at))
    return TwinFleet(replace(made, applications=applications), VirtualClock(), seed=3)


async def opened(fleet: TwinFleet, shop_at: ClusterName = WEST) -> None:
    zone = next(iter(fleet.zones.values()))
    address = {entry.name: entry.ipv4[0] for entry in fleet.policy.fleet.clusters}
    for name, ref, stand_in in ((LEDGER_NAME, LEDGER, SOUTH), (NAME, WEB, shop_at)):
        values = tuple(sorted((address[NORTH], address[stand_in])))
        zone.set_records(RecordSet(name=name, record_type=RecordType.A, ttl=30, values=values))
        for cluster in (NORTH, stand_in):
            fleet.clusters[cluster].add(ref, 4)
    controller = fleet.boot()
    fleet.start_vantages()
    await fleet.until(lambda: controller.context.judgement.warm_up is None, seconds=60)
    await fleet.clock.sleep(15)


def test_an_application_that_must_wait_holds_up_no_other_in_the_same_cluster() -> None:
    async def story() -> None:
        fleet = two_applications()
        await opened(fleet)
        run = await started(fleet, "drain")
        await fleet.until(lambda: len(fleet.addresses("example-test", LEDGER_NAME)) == 1, seconds=60)
        releases = [
            step
            for step in run_of(fleet, run).plan.steps
            if isinstance(step, ScaleStep) and step.phase is Phase.RELEASE
        ]
        assert [step.application for step in releases] == ["ledger", "shop"], (
            "the one that must wait is first"
        )
        fleet.kill_cluster(SOUTH)
        await fleet.until(lambda: fleet.replicas(WEB)[NORTH][0] == 0, seconds=60)
        assert fleet.replicas(LEDGER)[NORTH][0] == 4, "the last copy stays"
        assert run_of(fleet, run).state is RunState.RUNNING, "it is still waited for"
        assert (await ended(fleet, run)).state is RunState.PARTIAL
        assert fleet.replicas(LEDGER)[NORTH][0] == 4
        await fleet.stop()

    run_virtual(story())


def test_a_step_that_waits_for_the_world_has_its_cluster_read_now_and_then() -> None:
    """Twice a second: a cluster in trouble needs no controller that asks it twenty times a second how it is."""

    async def story() -> None:
        fleet = two_applications()
        await opened(fleet)
        run = await started(fleet, "drain")
        await fleet.until(lambda: len(fleet.addresses("example-test", LEDGER_NAME)) == 1, seconds=60)
        fleet.kill_cluster(SOUTH)
        await fleet.until(lambda: fleet.replicas(WEB)[NORTH][0] == 0, seconds=60)
        assert fleet.controller is not None
        port: Any = fleet.controller.ports.clusters[NORTH]
        read, reads = port.read_workloads, []

        async def counting(*asked: Any) -> Any:
            reads.append(fleet.clock.now().mono)
            return await read(*asked)

        port.read_workloads = counting
        await fleet.clock.sleep(20)
        assert run_of(fleet, run).state is RunState.RUNNING, "it still waits"
        assert 20 <= len(reads) <= 45
        await fleet.stop()

    run_virtual(story())


def is_next(run: Run) -> bool:
    """Only its record change is still to do."""
    return {type(step) for step in run.plan.steps if run.steps[step.id].state is StepState.PENDING} == {
        ChangeRecordsStep
    }


def test_a_lease_that_is_lost_while_a_zone_is_read_is_no_defect() -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = fleet.controller
        assert controller is not None
        zone: Any = next(iter(controller.ports.zones.values()))
        read, lost = zone.read, []

        async def losing(*asked: Any) -> Any:
            found = await read(*asked)
            if not lost and any(map(is_next, controller.context.open_runs())):
                lost.append(True)
                controller.context.leadership.lose("another acts")
            return found

        zone.read = losing
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: lost, seconds=60)
        await fleet.until(
            lambda: any(run.state is RunState.DONE for run in controller.context.runs.values()), seconds=120
        )
        assert not [line for line in fleet.log.lines if " defect " in line]
        await fleet.stop()

    run_virtual(story())
