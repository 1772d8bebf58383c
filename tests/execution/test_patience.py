"""How long a run waits for what does not answer, and that neither a halt nor the others' slowness counts against a step."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from failover.execution.machine import (
    SILENCE_MAX_S,
    Agenda,
    FailStep,
    could_go_since,
    missing,
    next_actions,
    wait_began,
)
from failover.execution.runs import apply
from failover.model.ids import IntentId
from failover.model.journal import (
    AbortRequested,
    EffectRecorded,
    EffectResult,
    Entry,
    IntentRecorded,
    Run,
    RunHalted,
    RunOpened,
    RunResumed,
    RunState,
    StepDone,
    StepFailed,
)
from failover.model.plan import ChangeRecordsStep, ScaleStep, Step, WaitReadyStep
from failover.model.reasons import Refusal
from tests.execution.test_crash_properties import STORIES, shell, world_of
from tests.execution.worlds import WALL, evacuation, journal

PLAN = evacuation()
SOUTH_SCALE, WEST_SCALE = (step for step in PLAN.steps if isinstance(step, ScaleStep))
READY = next(step for step in PLAN.steps if isinstance(step, WaitReadyStep))
PAUSED = Refusal(code="paused", sentence="paused by ada")


def told(*timed: tuple[float, Entry], plan: Any = PLAN) -> Run:
    """A run whose entries came at these seconds."""
    run = None
    for seconds, entry in [(0.0, RunOpened(plan=plan, actor="automation")), *timed]:
        (line,) = journal([entry], start=WALL + timedelta(seconds=seconds))
        run = apply(run, line)
    assert run is not None
    return run


def at(run: Run, seconds: float) -> Agenda:
    return next_actions(run, WALL + timedelta(seconds=seconds))


def failing(agenda: Agenda) -> dict[str, str]:
    return {item.step.id: item.code for item in agenda.actions if isinstance(item, FailStep)}


def intended(step: Step) -> IntentRecorded:
    seen, _, _ = STORIES["evacuation"]
    life = shell("evacuation", world_of(seen), [])
    run = told()
    assert isinstance(step, ScaleStep | ChangeRecordsStep)
    return IntentRecorded(intent=life.compose(run, step))


def test_a_cluster_that_never_answers_does_not_hold_up_the_others_for_ever() -> None:
    run = told()
    assert failing(at(run, SILENCE_MAX_S)) == {}
    assert failing(at(run, SILENCE_MAX_S + 1)) == {
        SOUTH_SCALE.id: "target-silent",
        WEST_SCALE.id: "target-silent",
    }


def test_a_zone_says_itself_how_long_a_run_waits_for_it() -> None:
    patient = [
        replace(step, needs=(), patience_s=30.0) if isinstance(step, ChangeRecordsStep) else step
        for step in PLAN.steps
    ]
    run = told(plan=replace(PLAN, steps=tuple(patient)))
    zones = {step.id for step in patient if isinstance(step, ChangeRecordsStep)}
    assert failing(at(run, 30)) == {}
    assert failing(at(run, 31)) == dict.fromkeys(zones, "target-silent")
    sentences = [item.sentence for item in at(run, 31).actions if isinstance(item, FailStep)]
    assert all("`failover dns repair" in sentence for sentence in sentences)


def test_a_target_that_moves_on_is_not_silent_however_long_the_queue_before_it() -> None:
    """Velocity may keep a step waiting for long: its cluster answers all the while."""
    _, plan, _ = STORIES["evacuation"]
    south = [
        step for step in plan.steps if isinstance(step, ScaleStep) and step.cluster == SOUTH_SCALE.cluster
    ]
    assert len(south) == 2
    late = SILENCE_MAX_S + 30
    applied = EffectRecorded(intent=IntentId("i"), step=south[0].id, result=EffectResult.APPLIED)
    run = told((late - 20, applied), (late - 20, StepDone(step=south[0].id)), plan=plan)
    assert south[1].id not in failing(at(run, late)), "its cluster answered twenty seconds ago"
    assert len(failing(at(run, late))) == 2, "the other cluster's steps: nothing ever came of it"


def test_what_cannot_be_read_back_ends_as_unknown_and_the_run_as_partial() -> None:
    intent = intended(SOUTH_SCALE)
    lost = EffectRecorded(intent=intent.intent.id, step=SOUTH_SCALE.id, result=EffectResult.UNKNOWN)
    run = told((1, intent), (2, lost), (3, StepDone(step=WEST_SCALE.id)))
    assert failing(at(run, 2 + SILENCE_MAX_S)) == {}
    agenda = at(run, 3 + SILENCE_MAX_S)
    assert failing(agenda) == {SOUTH_SCALE.id: "outcome-unknown"}
    action = next(item for item in agenda.actions if isinstance(item, FailStep))
    assert "whether it was applied is unknown: cluster/south-1" in action.sentence
    refusal = Refusal(code=action.code, sentence=action.sentence)
    entries = [StepFailed(step=SOUTH_SCALE.id, refusal=refusal)]
    rest = Refusal(code="needed-step-failed", sentence="a step that it needs could not be done")
    entries += [
        StepFailed(step=step.id, refusal=rest) for step in PLAN.steps if step not in (SOUTH_SCALE, WEST_SCALE)
    ]
    over = told(
        (1, intent), (2, lost), (3, StepDone(step=WEST_SCALE.id)), *((610.0, item) for item in entries)
    )
    (close,) = at(over, 620).actions
    assert close.state is RunState.PARTIAL  # type: ignore[union-attr]
    assert missing(over) == (f"{SOUTH_SCALE.id}: {action.sentence}",), "causes, not what merely followed"


def test_an_hour_of_pause_counts_against_nobody() -> None:
    halt, resume = RunHalted(refusal=PAUSED), RunResumed(actor="ada")
    run = told((1, halt), (3600, resume))
    assert failing(at(run, 3601)) == {}
    scaled = [(2.0 + i, StepDone(step=step.id)) for i, step in enumerate((SOUTH_SCALE, WEST_SCALE))]
    waiting = told(*scaled, (5, halt), (3600, resume))
    assert wait_began(waiting, READY) == WALL + timedelta(seconds=3600)
    assert wait_began(told(*scaled), READY) == WALL + timedelta(seconds=3)


def test_patience_is_counted_from_when_a_step_could_go() -> None:
    """Not from the opening of the run: a step may be the last one of many, after a long wait, or after a halt."""

    def since(run: Run, step: Step) -> float:
        return (could_go_since(run, step) - WALL).total_seconds()

    assert since(told(), SOUTH_SCALE) == 0
    scaled = [(200.0 + i, StepDone(step=step.id)) for i, step in enumerate((SOUTH_SCALE, WEST_SCALE))]
    assert since(told(*scaled), READY) == 201
    halted = told((10, RunHalted(refusal=PAUSED)), (3600, RunResumed(actor="ada")))
    assert since(halted, SOUTH_SCALE) == 3600
    intent = intended(SOUTH_SCALE)
    refused = EffectRecorded(intent=intent.intent.id, step=SOUTH_SCALE.id, result=EffectResult.CONFLICT)
    assert since(told((1, intent), (90, refused)), SOUTH_SCALE) == 90


def test_causes_are_listed_up_to_a_few() -> None:
    refusal = Refusal(code="target-rejects", sentence="no")
    run = told(*((1.0, StepFailed(step=step.id, refusal=refusal)) for step in PLAN.steps))
    assert len(missing(run)) == len(PLAN.steps)
    assert missing(run, at_most=1) == (f"{PLAN.steps[0].id}: no", f"and {len(PLAN.steps) - 1} more")


def test_automations_abort_after_a_record_change_is_not_carried_out_a_persons_is() -> None:
    records = next(step for step in PLAN.steps if isinstance(step, ChangeRecordsStep))
    begun = [(1.0, StepDone(step=step.id)) for step in PLAN.steps if step.id in records.needs]
    applied = EffectRecorded(intent=IntentId("i"), step=records.id, result=EffectResult.APPLIED)
    run = told(*begun, (2, applied), (3, StepDone(step=records.id)))
    assert run.dns_landed
    left = [step.id for step in PLAN.steps if run.steps[step.id].state.value == "pending"]
    assert left, "something is still to do"
    (line,) = journal([AbortRequested(actor="automation")], start=WALL + timedelta(seconds=4))
    finishing = apply(run, line)
    assert finishing is not None
    assert {item.step.id for item in at(finishing, 5).actions} <= set(left)  # type: ignore[union-attr]
    (line,) = journal([AbortRequested(actor="ada@desk", reason="stop")], start=WALL + timedelta(seconds=4))
    stopping = apply(run, line)
    assert stopping is not None
    (close,) = at(stopping, 5).actions
    assert close.state is RunState.ABORTED  # type: ignore[union-attr]
    assert "what it changed in DNS stays" in close.sentence  # type: ignore[union-attr]
