"""What keeps a change back now: `status` names that, and not what did before."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from failover.controller.changing import halt
from failover.execution.rules import refuse
from failover.lab.virtual import run_virtual
from failover.model.errors import Rejected, Throttled, Unavailable
from failover.model.journal import IntentRecorded, RunState, ScaleChange
from failover.model.observation import Outcome
from failover.model.verdict import VerdictKind
from tests.controller.test_region_loss_in_virtual_time import runs
from tests.support.drains import (
    LEDGER,
    LEDGER_NAME,
    NORTH,
    SOUTH,
    WEST,
    a_second_before,
    answers_no_more,
    ended,
    fenced,
    kind_of,
    opened,
    port_of,
    reads,
    run_of,
    started,
    two_applications,
    waits_for,
)
from tests.support.policies import WEB


def test_status_says_what_keeps_it_back_now_and_not_what_did() -> None:
    async def story() -> None:
        fleet = two_applications()
        _, over = await a_second_before(fleet)
        answers_no_more(fleet)
        await fleet.until(over, seconds=5)
        await fleet.clock.sleep(3)
        assert "ready in south-1" in waits_for(fleet)
        fleet.clusters[SOUTH].faults.down = False
        fleet.clusters[NORTH].faults.down = True
        await fleet.clock.sleep(10)
        assert waits_for(fleet).startswith("ledger in north-1: not yet: it cannot be read: "), waits_for(
            fleet
        )
        await fleet.stop()

    run_virtual(story())


def test_what_keeps_the_fence_back_keeps_every_change_behind_it_back() -> None:
    async def story() -> None:
        fleet = fenced(two_applications())
        await opened(fleet)
        await started(fleet, "drain")
        await fleet.until(lambda: len(fleet.addresses("example-test", LEDGER_NAME)) == 1, seconds=60)
        fleet.paths.control[NORTH] = Outcome.TIMEOUT
        await fleet.until(lambda: kind_of(fleet, NORTH) is VerdictKind.CONTROL_PLANE_DOWN, seconds=60)
        await fleet.clock.sleep(60)
        assert fleet.controller is not None
        assert len(fleet.controller.context.kept_back.turns()) == 2, (
            "a line for each change, however often the fence was tried"
        )
        assert "north-1 is CONTROL_PLANE_DOWN" in waits_for(fleet)
        assert fleet.replicas(WEB)[WEST][0] > 0
        await fleet.stop()

    run_virtual(story())


def test_a_fence_that_is_refused_is_what_status_names() -> None:
    async def story() -> None:
        fleet = fenced(two_applications())
        _, over = await a_second_before(fleet)

        async def forbidden(permit: Any, change: Any) -> Any:
            raise Rejected("403: configmaps failover-fence is forbidden", target=NORTH)

        port_of(fleet, NORTH).raise_fence = forbidden
        fleet.clusters[NORTH].faults.down = True
        await fleet.until(over, seconds=5)
        await fleet.clock.sleep(3)
        assert "it cannot be read" in waits_for(fleet)
        fleet.clusters[NORTH].faults.down = False
        await fleet.clock.sleep(10)
        assert "not yet: the fence there is not raised: 403" in waits_for(fleet), waits_for(fleet)
        await fleet.stop()

    run_virtual(story())


def test_what_is_still_read_when_a_run_halts_keeps_nothing_back() -> None:
    async def story() -> None:
        fleet = two_applications()
        run, _ = await a_second_before(fleet)
        assert fleet.controller is not None
        context = fleet.controller.context

        async def in_vain(number: int) -> None:
            await fleet.clock.sleep(5)
            raise Unavailable("connection refused", target=NORTH)

        reading = reads(fleet, NORTH, in_vain)
        await fleet.until(lambda: reading, seconds=8)
        await halt(context, context.runs[run], refuse("doubt", "for the story"))  # type: ignore[index]
        await fleet.clock.sleep(10)
        assert run_of(fleet, run).state is RunState.HALTED
        assert not context.kept_back.turns()
        await fleet.stop()

    run_virtual(story())


@pytest.mark.parametrize("down", [False, True])
def test_what_is_lost_is_brought_back_in_the_plans_order_whatever_was_in_the_way(down: bool) -> None:
    """The ledger is first in the plan. South's API is away for a second just as it is to be changed."""

    async def story() -> None:
        fleet = two_applications(SOUTH)
        fleet.policy = replace(fleet.policy, guards=replace(fleet.policy.guards, changes_per_second=1.0))
        await opened(fleet, SOUTH)
        fleet.kill_cluster(NORTH)
        await fleet.until(lambda: runs(fleet), seconds=60)
        if down:
            answers_no_more(fleet)
            await fleet.clock.sleep(1)
            fleet.clusters[SOUTH].faults.down = False
        await fleet.until(lambda: runs(fleet)[0].state.final, seconds=60)
        wanted = [
            entry.entry.intent.change.workload
            for entry in fleet.disk.journal
            if isinstance(entry.entry, IntentRecorded) and isinstance(entry.entry.intent.change, ScaleChange)
        ]
        assert wanted == [LEDGER, WEB]
        await fleet.stop()

    run_virtual(story())


@pytest.mark.parametrize("at_first", [False, True])
def test_only_what_rules_kept_it_back_uses_patience_up(at_first: bool) -> None:
    """The source cannot be read for two minutes: a 429 of the refuge before that, and one after it, are no reason to give up."""

    async def story() -> None:
        fleet = two_applications()
        run, over = await a_second_before(fleet)
        throttled = []

        async def throttled_once(number: int) -> None:
            if not throttled:
                throttled.append(number)
                raise Throttled("429 Too Many Requests", target=SOUTH, retry_after_s=1.0)

        asked = reads(fleet, SOUTH, throttled_once)
        if at_first:
            await fleet.until(lambda: throttled, seconds=10)
        fleet.clusters[NORTH].faults.down = True
        await fleet.until(over, seconds=5)
        await fleet.clock.sleep(125)
        throttled.clear()
        fleet.clusters[NORTH].faults.down = False
        assert (await ended(fleet, run)).state is RunState.DONE
        assert len(asked) > 1 + at_first
        await fleet.stop()

    run_virtual(story())


def test_it_is_given_up_after_two_minutes() -> None:
    async def story() -> None:
        fleet = two_applications()
        run, over = await a_second_before(fleet)
        answers_no_more(fleet)
        await fleet.until(over, seconds=5)
        began = fleet.clock.now().mono
        assert (await ended(fleet, run)).state is RunState.PARTIAL
        assert 115 < fleet.clock.now().mono - began < 150
        assert fleet.replicas(LEDGER)[NORTH][0] == 4
        await fleet.stop()

    run_virtual(story())


@pytest.mark.parametrize("hours", [-1, 1])
def test_patience_knows_no_wall_clock(hours: int) -> None:
    async def story() -> None:
        fleet = two_applications()
        run, over = await a_second_before(fleet)
        answers_no_more(fleet)
        await fleet.until(over, seconds=5)
        began = fleet.clock.now().mono
        await fleet.clock.sleep(10)
        fleet.clock.wall_offset += timedelta(hours=hours)  # type: ignore[attr-defined]
        assert (await ended(fleet, run)).state is RunState.PARTIAL
        assert 115 < fleet.clock.now().mono - began < 150
        assert "nobody knows what is ready in south-1" in run_of(fleet, run).sentence
        await fleet.stop()

    run_virtual(story())


def test_a_long_wish_to_be_left_alone_does_not_use_the_patience_up() -> None:
    async def story() -> None:
        fleet = two_applications()
        run, _ = await a_second_before(fleet)

        async def throttled_once(number: int) -> None:
            if number == 1:
                raise Throttled("429 Too Many Requests", target=SOUTH, retry_after_s=300.0)

        reads(fleet, SOUTH, throttled_once)
        assert (await ended(fleet, run)).state is RunState.DONE
        await fleet.stop()

    run_virtual(story())
