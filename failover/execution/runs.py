"""Runs, folded from the journal. Nothing else is remembered of a run, so a restart knows exactly what was written."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from failover.model.ids import ApplicationName, ClusterName, RegionName, RunId, StepId
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
from failover.model.plan import ChangeRecordsStep, Phase, Plan, RunKind, ScaleStep, Step, WaitReadyStep
from failover.model.policy import Fleet, WorkloadRef
from failover.model.records import RecordSet
from failover.model.snapshot import Displacement
from failover.planner.sheds import is_shed

AUTOMATION = "automation"
MOVING = (RunKind.EVACUATION, RunKind.STEERING, RunKind.DRAIN)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What the safety rules need of a run that was (I8, I21).

    `regions`: of its sources; `whole`: it moves away from clusters, not from one application that is broken there.
    `applications`: that it is or was for; `moved`: those whose traffic or replicas did leave (all of them while it is
    unfinished), `returned`: those that this failback has brought home. `changed`: something outside was changed, or
    may have been. `undoes`: runs that it brings home. `aborted_by`: the person who aborted it, "" for none.
    """

    id: RunId
    run_kind: RunKind
    regions: tuple[RegionName, ...]
    automatic: bool
    state: RunState
    opened_at: datetime
    changed: bool
    whole: bool = True
    closed_at: datetime | None = None
    applications: tuple[ApplicationName, ...] = ()
    moved: tuple[ApplicationName, ...] = ()
    returned: tuple[ApplicationName, ...] = ()
    undoes: tuple[RunId, ...] = ()
    aborted_by: str = ""


def summarise(run: Run, fleet: Fleet) -> RunSummary:
    """A run's summary; clusters that left the policy are left out of its regions."""
    region_of = {entry.name: entry.region for entry in fleet.clusters}
    regions = dict.fromkeys(region_of[name] for name in run.plan.sources if name in region_of)
    moving = run.plan.run_kind in MOVING
    return RunSummary(
        id=run.id,
        run_kind=run.plan.run_kind,
        regions=tuple(regions),
        automatic=run.actor == AUTOMATION,
        state=run.state,
        opened_at=run.opened_at,
        changed=any(touched(item) for item in run.steps.values()),
        whole=is_whole(run.plan),
        closed_at=run.closed_at,
        applications=run.applications,
        moved=_moved(run) if moving else (),
        returned=_returned(run),
        undoes=run.plan.undoes,
        aborted_by=run.abort.actor if run.abort is not None and run.abort.actor != AUTOMATION else "",
    )


def is_whole(plan: Plan) -> bool:
    """Away from clusters; a steering whose sources all serve is of an application that is broken there."""
    verdicts = dict(plan.verdicts)
    return plan.run_kind is not RunKind.STEERING or any(
        verdicts[name].no_longer_serves for name in plan.sources if name in verdicts
    )


def _moved(run: Run) -> tuple[ApplicationName, ...]:
    """Applications whose clients or replicas left the sources: all while the run goes on, what landed afterwards.

    Additions elsewhere are no move yet: a run that was aborted before its first record change took nothing away. An
    application without names has moved when its replicas are ready elsewhere.
    """
    if not run.state.final:
        return run.applications
    named = {step.application for step in run.plan.steps if isinstance(step, ChangeRecordsStep)}
    gone = {
        step.application
        for step in run.plan.steps
        if touched(run.steps[step.id])
        and (
            isinstance(step, ChangeRecordsStep)
            or (isinstance(step, ScaleStep) and step.after < step.before and not is_shed(step))
        )
    }
    ready = {
        step.application
        for step in run.plan.steps
        if step.application not in named
        and isinstance(step, WaitReadyStep)
        and run.steps[step.id].state is StepState.DONE
    }
    return tuple(name for name in run.applications if name in gone | ready)


def _returned(run: Run) -> tuple[ApplicationName, ...]:
    """Applications that a finished failback has brought home whole."""
    if run.plan.run_kind is not RunKind.FAILBACK or run.state not in (RunState.DONE, RunState.PARTIAL):
        return ()
    open_ = {step.application for step in run.plan.steps if run.steps[step.id].state is not StepState.DONE}
    return tuple(name for name in run.applications if name not in open_)


def intended_records(runs: Iterable[Run]) -> tuple[RecordSet, ...]:
    """What runs made of each name and type last, in whichever zone it landed: several providers are to say the same."""
    found: dict[tuple[str, str], RecordSet] = {}
    for run in sorted(runs, key=lambda one: one.opened_at):
        for step in run.plan.steps:
            if not isinstance(step, ChangeRecordsStep):
                continue
            progress = run.steps[step.id]
            if progress.result is not None and progress.result.landed:
                found.update({change.after.key: change.after for change in step.changes})
    return tuple(found[key] for key in sorted(found))


def displacements(runs: Sequence[Run]) -> tuple[Displacement, ...]:
    """What finished runs took away and nobody brought back: a finished failback undoes the runs that it names.

    Counted by application: one that was left out of the failback, or did not get through it, is still to be brought home.
    """
    found = []
    for run in runs:
        if run.plan.run_kind not in MOVING or not run.state.final or run.closed_at is None:
            continue
        home = {name for other in runs if run.id in other.plan.undoes for name in _returned(other)}
        plan = _carried_out(run, home)
        if plan.steps:
            found.append(Displacement(run=run.id, domain=plan.domain, plan=plan, finished_at=run.closed_at))
    return tuple(found)


def moved_away(runs: Sequence[Run]) -> frozenset[tuple[ClusterName, ApplicationName]]:
    """Applications, and the clusters that finished runs took them away from, until a failback brought them home.

    An aborted run that only added elsewhere has moved nothing: its additions are surplus, and what runs in the source is
    as wanted as ever.
    """
    return frozenset(
        (name, application)
        for run in runs
        if run.plan.run_kind in MOVING and run.state.final
        for application in _moved(run)
        if not any(run.id in other.plan.undoes and application in _returned(other) for other in runs)
        for name in run.plan.sources
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Surplus:
    """What a run added to a workload in a cluster for an application that has not moved (yet): more than clients need.

    It counts as surplus while at least `standing` replicas are wanted there; below that somebody has taken it away.
    """

    extra: int
    standing: int


def surplus(runs: Sequence[Run]) -> dict[tuple[ClusterName, WorkloadRef], Surplus]:
    """Additions of runs that are under way, or ended before anything moved, until a failback took them back.

    Without this the additions of an aborted run would be taken for demand, and the next run would add as many again.
    """
    found: dict[tuple[ClusterName, WorkloadRef], Surplus] = {}
    for run in runs:
        balancing = run.plan.run_kind is RunKind.REBALANCE and run.state is not RunState.DONE
        if run.plan.run_kind not in MOVING and not balancing:
            continue
        moved = _moved(run) if run.state.final and not balancing else ()
        home = {name for other in runs if run.id in other.plan.undoes for name in _returned(other)}
        for step in run.plan.steps:
            if not isinstance(step, ScaleStep) or step.after <= step.before or step.owner is not None:
                continue
            if step.application in home or step.application in moved or not _landed(run, step.id):
                continue
            key = (step.cluster, step.workload)
            before = found.get(key, Surplus(extra=0, standing=0))
            found[key] = Surplus(
                extra=before.extra + step.after - step.before, standing=max(before.standing, step.after)
            )
    return found


def _landed(run: Run, step: StepId) -> bool:
    result = run.steps[step].result
    return result is not None and result.landed


def _carried_out(run: Run, home: Collection[ApplicationName]) -> Plan:
    """The plan with the steps that landed only, without the applications that are home again."""
    steps = tuple(step for step in run.plan.steps if _landed(run, step.id) and step.application not in home)
    parts = tuple(part for part in run.plan.applications if part.application not in home)
    return replace(run.plan, steps=steps, applications=parts)
