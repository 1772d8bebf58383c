"""I9 and I10 at the moment when something is taken away: what is counted on is asked just then, and nobody's answer is no answer.

In these stories south carries the ledger and west the shop; both are to be taken away in the north, a second after each begins.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from failover.lab.fleet import TwinFleet
from failover.lab.virtual import run_virtual
from failover.model.errors import Throttled, Unavailable
from failover.model.journal import IntentRecorded, RunState, ScaleChange, StepState
from failover.model.plan import WaitReadyStep
from failover.model.policy import PlacementRule, WorkloadRef
from failover.model.verdict import VerdictKind
from tests.support.drains import (
    LEDGER,
    LEDGER_NAME,
    NORTH,
    SOUTH,
    WEST,
    a_second_before,
    answers_no_more,
    at_once,
    ended,
    held_up,
    kind_of,
    loses_its_nodes,
    opened,
    port_of,
    port_of_zone,
    reads,
    run_of,
    started,
    the_last_copy_stays,
    two_applications,
    waits_for,
)
from tests.support.policies import WEB


@pytest.mark.parametrize(
    ("befalls", "said"),
    [
        (loses_its_nodes, "less than planned is ready in south-1"),
        (answers_no_more, "nobody knows what is ready in south-1 (connection refused)"),
    ],
)
def test_what_is_counted_on_is_looked_at_just_before_something_is_taken_away(befalls: Any, said: str) -> None:
    """What carries the ledger now is lost a second before the source may go: no probe and no inventory has told it yet."""

    async def story() -> None:
        fleet = two_applications()
        run, over = await a_second_before(fleet)
        befalls(fleet)
        await fleet.until(over, seconds=5)
        assert kind_of(fleet, SOUTH) is VerdictKind.HEALTHY, "nobody has noticed"
        await fleet.clock.sleep(5)
        the_last_copy_stays(fleet)
        await fleet.until(lambda: fleet.replicas(WEB)[NORTH][0] == 0, seconds=60)
        assert run_of(fleet, run).state is RunState.RUNNING, "it is waited for"
        assert waits_for(fleet).startswith(f"ledger in {NORTH}: not yet: {said}"), waits_for(fleet)
        fleet.clusters[SOUTH].faults.down = False
        fleet.clusters[SOUTH].set_nodes(4)
        assert (await ended(fleet, run)).state is RunState.DONE
        assert fleet.replicas(LEDGER)[NORTH][0] == 0
        assert fleet.controller is not None
        assert not fleet.controller.context.kept_back.turns(), "what is over keeps nothing back"
        await fleet.stop()

    run_virtual(story())


def test_it_is_asked_after_a_slow_source_was_read_and_not_before() -> None:
    async def story() -> None:
        fleet = two_applications()
        _, over = await a_second_before(fleet)
        reads(fleet, NORTH, lambda number: fleet.clock.sleep(8))
        await fleet.until(over, seconds=5)
        await fleet.clock.sleep(1.5)
        loses_its_nodes(fleet)
        answers_no_more(fleet)
        await fleet.clock.sleep(20)
        the_last_copy_stays(fleet)
        await fleet.stop()

    run_virtual(story())


def test_what_is_read_counts_where_no_inventory_tells_of_it() -> None:
    async def story() -> None:
        fleet = two_applications()
        _, over = await a_second_before(fleet)
        loses_its_nodes(fleet)

        async def no_list(refs: Sequence[WorkloadRef]) -> Any:
            raise Unavailable("no list", target=SOUTH)

        port_of(fleet, SOUTH).inventory = no_list
        assert fleet.controller is not None
        del fleet.controller.context.world.inventories[SOUTH]
        await fleet.until(over, seconds=5)
        await fleet.clock.sleep(5)
        the_last_copy_stays(fleet)
        assert "less than planned is ready in south-1" in waits_for(fleet)
        await fleet.stop()

    run_virtual(story())


def test_a_cluster_that_wants_to_be_left_alone_is_left_alone_and_not_counted_on() -> None:
    async def story() -> None:
        fleet = two_applications()
        _, over = await a_second_before(fleet)
        port = port_of(fleet, SOUTH)
        read = port.read_workloads

        async def throttled(number: int) -> None:
            raise Throttled("429 Too Many Requests", target=SOUTH, retry_after_s=30.0)

        asked = reads(fleet, SOUTH, throttled)
        await fleet.until(over, seconds=5)
        await fleet.clock.sleep(20)
        assert len(asked) == 1
        assert "nobody knows what is ready in south-1 (429 Too Many Requests)" in waits_for(fleet)
        port.read_workloads = read
        await fleet.until(lambda: fleet.replicas(LEDGER)[NORTH][0] == 0, seconds=15)
        await fleet.stop()

    run_virtual(story())


def hangs(fleet: TwinFleet) -> Any:
    async def hang(refs: Sequence[WorkloadRef]) -> Any:
        await fleet.clock.sleep(600)

    return hang


def breaks(fleet: TwinFleet) -> Any:
    async def broken(refs: Sequence[WorkloadRef]) -> Any:
        raise KeyError("a defect of ours")

    return broken


@pytest.mark.parametrize("ill", [hangs, breaks])
def test_what_is_counted_on_by_one_application_holds_up_no_other(ill: Callable[[TwinFleet], Any]) -> None:
    async def story() -> None:
        fleet = two_applications()
        _, over = await a_second_before(fleet)
        port_of(fleet, SOUTH).read_workloads = ill(fleet)
        await fleet.until(over, seconds=5)
        await fleet.until(lambda: fleet.replicas(WEB)[NORTH][0] == 0, seconds=15)
        assert fleet.replicas(LEDGER)[NORTH][0] == 4
        await fleet.stop()

    run_virtual(story())


@pytest.mark.parametrize("guards", [{"changes_per_second": 1.0}, {"parallel_per_cluster": 1}])
@pytest.mark.parametrize("ill", [hangs, breaks])
def test_a_step_that_is_kept_back_takes_nobodys_turn_away(
    ill: Callable[[TwinFleet], Any], guards: dict[str, Any]
) -> None:
    async def story() -> None:
        fleet = two_applications()
        fleet.policy = replace(fleet.policy, guards=replace(fleet.policy.guards, **guards))
        _, over = await a_second_before(fleet)
        port_of(fleet, SOUTH).read_workloads = ill(fleet)
        await fleet.until(over, seconds=5)
        await fleet.until(lambda: fleet.replicas(WEB)[NORTH][0] == 0, seconds=15)
        assert fleet.replicas(LEDGER)[NORTH][0] == 4
        await fleet.stop()

    run_virtual(story())


def test_what_another_application_counts_on_makes_no_answer_old() -> None:
    """West keeps the shop's question waiting; meanwhile south, which had answered for the ledger, is lost."""

    async def story() -> None:
        fleet = two_applications()
        await a_second_before(fleet)
        reads(fleet, WEST, lambda number: fleet.clock.sleep(600))
        told = reads(fleet, SOUTH, at_once)

        async def not_now(number: int) -> None:
            raise Unavailable("not now", target=NORTH)

        scaled = held_up(fleet, NORTH, "scale", not_now)
        await fleet.until(lambda: told, seconds=10)
        await fleet.clock.sleep(0.6)
        loses_its_nodes(fleet)
        await fleet.clock.sleep(20)
        assert scaled
        assert max(scaled) < told[0] + 0.6, "it went at once, or not at all"
        await fleet.stop()

    run_virtual(story())


def test_what_waited_for_its_turn_does_not_go_by_an_old_answer() -> None:
    async def story() -> None:
        fleet = two_applications()
        fleet.policy = replace(fleet.policy, guards=replace(fleet.policy.guards, parallel_per_cluster=1))
        await a_second_before(fleet)
        north = port_of(fleet, NORTH)
        scale, sent = north.scale, []

        async def slowly(permit: Any, change: Any) -> Any:
            sent.append(change.workload)
            if len(sent) == 1:
                await fleet.clock.sleep(4)
            return await scale(permit, change)

        north.scale = slowly
        await fleet.until(lambda: sent, seconds=10)
        other, refuge = (WEB, WEST) if sent[0] == LEDGER else (LEDGER, SOUTH)
        await fleet.clock.sleep(0.5)
        fleet.clusters[refuge].set_nodes(0, noticed_s=600)
        await fleet.clock.sleep(12)
        assert len(sent) == 1
        assert fleet.replicas(other)[NORTH][0] == 4, "the last copy stays"
        await fleet.stop()

    run_virtual(story())


@pytest.mark.parametrize(("seconds", "state"), [(4, RunState.DONE), (6, RunState.PARTIAL)])
def test_a_slow_cluster_is_counted_on_where_it_answers_within_five_seconds(
    seconds: float, state: RunState
) -> None:
    async def story() -> None:
        fleet = two_applications()
        run, _ = await a_second_before(fleet)
        reads(fleet, SOUTH, lambda number: fleet.clock.sleep(seconds))
        assert (await ended(fleet, run)).state is state
        await fleet.stop()

    run_virtual(story())


def test_an_answer_that_was_long_on_its_way_is_not_gone_by() -> None:
    """South says what is ready, and is lost before that arrives."""

    async def story() -> None:
        fleet = two_applications()
        await a_second_before(fleet)
        port = port_of(fleet, SOUTH)
        read, told = port.read_workloads, []

        async def late(refs: Sequence[WorkloadRef]) -> Any:
            found = await read(refs)
            told.append(fleet.clock.now().mono)
            await fleet.clock.sleep(9)
            return found

        port.read_workloads = late
        await fleet.until(lambda: told, seconds=10)
        await fleet.clock.sleep(0.3)
        loses_its_nodes(fleet)
        await fleet.clock.sleep(40)
        the_last_copy_stays(fleet)
        await fleet.stop()

    run_virtual(story())


def test_a_slow_journal_makes_no_old_answer_good() -> None:
    """Every intent takes three seconds to the disk; meanwhile both refuges are lost. The first removal is on its way by then."""

    async def story() -> None:
        fleet = two_applications()
        await a_second_before(fleet)
        assert fleet.controller is not None
        store: Any = fleet.controller.ports.store
        append, appended = store.append_batch, []

        async def slowly(epoch: Any, entries: Any) -> Any:
            changes = [entry.intent.change for _, entry in entries if isinstance(entry, IntentRecorded)]
            if any(isinstance(change, ScaleChange) for change in changes):
                appended.append(fleet.clock.now().mono)
                await fleet.clock.sleep(3)
            return await append(epoch, entries)

        store.append_batch = slowly
        await fleet.until(lambda: appended, seconds=10)
        await fleet.clock.sleep(0.3)
        fleet.clusters[WEST].set_nodes(0, noticed_s=600)
        loses_its_nodes(fleet)
        await fleet.clock.sleep(20)
        kept = [ref for ref in (WEB, LEDGER) if fleet.replicas(ref)[NORTH][0] == 4]
        assert len(kept) == 1, "the second one would have gone six seconds after the question"
        await fleet.stop()

    run_virtual(story())


def test_an_object_that_cannot_be_understood_keeps_back_its_own_application_only() -> None:
    async def story() -> None:
        fleet = two_applications()
        run, _ = await a_second_before(fleet)
        port = port_of(fleet, SOUTH)
        read = port.read_workloads

        async def some(refs: Sequence[WorkloadRef]) -> Any:
            if LEDGER in refs:
                raise Unavailable(f"{LEDGER} cannot be understood", target=SOUTH)
            return await read(refs)

        port.read_workloads = some
        assert (await ended(fleet, run)).state is RunState.PARTIAL
        assert fleet.replicas(LEDGER)[NORTH][0] == 4
        assert fleet.replicas(WEB)[NORTH][0] == 0
        await fleet.stop()

    run_virtual(story())


def test_what_the_adapter_reads_before_it_writes_makes_no_old_answer_good() -> None:
    """The port asks who the cluster is, and for the autoscaler, before its bytes go: that may take as long as it likes."""

    async def story() -> None:
        fleet = two_applications()
        await a_second_before(fleet)
        begun = held_up(fleet, NORTH, "scale", lambda number: fleet.clock.sleep(6.5))
        await fleet.until(lambda: begun, seconds=10)
        await fleet.clock.sleep(0.5)
        loses_its_nodes(fleet)
        await fleet.clock.sleep(30)
        the_last_copy_stays(fleet)
        await fleet.stop()

    run_virtual(story())


def test_one_that_hangs_makes_the_answers_beside_it_no_older() -> None:
    """The shop's floor is 50 %: west alone carries it. South hangs, and the source takes six seconds to be read."""

    async def story() -> None:
        fleet = two_applications()
        ledger, shop = fleet.policy.applications
        rules = tuple(PlacementRule(cluster=name) for name in (NORTH, SOUTH, WEST))
        wide = replace(
            shop,
            floor=50,
            workloads=(replace(shop.workloads[0], placement=rules),),
            dns=(replace(shop.dns[0], clusters=(NORTH, SOUTH, WEST)),),
        )
        fleet.policy = replace(fleet.policy, applications=(ledger, wide))
        fleet.clusters[SOUTH].add(WEB, 4)
        run, _ = await a_second_before(fleet)
        read = port_of(fleet, SOUTH).read_workloads

        async def hangs_for_the_shop(refs: Sequence[WorkloadRef]) -> Any:
            if WEB in refs:
                await fleet.clock.sleep(600)
            return await read(refs)

        port_of(fleet, SOUTH).read_workloads = hangs_for_the_shop
        reads(fleet, NORTH, lambda number: fleet.clock.sleep(6))
        await fleet.until(lambda: fleet.replicas(WEB)[NORTH][0] == 0, seconds=60)
        assert run_of(fleet, run).state is not RunState.PARTIAL
        await fleet.stop()

    run_virtual(story())


@pytest.mark.parametrize("befalls", [loses_its_nodes, answers_no_more])
def test_clients_are_not_sent_away_from_what_serves_onto_what_was_just_lost(befalls: Any) -> None:
    """A drain's record change, too, counts on what is ready now and not when the wait for it was over."""

    async def story() -> None:
        fleet = two_applications()
        await opened(fleet)
        zone = port_of_zone(fleet)
        read = zone.read
        lost: list[bool] = []

        async def lost_while_it_is_read(*asked: Any) -> Any:
            found = await read(*asked)
            assert fleet.controller is not None
            waits = [
                run.steps[step.id].state is StepState.DONE
                for run in fleet.controller.context.open_runs()
                for step in run.plan.steps
                if isinstance(step, WaitReadyStep) and step.application == "ledger"
            ]
            if waits and all(waits) and not lost:
                lost.append(True)
                befalls(fleet)
            return found

        zone.read = lost_while_it_is_read
        run = await started(fleet, "drain")
        await fleet.until(lambda: lost, seconds=60)
        await fleet.clock.sleep(5)
        assert len(fleet.addresses("example-test", LEDGER_NAME)) == 2, "the north still serves them"
        assert "not yet: " in waits_for(fleet)
        fleet.clusters[SOUTH].faults.down = False
        fleet.clusters[SOUTH].set_nodes(4)
        assert (await ended(fleet, run)).state is RunState.DONE
        await fleet.stop()

    run_virtual(story())
