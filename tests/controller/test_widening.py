"""A run that is under way takes in further clusters of its region: that is a decision, and what holds back automation holds it."""

from dataclasses import replace
from typing import Any

from failover.lab.fleet import TwinFleet
from failover.lab.virtual import run_virtual
from failover.model.journal import RunWidened, StepState
from failover.model.plan import Plan, WaitReadyStep
from tests.controller.test_region_loss_in_virtual_time import a_healthy_fleet, runs

PERSON = {"actor": "ada@desk", "reason": "a look first"}


async def half_a_region_lost() -> TwinFleet:
    """north-1 is dead and its move under way, for nothing becomes ready elsewhere yet."""
    fleet = await a_healthy_fleet(clusters_per_region=2)
    for world in fleet.clusters.values():
        world.ready_s = 60.0
    fleet.kill_cluster("north-1")
    await fleet.until(lambda: runs(fleet), seconds=30)
    assert runs(fleet)[0].plan.sources == ("north-1",)
    return fleet


def test_the_other_cluster_of_the_region_comes_along() -> None:
    async def story() -> None:
        fleet = await half_a_region_lost()
        fleet.kill_cluster("north-2")
        await fleet.until(lambda: len(runs(fleet)[0].plan.sources) == 2, seconds=30)
        assert runs(fleet)[0].widened
        await fleet.stop()

    run_virtual(story())


def test_while_a_person_has_paused_nothing_comes_along_and_status_says_why() -> None:
    async def story() -> None:
        fleet = await half_a_region_lost()
        controller = fleet.controller
        assert controller is not None
        await controller.command({**PERSON, "verb": "pause"})
        fleet.kill_cluster("north-2")
        await fleet.clock.sleep(30)
        verdict = controller.context.judgement.of_cluster("north-2")
        assert verdict is not None
        assert verdict.confirmed
        assert runs(fleet)[0].plan.sources == ("north-1",)
        assert runs(fleet)[0].widened == ()
        told = [item.code for items in controller.context.refusals.values() for item in items]
        assert "paused" in told
        await controller.command({**PERSON, "verb": "resume"})
        await fleet.until(lambda: len(runs(fleet)[0].plan.sources) == 2, seconds=30)
        await fleet.stop()

    run_virtual(story())


def asking_for_more(plan: Plan) -> Plan:
    """The plan with waits for one replica more in each cluster."""
    return replace(
        plan,
        steps=tuple(
            replace(step, targets=tuple((name, ref, count + 1) for name, ref, count in step.targets))
            if isinstance(step, WaitReadyStep)
            else step
            for step in plan.steps
        ),
    )


def waits_of(plan: Plan) -> list[WaitReadyStep]:
    return [step for step in plan.steps if isinstance(step, WaitReadyStep)]


def ready(fleet: TwinFleet, step: WaitReadyStep) -> bool:
    """Whether what it waits for is ready, by the truth."""
    return all(fleet.clusters[name].settle(ref).ready >= count for name, ref, count in step.targets)


def test_what_was_looked_at_before_a_run_was_widened_ends_no_wait_of_the_wider_one() -> None:
    async def story() -> None:
        fleet = await half_a_region_lost()
        controller = fleet.controller
        assert controller is not None
        port: Any = controller.ports.clusters["south-1"]  # type: ignore[index]
        read, widened = port.read_workloads, []

        async def widening(*asked: Any) -> Any:
            states = await read(*asked)
            (run,) = controller.context.open_runs()
            if not widened and all(ready(fleet, step) for step in waits_of(run.plan)):
                widened.append(fleet.clock.now().mono)
                wider = asking_for_more(run.plan)
                await controller.context.append([(run.id, RunWidened(plan=wider, reason="a test"))])
            return states

        port.read_workloads = widening
        await fleet.until(lambda: widened, seconds=120)
        await fleet.clock.sleep(3.0)
        run = runs(fleet)[0]
        waits = waits_of(run.plan)
        assert waits
        assert [run.steps[step.id].state for step in waits] == [StepState.PENDING] * len(waits)
        await fleet.stop()

    run_virtual(story())
