"""Whether a change landed is told by the fence that travelled with it, never by the record sets alone."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from failover.controller.record_steps import _became, _made_again
from failover.lab.virtual import run_virtual
from failover.model.ids import ApplicationName, Epoch, IntentId, RunId, StepId, ZoneName
from failover.model.journal import EffectRecorded, EffectResult, Intent, RecordsChange, RunState, StepProgress
from failover.model.plan import ChangeRecordsStep, Phase
from failover.model.records import FenceRecord, RecordChange, RecordSet, RecordType, ZoneChange, ZoneState
from tests.controller.test_region_loss_in_virtual_time import PERSON, a_healthy_fleet, runs
from tests.support.policies import NAME

SHOP, ZONE = ApplicationName("shop"), ZoneName("example-test")
ALL = RecordSet(
    name=NAME,
    record_type=RecordType.A,
    ttl=5,
    values=("198.51.100.11", "198.51.100.21", "198.51.100.31"),
)
LEFT = replace(ALL, values=("198.51.100.21", "198.51.100.31"))
OURS = FenceRecord(
    owner="test", application=SHOP, plan="plan-2", generation="g", epoch=Epoch(2), holder="controller-b"
)
STEP = ChangeRecordsStep(
    id=StepId("records:shop"),
    application=SHOP,
    phase=Phase.DNS_CHANGE,
    zone=ZONE,
    changes=(RecordChange(before=ALL, after=LEFT),),
)


def intent(*changes: RecordChange, fence_before: FenceRecord | None = None) -> Intent:
    change = ZoneChange(
        zone=ZONE,
        application=SHOP,
        changes=changes or STEP.changes,
        fence_before=fence_before,
        fence_after=OURS,
    )
    return Intent(
        id=IntentId("run-1/records:shop/1"),
        run=RunId("run-1"),
        step=STEP.id,
        attempt=1,
        epoch=OURS.epoch,
        change=RecordsChange(change=change),
        actor="automation",
        reason="a story",
        evidence=(),
        rules=(),
    )


@pytest.mark.parametrize(
    ("held", "fence", "landed", "says"),
    [
        (LEFT, OURS, True, "it had been applied"),
        (ALL, None, False, "no fence stands"),
        (LEFT, None, False, "stand as intended, but no fence stands"),
        (LEFT, replace(OURS, plan="plan-1"), False, "stand as intended, but the fence is another's"),
        (LEFT, replace(OURS, generation="h"), False, "the fence is another's"),
        (LEFT, replace(OURS, epoch=Epoch(1)), False, "the fence is another's"),
        (LEFT, replace(OURS, holder="controller-c"), False, "the fence is another's"),
        (ALL, OURS, True, "edited since"),
    ],
    ids=["ours", "neither", "no fence", "plan", "generation", "epoch", "holder", "edited"],
)
def test_a_lost_answer_is_settled_by_the_fence(
    held: RecordSet, fence: FenceRecord | None, landed: bool, says: str
) -> None:
    state = ZoneState(zone=ZONE, record_sets=(held,), fences=(fence,) if fence else ())
    found, note = _became(intent(), STEP, state)
    assert found is landed
    assert says in note


PART = RecordChange(before=LEFT, after=LEFT)


@pytest.mark.parametrize(
    ("change", "held", "landed"),
    [(STEP.changes[0], ALL, False), (STEP.changes[0], LEFT, True), (PART, LEFT, False)],
    ids=["records as before", "records as wanted", "nothing to see"],
)
def test_a_fence_that_an_earlier_part_of_the_run_left_proves_nothing_of_the_next(
    change: RecordChange, held: RecordSet, landed: bool
) -> None:
    state = ZoneState(zone=ZONE, record_sets=(held,), fences=(OURS,))
    found, _ = _became(intent(change, fence_before=OURS), STEP, state)
    assert found is landed


def test_raising_the_fence_over_equal_records_is_not_yet_a_change_made_once_more() -> None:
    same = RecordChange(before=LEFT, after=LEFT)
    raised = intent(same, fence_before=replace(OURS, plan="plan-1", epoch=Epoch(1)))
    again = intent(same, fence_before=OURS)
    run = runs_progress(raised), runs_progress(again), runs_progress(intent(fence_before=OURS))
    assert [_made_again(item) for item in run] == [False, True, False]


def runs_progress(sent: Intent) -> StepProgress:
    return StepProgress(since=datetime(2026, 1, 1, tzinfo=UTC), intent=sent)


def test_records_that_stand_as_intended_get_the_newer_plans_fence() -> None:
    """Somebody took the address out by hand. An older plan that is still on its way must not be applied over that."""

    async def story() -> None:
        fleet = await a_healthy_fleet()
        zone = fleet.zones[ZONE]
        older = replace(OURS, plan="older", epoch=Epoch(0))
        zone.set_fence(older)
        await fleet.clock.sleep(10)
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: runs(fleet), seconds=60)
        zone.set_records(LEFT)
        await fleet.until(lambda: runs(fleet)[0].state.final, seconds=60)
        (run,) = runs(fleet)
        assert run.state is RunState.DONE
        assert zone.current.fences[SHOP].plan == run.plan.short_hash
        assert zone.current.record_sets[LEFT.key].values == LEFT.values
        late = ZoneChange(
            zone=ZONE,
            application=SHOP,
            changes=(RecordChange(before=LEFT, after=ALL),),
            fence_before=older,
            fence_after=replace(older, plan="late"),
        )
        assert zone.apply(late) == "the fence"
        await fleet.stop()

    run_virtual(story())


def test_anothers_work_that_looks_like_ours_is_not_taken_for_ours() -> None:
    """Our update is lost on its way, and somebody with the key makes the same records under another fence of our fleet."""

    async def story() -> None:
        fleet = await a_healthy_fleet()
        zone = fleet.zones[ZONE]
        zone.primary.faults.drop_updates = 1
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: zone.primary.faults.drop_updates == 0, seconds=60)
        zone.set_records(LEFT)
        zone.set_fence(replace(OURS, plan="theirs", epoch=Epoch(0)))
        await fleet.until(lambda: runs(fleet)[0].state.final, seconds=60)
        (run,) = runs(fleet)
        assert fleet.controller is not None
        entries = await fleet.controller.context.ports.store.entries()
        results = [
            (item.entry.result, item.entry.detail)
            for item in entries
            if isinstance(item.entry, EffectRecorded) and item.entry.step.startswith("records:")
        ]
        assert [result for result, _ in results] == [
            EffectResult.UNKNOWN,
            EffectResult.UNAVAILABLE,
            EffectResult.APPLIED,
        ]
        assert "stand as intended, but the fence is another's" in results[1][1]
        assert run.state is RunState.DONE
        assert zone.current.fences[SHOP].plan == run.plan.short_hash
        await fleet.stop()

    run_virtual(story())


@pytest.mark.parametrize("lost", [0, 1], ids=["answered", "answer lost"])
def test_a_change_that_an_abort_leaves_behind_cannot_land_afterwards(lost: int) -> None:
    """Its sender may only be asleep: the data and the fence that it compares would still be there when it wakes."""

    async def story() -> None:
        fleet = await a_healthy_fleet()
        zone, controller = fleet.zones[ZONE], fleet.controller
        assert controller is not None
        zone.primary.faults.drop_updates = 1
        fleet.kill_cluster("north-1")
        await fleet.until(lambda: zone.primary.faults.drop_updates == 0, seconds=60)
        (run,) = runs(fleet)
        (sent,) = [
            item.intent for item in run.steps.values() if item.intent and item.intent.change.kind == "records"
        ]
        zone.primary.faults.lose_answers = (
            lost  # of the newer fence as well: it is read back like any other change
        )
        answer = {**PERSON, "verb": "abort", "run": run.id, "reason": "the region is back"}
        await controller.command(answer)
        await fleet.until(lambda: runs(fleet)[0].state.final, seconds=60)
        (run,) = runs(fleet)
        assert run.state is RunState.ABORTED
        assert "DNS was not changed" in run.sentence
        assert zone.current.record_sets[ALL.key].values == ALL.values
        assert zone.current.fences[SHOP].plan == run.plan.short_hash
        assert zone.apply(sent.change.change) == "the fence", "it wakes, and sends what it had in its hand"
        (note,) = {item.note for item in run.steps.values() if "newer fence" in item.note}
        assert note.endswith(
            "was to get a newer fence, and no more" if lost else "a newer fence keeps it from landing later"
        )
        await fleet.stop()

    run_virtual(story())


def test_raising_a_fence_over_what_stands_is_read_back_as_no_change() -> None:
    kept = RecordChange(before=ALL, after=ALL)
    state = ZoneState(zone=ZONE, record_sets=(ALL,), fences=(OURS,))
    landed, note = _became(intent(kept, fence_before=replace(OURS, epoch=Epoch(1))), STEP, state)
    assert not landed
    assert "newer fence" in note
