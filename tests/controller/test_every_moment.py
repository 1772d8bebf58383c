"""Whatever happens, at whatever moment of a run: pause, abort, a crash, the region's return, a clock that jumps.

A moment is one more entry in the journal of an evacuation; the story is told again for each.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from failover.controller.app import Controller
from failover.lab.fleet import TwinFleet
from failover.lab.virtual import run_virtual
from failover.model.journal import Run, RunState
from failover.model.verdict import VerdictKind
from tests.controller.test_region_loss_in_virtual_time import PERSON, a_healthy_fleet, runs
from tests.support.policies import NAME, WEB

HOME = ("198.51.100.11", "198.51.100.21", "198.51.100.31")
AWAY = ("198.51.100.21", "198.51.100.31")
MOMENTS = range(16)
GRACE_S = 2.0
"""What was sent before somebody said stop may still be answered."""

Disturbance = Callable[[TwinFleet], Awaitable[None]]


def the_run(fleet: TwinFleet) -> Run:
    return runs(fleet)[0]


def controller_of(fleet: TwinFleet) -> Controller:
    assert fleet.controller is not None
    return fleet.controller


def writes(fleet: TwinFleet) -> int:
    """Everything that clusters and zones have taken so far."""
    return sum(len(world.writes) for world in fleet.clusters.values()) + sum(
        zone.updates for zone in fleet.zones.values()
    )


async def at_moment(moment: int) -> TwinFleet:
    """North is lost, and the journal has `moment` more entries than when the run was opened, or the run is over."""
    fleet = await a_healthy_fleet()
    controller = controller_of(fleet)
    fleet.kill_cluster("north-1")
    await fleet.until(lambda: runs(fleet), seconds=30, step=0.01)
    opened = controller.journal_head
    await fleet.until(
        lambda: controller.journal_head >= opened + moment or the_run(fleet).state.final,
        seconds=60,
        step=0.002,
    )
    return fleet


async def ended(fleet: TwinFleet, seconds: float = 120) -> Run:
    await fleet.until(lambda: the_run(fleet).state.final, seconds=seconds)
    return the_run(fleet)


def check_world(fleet: TwinFleet, run: Run) -> None:
    """What must hold however a run ended."""
    served = fleet.addresses("example-test", NAME)
    assert served in (HOME, AWAY), "all of a record set's change or none of it"
    assert fleet.replicas(WEB)["north-1"][0] == 6, "the source's objects are left alone"
    if run.state is RunState.DONE:
        assert served == AWAY
        assert sum(fleet.replicas(WEB)[name][1] for name in ("south-1", "west-1")) == 18


@pytest.mark.parametrize("moment", MOMENTS)
def test_pause_stops_the_run_and_resume_ends_it(moment: int) -> None:
    async def story() -> None:
        fleet = await at_moment(moment)
        controller = controller_of(fleet)
        await controller.command({**PERSON, "verb": "pause", "reason": "wait"})
        await fleet.clock.sleep(GRACE_S)
        sent = writes(fleet)
        await fleet.clock.sleep(20)
        assert writes(fleet) == sent, "nothing is sent while paused"
        await controller.command({**PERSON, "verb": "resume"})
        run = await ended(fleet)
        assert run.state is RunState.DONE, run.sentence
        check_world(fleet, run)
        await fleet.stop()

    run_virtual(story())


@pytest.mark.parametrize("moment", MOMENTS)
def test_abort_ends_the_run_at_a_safe_point(moment: int) -> None:
    async def story() -> None:
        fleet = await at_moment(moment)
        controller = controller_of(fleet)
        if not the_run(fleet).state.final:
            await controller.command({**PERSON, "verb": "abort", "run": the_run(fleet).id, "reason": "no"})
        run = await ended(fleet)
        check_world(fleet, run)
        sent = writes(fleet)
        await fleet.clock.sleep(30)
        assert (writes(fleet), len(runs(fleet))) == (sent, 1), (
            "automation does not do again what a person stopped"
        )
        await fleet.stop()

    run_virtual(story())


async def crash(fleet: TwinFleet) -> None:
    await fleet.crash()
    fleet.boot()
    for runner in fleet._vantages:
        runner.stop()
    fleet._vantages.clear()
    fleet.start_vantages()
    await fleet.until(lambda: runs(fleet), seconds=30)


async def forward(fleet: TwinFleet) -> None:
    fleet.clock.wall_offset += timedelta(hours=2)  # type: ignore[attr-defined]


async def backward(fleet: TwinFleet) -> None:
    fleet.clock.wall_offset -= timedelta(hours=2)  # type: ignore[attr-defined]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("disturbance", [crash, forward, backward])
def test_the_run_ends_in_the_same_world(disturbance: Disturbance, moment: int) -> None:
    async def story() -> None:
        fleet = await at_moment(moment)
        await disturbance(fleet)
        run = await ended(fleet)
        assert run.state is RunState.DONE, run.sentence
        check_world(fleet, run)
        assert len(runs(fleet)) == 1
        await fleet.stop()

    run_virtual(story())


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_region_that_returns_in_the_middle_is_not_cut_off_twice(moment: int) -> None:
    async def story() -> None:
        fleet = await at_moment(moment)
        controller = controller_of(fleet)
        written = the_run(fleet).dns_written
        fleet.revive_cluster("north-1")
        run = await ended(fleet)
        check_world(fleet, run)
        if written:
            assert run.state is RunState.DONE, "after the first DNS write: finish, then hold down"
        await fleet.until(
            lambda: controller.context.judgement.of_cluster("north-1").kind is VerdictKind.HEALTHY, seconds=60
        )
        await fleet.clock.sleep(30)
        assert len(runs(fleet)) == 1
        await fleet.stop()

    run_virtual(story())


# -- windows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("meanwhile", ["", "restart", "lapse"])
@pytest.mark.parametrize("hours", [2, -2])
def test_a_clock_that_jumps_shortens_no_window(hours: int, meanwhile: str) -> None:
    """One region an hour: two hours on the wall clock are not two hours. Nor are they where the jump is met while the lease has
    run out, and the same leadership then goes on (simulation, seed 9 of two hours).
    """

    async def story() -> None:
        fleet = await at_moment(0)
        await ended(fleet)
        fleet.revive_cluster("north-1")
        await fleet.until(
            lambda: controller_of(fleet).context.judgement.of_cluster("north-1").kind is VerdictKind.HEALTHY,
            seconds=60,
        )
        await fleet.clock.sleep(120)
        leadership = controller_of(fleet).context.leadership
        if meanwhile == "lapse":
            assert leadership.lease is not None
            leadership.lease = replace(leadership.lease, expires_mono=0.0)
        fleet.clock.wall_offset += timedelta(hours=hours)  # type: ignore[attr-defined]
        await fleet.clock.sleep(60)
        if meanwhile == "restart":
            await crash(fleet)
            await fleet.clock.sleep(60)
        controller = controller_of(fleet)
        assert controller.acting
        fleet.kill_cluster("south-1")
        await fleet.clock.sleep(60)
        codes = {item.code for found in controller.context.refusals.values() for item in found}
        assert "rate" in codes, codes
        assert len(runs(fleet)) == 1
        await fleet.stop()

    run_virtual(story())


@pytest.mark.parametrize("hours", [2, -2])
def test_a_drain_waits_for_the_old_ttl_whatever_the_wall_clock_says(hours: int) -> None:
    async def story() -> None:
        fleet = await a_healthy_fleet()
        controller = controller_of(fleet)
        await controller.command({**PERSON, "verb": "start", "kind": "drain", "domain": "north"})
        await fleet.until(lambda: fleet.addresses("example-test", NAME) == AWAY, seconds=60, step=0.01)
        left = fleet.clock.now().mono
        await fleet.clock.sleep(1)
        fleet.clock.wall_offset += timedelta(hours=hours)  # type: ignore[attr-defined]
        await fleet.until(lambda: fleet.replicas(WEB)["north-1"][0] == 0, seconds=120, step=0.01)
        assert 5 <= fleet.clock.now().mono - left <= 60
        assert (await ended(fleet)).state is RunState.DONE
        await fleet.stop()

    run_virtual(story())
