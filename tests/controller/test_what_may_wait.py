"""What may not be sent yet: it waits as long as it should, counted from when it could go, and holds up nothing beside it."""

from typing import Any

from failover.lab.fleet import TwinFleet
from failover.lab.virtual import run_virtual
from failover.model.journal import Run, RunState, StepState
from failover.model.observation import Outcome
from failover.model.plan import ChangeRecordsStep, Phase, ScaleStep
from failover.model.records import RecordSet, RecordType
from failover.model.verdict import VerdictKind
from tests.controller.test_region_loss_in_virtual_time import a_healthy_fleet, runs
from tests.support.drains import (
    LEDGER,
    LEDGER_NAME,
    NORTH,
    SOUTH,
    WEST,
    ended,
    kind_of,
    opened,
    run_of,
    started,
    two_applications,
)
from tests.support.policies import NAME, WEB

LONG_TTL = 300


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
