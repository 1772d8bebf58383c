"""What to do next in a run, from the journal alone: halts, aborts, approvals, widening, back-off."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failover.execution.machine import (
    ATTEMPTS_MAX,
    BACK_OFF_MAX_S,
    Close,
    FailStep,
    FinishWait,
    back_off,
    next_actions,
)
from failover.execution.runs import apply, fold, open_runs
from failover.model.ids import RunId
from failover.model.journal import (
    AbortRequested,
    EffectRecorded,
    EffectResult,
    Entry,
    IntentRecorded,
    Run,
    RunApproved,
    RunClosed,
    RunHalted,
    RunOpened,
    RunResumed,
    RunState,
    RunWidened,
    StepDone,
    StepFailed,
    StepState,
)
from failover.model.plan import ChangeRecordsStep, RunKind, ScaleStep, WaitReadyStep, WaitStep
from failover.model.reasons import Refusal
from tests.execution.tiny import TinyShell, TinyWorld
from tests.execution.worlds import ALL_WELL, NORTH, WALL, Seen, evacuation, journal, situation

PLAN = evacuation()
FIRST, SECOND = (step for step in PLAN.steps if isinstance(step, ScaleStep))
READY = next(step for step in PLAN.steps if isinstance(step, WaitReadyStep))
RECORDS = next(step for step in PLAN.steps if isinstance(step, ChangeRecordsStep))
REFUSAL = Refusal(code="paused", sentence="paused by ada")


def told(*entries: Entry, approved: bool = True, plan: object = PLAN) -> Run:
    opened = RunOpened(plan=plan, actor="automation", approved=approved)  # type: ignore[arg-type]
    return fold(journal((opened, *entries)))[RunId("run-1")]


def doing(run: Run, after_s: float = 60.0) -> list[tuple[str, str]]:
    agenda = next_actions(run, WALL + timedelta(seconds=after_s))
    return [
        (type(item).__name__, item.sentence if isinstance(item, Close) else item.step.id)
        for item in agenda.actions
    ]


def intended(run: Run, step: ScaleStep | ChangeRecordsStep) -> IntentRecorded:
    seen = Seen()
    world = TinyWorld(replicas=dict(seen.replicas), records={item.key: item for item in seen.records})
    return IntentRecorded(intent=TinyShell(world, [], situation()).compose(run, step))


def effect(intent: IntentRecorded, result: EffectResult, **more: object) -> EffectRecorded:
    return EffectRecorded(intent=intent.intent.id, step=intent.intent.step, result=result, **more)  # type: ignore[arg-type]


def test_everything_that_may_be_done_is_done_at_once_and_nothing_before_what_it_needs() -> None:
    assert doing(told()) == [("Attempt", FIRST.id), ("Attempt", SECOND.id)]
    half = told(StepDone(step=FIRST.id))
    assert doing(half) == [("Attempt", SECOND.id)]
    both = told(StepDone(step=FIRST.id), StepDone(step=SECOND.id))
    assert doing(both) == [("Observe", READY.id)]
    ready = told(StepDone(step=FIRST.id), StepDone(step=SECOND.id), StepDone(step=READY.id))
    assert doing(ready) == [("Attempt", RECORDS.id)]


def test_an_intent_without_a_known_effect_is_read_back_before_anything_else() -> None:
    intent = intended(told(), FIRST)
    assert ("ReadBack", FIRST.id) in doing(told(intent))
    unknown = told(intent, effect(intent, EffectResult.UNKNOWN))
    assert unknown.steps[FIRST.id].state is StepState.INTENDED, "unknown is not failed (I19)"
    assert ("ReadBack", FIRST.id) in doing(unknown)


@pytest.mark.parametrize(
    "result", [item for item in EffectResult if not item.landed and item.value != "unknown"]
)
def test_what_did_not_land_is_tried_again_after_its_back_off(result: EffectResult) -> None:
    intent = intended(told(), FIRST)
    later = WALL + timedelta(seconds=60)
    run = told(intent, effect(intent, result, not_before=later))
    assert ("Attempt", FIRST.id) not in doing(run, 59.9)
    assert ("Attempt", FIRST.id) in doing(run, 60.0)


@given(st.integers(1, 100), st.one_of(st.none(), st.floats(0, 1e9)))
def test_the_back_off_is_bounded_and_never_shorter_than_the_target_asked_within_reason(
    attempts: int, wish: float | None
) -> None:
    seconds = back_off(attempts, wish).total_seconds()
    assert 0.25 <= seconds <= 300.0
    assert seconds >= min(wish or 0.0, 300.0) - 1e-6
    assert back_off(attempts, None).total_seconds() <= BACK_OFF_MAX_S
    assert back_off(attempts + 1, None) >= back_off(attempts, None)


def test_a_step_that_is_tried_in_vain_is_given_up_and_the_source_stays_in_dns() -> None:
    run = told()
    entries: list[Entry] = []
    for _ in range(ATTEMPTS_MAX):
        intent = intended(run, FIRST)
        entries += [intent, effect(intent, EffectResult.CONFLICT, detail="stale resourceVersion")]
        run = told(*entries)
    action = next(item for item in next_actions(run, WALL + timedelta(minutes=1)).actions)
    assert isinstance(action, FailStep)
    assert action.code == "attempts-exhausted"
    assert "stale resourceVersion" in action.sentence
    failed = StepFailed(step=FIRST.id, refusal=Refusal(code=action.code, sentence=action.sentence))
    run = told(*entries, failed, StepDone(step=SECOND.id))
    assert doing(run) == [("FailStep", READY.id)]
    why = Refusal(code="needed-step-failed", sentence="a step that it needs could not be done")
    run = told(*entries, failed, StepDone(step=SECOND.id), StepFailed(step=READY.id, refusal=why))
    assert doing(run) == [("FailStep", RECORDS.id)], "the source stays in DNS: nothing was moved"
    run = told(
        *entries,
        failed,
        StepDone(step=SECOND.id),
        *(StepFailed(step=s.id, refusal=why) for s in (READY, RECORDS)),
    )
    (close,) = next_actions(run, WALL + timedelta(minutes=1)).actions
    assert isinstance(close, Close)
    assert close.state in (RunState.FAILED, RunState.PARTIAL), "never DONE"


def test_a_wait_is_counted_from_the_last_step_that_it_needs_restart_or_not() -> None:
    drain = Seen().plan(RunKind.DRAIN, NORTH, judgement=ALL_WELL, by_person=True)
    wait = next(step for step in drain.steps if isinstance(step, WaitStep))
    needed = [step.id for step in drain.steps[: drain.steps.index(wait)]]
    run = told(*(StepDone(step=name) for name in needed), plan=drain)
    last = (run.steps[needed[-1]].since - WALL).total_seconds()
    early = next_actions(run, WALL + timedelta(seconds=last + wait.seconds - 0.1))
    assert early.actions == ()
    assert early.look_again == WALL + timedelta(seconds=last + wait.seconds)
    (action,) = next_actions(run, early.look_again).actions
    assert action == FinishWait(step=wait)


# -- people ------------------------------------------------------------------------------------------------------------


def test_a_halted_run_does_nothing_until_it_is_resumed() -> None:
    run = told(RunHalted(refusal=REFUSAL))
    assert (run.state, run.halted, doing(run)) == (RunState.HALTED, REFUSAL, [])
    assert open_runs({run.id: run}) == (run,)
    again = told(RunHalted(refusal=REFUSAL), RunResumed(actor="ada@desk"))
    assert again.halted is None
    assert doing(again) == doing(told())


def test_a_run_that_waits_for_approval_is_started_by_an_approval_and_by_nothing_else() -> None:
    assert doing(told(approved=False)) == []
    assert told(RunResumed(actor="ada"), approved=False).state is RunState.AWAITING_APPROVAL
    run = told(RunApproved(actor="ada"), approved=False)
    assert (run.state, run.approved_by) == (RunState.RUNNING, "ada")
    assert doing(run) == doing(told())


def test_an_abort_before_dns_keeps_the_additions_and_begins_nothing_more() -> None:
    run = told(StepDone(step=FIRST.id), AbortRequested(actor="ada@desk", reason="false alarm"))
    ((kind, sentence),) = doing(run)
    assert kind == "Close"
    assert sentence.startswith("aborted by ada@desk: false alarm; 1 ")
    assert sentence.endswith("done and are kept, DNS was not changed")
    (close,) = next_actions(run, WALL).actions
    assert isinstance(close, Close)
    assert close.state is RunState.ABORTED


def test_an_abort_settles_what_was_sent_before_it_closes() -> None:
    intent = intended(told(), FIRST)
    run = told(intent, AbortRequested(actor="ada@desk"))
    assert doing(run) == [("ReadBack", FIRST.id)]


def test_an_abort_while_a_record_change_is_in_flight_reads_it_back_first() -> None:
    before: tuple[Entry, ...] = tuple(StepDone(step=step.id) for step in (FIRST, SECOND, READY))
    intent = intended(told(*before), RECORDS)
    run = told(*before, intent, AbortRequested(actor="automation", reason="the source serves again"))
    assert run.dns_written
    assert doing(run) == [("ReadBack", RECORDS.id)]
    landed = told(*before, intent, AbortRequested(actor="automation"), effect(intent, EffectResult.APPLIED))
    assert landed.dns_landed
    assert doing(landed) == [("Observe", RECORDS.id)], "after the first DNS write the run is finished (I21)"
    lost = told(*before, intent, AbortRequested(actor="automation"), effect(intent, EffectResult.REJECTED))
    assert not lost.dns_written
    assert [kind for kind, _ in doing(lost)] == ["Close"]


def test_nothing_that_is_told_after_the_end_changes_a_run() -> None:
    closed = told(RunClosed(state=RunState.ABORTED, sentence="over"))
    for event in (
        RunResumed(actor="a"),
        RunApproved(actor="a"),
        RunHalted(refusal=REFUSAL),
        AbortRequested(actor="a"),
    ):
        (entry,) = journal((event,))
        assert apply(closed, entry) == closed
    assert doing(closed) == []
    assert open_runs({closed.id: closed}) == ()


# -- widening ----------------------------------------------------------------------------------------------------------


def test_a_widened_run_keeps_only_the_progress_of_steps_that_still_want_the_same() -> None:
    more = replace(SECOND, after=SECOND.after + 3)
    same = replace(FIRST, before=FIRST.after, reason="said otherwise")
    wider = replace(PLAN, steps=(same, more, READY, RECORDS))
    run = told(
        StepDone(step=FIRST.id),
        StepDone(step=SECOND.id),
        RunWidened(plan=wider, reason="north-2 is down too"),
    )
    assert run.steps[FIRST.id].state is StepState.DONE
    assert run.steps[SECOND.id].state is StepState.PENDING
    assert run.widened == ("north-2 is down too",)
    assert doing(run) == [("Attempt", SECOND.id)]


def test_a_widened_run_never_forgets_what_was_changed_outside() -> None:
    intent = intended(told(), FIRST)
    wider = replace(PLAN, steps=(SECOND, replace(READY, needs=(SECOND.id,)), RECORDS))
    run = told(intent, RunWidened(plan=wider, reason="another plan"))
    assert run.steps[FIRST.id].state is StepState.INTENDED
    assert ("ReadBack", FIRST.id) in doing(run)


def test_the_fold_is_the_same_for_every_split_of_the_journal() -> None:
    intent = intended(told(), FIRST)
    entries = journal(
        (
            RunOpened(plan=PLAN, actor="automation"),
            intent,
            effect(intent, EffectResult.UNKNOWN),
            effect(intent, EffectResult.APPLIED),
            StepDone(step=FIRST.id),
            RunHalted(refusal=REFUSAL),
            RunResumed(actor="ada"),
            AbortRequested(actor="ada"),
        )
    )
    whole = fold(entries)[RunId("run-1")]
    for cut in range(1, len(entries)):
        run = fold(entries[:cut])[RunId("run-1")]
        for entry in entries[cut:]:
            run = apply(run, entry)  # type: ignore[assignment]
        assert run == whole
