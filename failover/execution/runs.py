"""Runs, folded from the journal. Nothing else is remembered of a run, so a restart knows exactly what was written."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from failover.model.ids import RunId, StepId
from failover.model.journal import (
    AbortRequested,
    ClockJumped,
    EffectRecorded,
    EffectResult,
    IntentRecorded,
    JournalEntry,
    PhaseTime,
    ResolversAsked,
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
    StepProgress,
    StepState,
)
from failover.model.plan import ChangeRecordsStep, Phase, ScaleStep, Step

AUTOMATION = "automation"
AFTERWARDS = (EffectRecorded, StepDone, ResolversAsked)
"""What still counts when a run is over."""


def fold(entries: Iterable[JournalEntry]) -> dict[RunId, Run]:
    """Every run that the entries tell of, in order of opening."""
    runs: dict[RunId, Run] = {}
    for entry in entries:
        if isinstance(entry.entry, ClockJumped):
            by = timedelta(seconds=entry.entry.by_s)
            runs = {name: shifted(run, by) for name, run in runs.items()}
        if not entry.run:
            continue
        run = apply(runs.get(RunId(entry.run)), entry)
        if run is not None:
            runs[run.id] = run
    return runs


def shifted(run: Run, by: timedelta) -> Run:
    """The run with all its times moved: they are told by a clock that has jumped since."""

    def later(at: datetime | None) -> datetime | None:
        return None if at is None else at + by

    return replace(
        run,
        opened_at=run.opened_at + by,
        failed_at=later(run.failed_at),
        verdict_at=later(run.verdict_at),
        closed_at=later(run.closed_at),
        resumed_at=later(run.resumed_at),
        person_at=later(run.person_at),
        phases=tuple(replace(phase, at=phase.at + by) for phase in run.phases),
        steps={
            name: replace(step, since=step.since + by, not_before=later(step.not_before))
            for name, step in run.steps.items()
        },
    )


def open_runs(runs: Mapping[RunId, Run]) -> tuple[Run, ...]:
    """Runs that are not over, in order of opening (I21: they are resumed or aborted)."""
    return tuple(run for run in runs.values() if not run.state.final)


def apply(run: Run | None, entry: JournalEntry) -> Run | None:
    """The run after one more entry. Total: what does not fit (never opened, closed, an unknown step) changes nothing."""
    event = entry.entry
    if isinstance(event, RunOpened):
        return run or _opened(entry, event)
    if run is None:
        return None
    handler = _HANDLERS.get(type(event))
    if handler is None or (run.state.final and not isinstance(event, AFTERWARDS)):
        return run
    return handler(run, event, entry)


def _opened(entry: JournalEntry, event: RunOpened) -> Run:
    return Run(
        id=RunId(entry.run),
        state=RunState.RUNNING if event.approved else RunState.AWAITING_APPROVAL,
        plan=event.plan,
        actor=event.actor,
        reason=event.reason,
        opened_at=entry.at,
        epoch=entry.epoch,
        steps={step.id: StepProgress(since=entry.at) for step in event.plan.steps},
        failed_at=event.failed_at,
        verdict_at=event.verdict_at,
        citations=event.citations,
    )


def _approved(run: Run, event: RunApproved, entry: JournalEntry) -> Run:
    if run.state is not RunState.AWAITING_APPROVAL:
        return run
    return replace(
        run,
        state=RunState.RUNNING,
        approved_by=event.actor,
        epoch=entry.epoch,
        resumed_at=entry.at,
        person_at=entry.at,
    )


def _widened(run: Run, event: RunWidened, entry: JournalEntry) -> Run:
    """A step keeps its progress only where it still wants exactly what it wanted.

    The planner keeps every step that has landed or may have (`planner.widen`); one that is missing all the same is
    put back in front, because what was changed outside must never be forgotten.
    """
    before = {step.id: step for step in run.plan.steps}
    named = {step.id for step in event.plan.steps}
    forgotten = tuple(
        replace(step, needs=())
        for step in run.plan.steps
        if step.id not in named and touched(run.steps[step.id])
    )
    plan = replace(event.plan, steps=(*forgotten, *event.plan.steps)) if forgotten else event.plan
    steps = {}
    for step in plan.steps:
        same = step.id in before and _wish(before[step.id]) == _wish(step)
        steps[step.id] = run.steps[step.id] if same else StepProgress(since=entry.at)
    return replace(run, plan=plan, steps=steps, widened=(*run.widened, event.reason), epoch=entry.epoch)


def touched(progress: StepProgress) -> bool:
    """Its change has landed, or may have."""
    if progress.state is StepState.INTENDED:
        return True
    return progress.result is not None and (progress.result.landed or progress.result is EffectResult.UNKNOWN)


def _wish(step: Step) -> object:
    """What a step wants in the end, whatever it started from."""
    if isinstance(step, ScaleStep):
        return (step.cluster, step.workload, step.field, step.after)
    if isinstance(step, ChangeRecordsStep):
        return (step.zone, tuple(change.after for change in step.changes))
    return replace(step, reason="", needs=())


def _intended(run: Run, event: IntentRecorded, entry: JournalEntry) -> Run:
    intent = event.intent
    before = run.steps.get(intent.step)
    run = replace(run, epoch=entry.epoch)
    if before is None or before.state in (StepState.DONE, StepState.FAILED):
        return run  # raising a cluster's fence belongs to the run, and to none of its steps
    progress = replace(
        before,
        state=StepState.INTENDED,
        attempts=intent.attempt,
        intent=intent,
        result=None,
        not_before=None,
        since=entry.at,
    )
    return _with(run, intent.step, progress)


def _effected(run: Run, event: EffectRecorded, entry: JournalEntry) -> Run:
    before = run.steps.get(event.step)
    if before is None or before.state in (StepState.DONE, StepState.FAILED):
        return run
    if before.intent is not None and event.intent != before.intent.id and not event.result.landed:
        return run  # a late word about an earlier attempt
    if event.result.landed:
        state = StepState.EFFECTED
    elif event.result is EffectResult.UNKNOWN:
        state = StepState.INTENDED
    else:
        state = StepState.PENDING
    progress = replace(
        before,
        state=state,
        result=event.result,
        not_before=event.not_before,
        since=entry.at,
        note=event.detail,
    )
    return _with(run, event.step, progress)


def _step_done(run: Run, event: StepDone, entry: JournalEntry) -> Run:
    before = run.steps.get(event.step)
    if before is None or before.state in (StepState.DONE, StepState.FAILED):
        return run
    progress = replace(
        before, state=StepState.DONE, since=entry.at, note=event.note, verification=event.verification
    )
    run = _with(run, event.step, progress)
    return replace(run, phases=_phases(run, entry.at))


def _resolvers_asked(run: Run, event: ResolversAsked, _: JournalEntry) -> Run:
    before = run.steps.get(event.step)
    if before is None:
        return run
    return replace(run, steps={**run.steps, event.step: replace(before, resolvers=event.answers)})


def _step_failed(run: Run, event: StepFailed, entry: JournalEntry) -> Run:
    before = run.steps.get(event.step)
    if before is None or before.state in (StepState.DONE, StepState.FAILED):
        return run
    return _with(
        run, event.step, replace(before, state=StepState.FAILED, since=entry.at, refusal=event.refusal)
    )


def _halted(run: Run, event: RunHalted, _: JournalEntry) -> Run:
    if run.state is not RunState.RUNNING:
        return run
    return replace(run, state=RunState.HALTED, halted=event.refusal)


def _resumed(run: Run, event: RunResumed, entry: JournalEntry) -> Run:
    """Ends a halt. A run that waits for approval is not started by it: only an approval starts that."""
    if run.state is not RunState.HALTED:
        return run
    person_at = run.person_at if event.actor == AUTOMATION else entry.at
    return replace(
        run,
        state=RunState.RUNNING,
        halted=None,
        epoch=entry.epoch,
        resumed_at=entry.at,
        person_at=person_at,
    )


def _abort(run: Run, event: AbortRequested, entry: JournalEntry) -> Run:
    """From every state that is not final: the machine then settles what is in flight, and closes."""
    if run.abort is not None:
        return run
    return replace(run, abort=event, state=RunState.RUNNING, halted=None, resumed_at=entry.at)


def _closed(run: Run, event: RunClosed, entry: JournalEntry) -> Run:
    return replace(run, state=event.state, sentence=event.sentence, closed_at=entry.at, halted=None)


_HANDLERS: dict[type, Callable[..., Run]] = {
    RunApproved: _approved,
    RunWidened: _widened,
    IntentRecorded: _intended,
    EffectRecorded: _effected,
    StepDone: _step_done,
    ResolversAsked: _resolvers_asked,
    StepFailed: _step_failed,
    RunHalted: _halted,
    RunResumed: _resumed,
    AbortRequested: _abort,
    RunClosed: _closed,
}


def _with(run: Run, step: StepId, progress: StepProgress) -> Run:
    """The run with one step's new progress, and with what follows from it for DNS."""
    run = replace(run, steps={**run.steps, step: progress})
    if not isinstance(_step(run, step), ChangeRecordsStep):
        return run
    landed = run.dns_landed or (progress.result is EffectResult.APPLIED)
    return replace(run, dns_landed=landed, dns_written=landed or _dns_in_flight(run))


def _dns_in_flight(run: Run) -> bool:
    return any(
        isinstance(step, ChangeRecordsStep) and run.steps[step.id].state is StepState.INTENDED
        for step in run.plan.steps
    )


def _step(run: Run, step_id: StepId) -> Step | None:
    return next((step for step in run.plan.steps if step.id == step_id), None)


def _phases(run: Run, at: datetime) -> tuple[PhaseTime, ...]:
    """A phase is reached when its last step is done."""
    reached = {item.phase for item in run.phases}
    new = []
    for phase in Phase:
        steps = [step for step in run.plan.steps if step.phase is phase]
        if (
            steps
            and phase not in reached
            and all(run.steps[step.id].state is StepState.DONE for step in steps)
        ):
            new.append(PhaseTime(phase=phase, at=at))
    return (*run.phases, *new)
