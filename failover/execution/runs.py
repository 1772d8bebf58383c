"""Runs, folded from the journal. Nothing else is remembered of a run, so a restart knows exactly what was written."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from failover.model.ids import Domain, RegionName, RunId, StepId
from failover.model.journal import (
    AbortRequested,
    EffectRecorded,
    EffectResult,
    IntentRecorded,
    JournalEntry,
    PhaseTime,
    Run,
    RunApproved,
    RunClosed,
    RunEvent,
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
from failover.model.plan import ChangeRecordsStep, Phase, Plan, RunKind, ScaleStep, Step
from failover.model.policy import Fleet
from failover.model.snapshot import Displacement

AUTOMATION = "automation"


def fold(entries: Iterable[JournalEntry]) -> dict[RunId, Run]:
    """Every run that the entries tell of, in order of opening."""
    runs: dict[RunId, Run] = {}
    for entry in entries:
        if not entry.run:
            continue
        run = apply(runs.get(RunId(entry.run)), entry)
        if run is not None:
            runs[run.id] = run
    return runs


def apply(run: Run | None, entry: JournalEntry) -> Run | None:
    """The run after one more entry; entries of a run that was never opened are ignored."""
    event = entry.entry
    if isinstance(event, RunOpened):
        return _opened(entry, event)
    if run is None:
        return None
    handler = _HANDLERS.get(type(event))
    return handler(run, event, entry) if handler is not None else run


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
    return replace(run, state=RunState.RUNNING, approved_by=event.actor, epoch=entry.epoch)


def _widened(run: Run, event: RunWidened, entry: JournalEntry) -> Run:
    """A step keeps its progress only where it still wants exactly what it wanted."""
    before = {step.id: _wish(step) for step in run.plan.steps}
    steps = {
        step.id: run.steps[step.id] if before.get(step.id) == _wish(step) else StepProgress(since=entry.at)
        for step in event.plan.steps
    }
    return replace(run, plan=event.plan, steps=steps, widened=(*run.widened, event.reason), epoch=entry.epoch)


def _wish(step: Step) -> object:
    """What a step wants in the end, whatever it started from."""
    if isinstance(step, ScaleStep):
        return (step.cluster, step.workload, step.field, step.after)
    if isinstance(step, ChangeRecordsStep):
        return (step.zone, tuple(change.after for change in step.changes))
    return replace(step, reason="")


def _intended(run: Run, event: IntentRecorded, entry: JournalEntry) -> Run:
    intent = event.intent
    before = run.steps.get(intent.step)
    if before is None:  # raising a cluster's fence belongs to the run, and to none of its steps
        return replace(run, epoch=entry.epoch)
    progress = replace(
        before,
        state=StepState.INTENDED,
        attempts=intent.attempt,
        intent=intent,
        result=None,
        not_before=None,
        since=entry.at,
    )
    writes_dns = run.dns_written or isinstance(_step(run, intent.step), ChangeRecordsStep)
    return replace(_with(run, intent.step, progress), dns_written=writes_dns, epoch=entry.epoch)


def _effected(run: Run, event: EffectRecorded, entry: JournalEntry) -> Run:
    before = run.steps.get(event.step)
    if before is None:
        return run
    if event.result.landed:
        state = StepState.EFFECTED
    elif event.result is EffectResult.UNKNOWN:
        state = StepState.INTENDED
    else:
        state = StepState.PENDING
    return _with(
        run,
        event.step,
        replace(
            before,
            state=state,
            result=event.result,
            not_before=event.not_before,
            since=entry.at,
            note=event.detail,
        ),
    )


def _step_done(run: Run, event: StepDone, entry: JournalEntry) -> Run:
    progress = replace(
        run.steps[event.step],
        state=StepState.DONE,
        since=entry.at,
        note=event.note,
        verification=event.verification,
    )
    run = _with(run, event.step, progress)
    return replace(run, phases=_phases(run, entry.at))


def _step_failed(run: Run, event: StepFailed, entry: JournalEntry) -> Run:
    progress = replace(run.steps[event.step], state=StepState.FAILED, since=entry.at, refusal=event.refusal)
    return _with(run, event.step, progress)


def _halted(run: Run, event: RunHalted, _: JournalEntry) -> Run:
    return replace(run, state=RunState.HALTED, halted=event.refusal)


def _resumed(run: Run, _: RunResumed, entry: JournalEntry) -> Run:
    return replace(run, state=RunState.RUNNING, halted=None, epoch=entry.epoch)


def _abort(run: Run, event: AbortRequested, _: JournalEntry) -> Run:
    state = RunState.RUNNING if run.state is RunState.HALTED else run.state
    return replace(run, abort=event, state=state, halted=None)


def _closed(run: Run, event: RunClosed, entry: JournalEntry) -> Run:
    return replace(run, state=event.state, sentence=event.sentence, closed_at=entry.at, halted=None)


_HANDLERS: dict[type, Callable[..., Run]] = {
    RunApproved: _approved,
    RunWidened: _widened,
    IntentRecorded: _intended,
    EffectRecorded: _effected,
    StepDone: _step_done,
    StepFailed: _step_failed,
    RunHalted: _halted,
    RunResumed: _resumed,
    AbortRequested: _abort,
    RunClosed: _closed,
}


def _with(run: Run, step: StepId, progress: StepProgress) -> Run:
    return replace(run, steps={**run.steps, step: progress})


def _step(run: Run, step_id: StepId) -> object:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What the safety rules need of a run that was (I8, I21). `changed`: something outside was changed."""

    id: RunId
    run_kind: RunKind
    regions: tuple[RegionName, ...]
    automatic: bool
    state: RunState
    opened_at: datetime
    changed: bool


def summarise(run: Run, fleet: Fleet) -> RunSummary:
    """A run's summary; clusters that left the policy are left out of its regions."""
    region_of = {entry.name: entry.region for entry in fleet.clusters}
    regions = dict.fromkeys(region_of[name] for name in run.plan.sources if name in region_of)
    return RunSummary(
        id=run.id,
        run_kind=run.plan.run_kind,
        regions=tuple(regions),
        automatic=run.actor == AUTOMATION,
        state=run.state,
        opened_at=run.opened_at,
        changed=any(item.attempts for item in run.steps.values()),
    )


MOVING = (RunKind.EVACUATION, RunKind.STEERING, RunKind.DRAIN)


def displacements(runs: Sequence[Run]) -> tuple[Displacement, ...]:
    """What finished runs took away and nobody brought back: a finished failback undoes the runs that it names."""
    undone = {
        run_id
        for run in runs
        if run.plan.run_kind is RunKind.FAILBACK and run.state is RunState.DONE
        for run_id in run.plan.undoes
    }
    return tuple(
        Displacement(run=run.id, domain=run.plan.domain, plan=_carried_out(run), finished_at=run.closed_at)
        for run in runs
        if run.plan.run_kind in MOVING
        and run.state in (RunState.DONE, RunState.PARTIAL, RunState.ABORTED, RunState.FAILED)
        and run.closed_at is not None
        and run.id not in undone
        and any(progress.result is not None and progress.result.landed for progress in run.steps.values())
    )


def _carried_out(run: Run) -> Plan:
    """The plan with the steps that landed only."""
    landed = {step for step, item in run.steps.items() if item.result is not None and item.result.landed}
    waiting = tuple(step for step in run.plan.steps if step.id in landed)
    return replace(run.plan, steps=waiting)


def displaced_domains(found: Sequence[Displacement]) -> tuple[Domain, ...]:
    """Domains that something was taken away from."""
    return tuple(dict.fromkeys(item.domain for item in found))


def events_of(entries: Iterable[JournalEntry], run: RunId) -> tuple[RunEvent, ...]:
    """A run's own events."""
    return tuple(entry.entry for entry in entries if entry.run == run)  # type: ignore[misc]
