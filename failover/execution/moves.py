"""What runs have moved, what is still away, what they added for nobody, and what they could not place anywhere."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from failover.execution.runs import AUTOMATION, touched
from failover.model.ids import ApplicationName, ClusterName, RegionName, RunId, StepId
from failover.model.journal import Run, RunState, StepState
from failover.model.plan import ChangeRecordsStep, Plan, RunKind, ScaleStep, WaitReadyStep
from failover.model.policy import Fleet, WorkloadRef
from failover.model.records import RecordSet
from failover.model.snapshot import Displacement
from failover.planner.nesting import counts_on
from failover.planner.sheds import is_shed

MOVING = (RunKind.EVACUATION, RunKind.STEERING, RunKind.DRAIN)


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
    """A run's summary. Of a cluster that left the policy nobody knows the region: while the run goes on it counts as one of its
    own, for something is on the way; afterwards it is left out, for nothing can be brought home to it.
    """
    region_of = {entry.name: entry.region for entry in fleet.clusters}
    places = [
        region_of.get(name, RegionName(f"cluster/{name}"))
        for name in run.plan.sources
        if name in region_of or not run.state.final
    ]
    regions = dict.fromkeys(places)
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
        moved=moved(run) if moving else (),
        returned=returned(run),
        undoes=run.plan.undoes,
        aborted_by=run.abort.actor if run.abort is not None and run.abort.actor != AUTOMATION else "",
    )


def is_whole(plan: Plan) -> bool:
    """Away from clusters; a steering whose sources all serve is of an application that is broken there."""
    verdicts = dict(plan.verdicts)
    return plan.run_kind is not RunKind.STEERING or any(
        verdicts[name].no_longer_serves for name in plan.sources if name in verdicts
    )


def moved(run: Run) -> tuple[ApplicationName, ...]:
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


def returned(run: Run) -> tuple[ApplicationName, ...]:
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
        home = _home(run, runs)
        plan = _carried_out(run, home)
        if plan.steps:
            found.append(Displacement(run=run.id, domain=plan.domain, plan=plan, finished_at=run.closed_at))
    return tuple(found)


def moved_away(runs: Sequence[Run]) -> frozenset[tuple[ClusterName, ApplicationName]]:
    """Applications, and the clusters that finished runs took them away from, until a failback brought them home.

    An aborted run that only added elsewhere has moved nothing: its additions are surplus, and what runs in the source is
    as wanted as ever. So is what runs where a later run has added for it, or counted on what ran there again: that stands in for
    others now.
    """
    away: set[tuple[ClusterName, ApplicationName]] = set()
    for run in sorted(runs, key=lambda one: one.opened_at):
        if run.plan.run_kind not in MOVING or not run.state.final:
            continue
        gone = frozenset(moved(run)) - _home(run, runs)
        away |= {(name, application) for application in gone for name in run.plan.sources}
        away -= {(name, application) for application in gone for name in counts_on(run.plan, application)}
    return frozenset(away)


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
        gone = moved(run) if run.state.final and not balancing else ()
        added = [
            step
            for step in run.plan.steps
            if isinstance(step, ScaleStep) and step.after > step.before and step.owner is None
            if step.application not in gone and _landed(run, step.id)
        ]
        settled = _home(run, runs) | _moved_later(run, runs) if added else set()
        for step in added:
            if step.application in settled:
                continue
            key = (step.cluster, step.workload)
            before = found.get(key, Surplus(extra=0, standing=0))
            found[key] = Surplus(
                extra=before.extra + step.after - step.before, standing=max(before.standing, step.after)
            )
    return found


def owed(runs: Sequence[Run]) -> dict[tuple[ApplicationName, WorkloadRef], int]:
    """Replicas that finished runs moved clients away from, and placed nowhere: wanted still, until a failback.

    Without this what found no room, or was never added, would be no demand any more as soon as its run is over. A later run
    away from the same clusters has planned for it again: only what that one left open counts.
    """
    open_: dict[tuple[ApplicationName, WorkloadRef], list[tuple[frozenset[ClusterName], int]]] = {}
    for run in sorted(runs, key=lambda one: one.opened_at):
        if run.plan.run_kind not in MOVING or not run.state.final:
            continue
        home = _home(run, runs)
        sources, gone = frozenset(run.plan.sources), frozenset(moved(run))
        for key, count in _unplaced(run, gone).items():
            earlier = [item for item in open_.get(key, []) if not item[0] & sources]
            rest = [(sources, count)] if count and key[0] not in home else []
            open_[key] = [*earlier, *rest]
    totals = {key: sum(count for _, count in items) for key, items in open_.items()}
    return {key: total for key, total in totals.items() if total}


def _unplaced(
    run: Run, applications: Collection[ApplicationName]
) -> dict[tuple[ApplicationName, WorkloadRef], int]:
    """What the sources ran of each workload, at most what the plan counted as lost, less what was added elsewhere."""
    added: dict[tuple[ApplicationName, WorkloadRef], int] = {}
    for step in run.plan.steps:
        if not isinstance(step, ScaleStep) or step.owner is not None or step.after <= step.before:
            continue
        if _landed(run, step.id):
            key = (step.application, step.workload)
            added[key] = added.get(key, 0) + step.after - step.before
    found: dict[tuple[ApplicationName, WorkloadRef], int] = {}
    for part in run.plan.applications:
        if part.application not in applications:
            continue
        ran: dict[WorkloadRef, int] = {}
        for row in part.placements:
            ran[row.workload] = ran.get(row.workload, 0) + row.before * (row.cluster in run.plan.sources)
        for workload, replicas in ran.items():
            key = (part.application, workload)
            found[key] = max(0, min(replicas, part.lost) - added.get(key, 0))
    return found


def _home(run: Run, runs: Sequence[Run]) -> set[ApplicationName]:
    """Applications that finished failbacks have brought home from where this run had moved them."""
    return {name for other in runs if run.id in other.plan.undoes for name in returned(other)}


def _moved_later(run: Run, runs: Sequence[Run]) -> set[ApplicationName]:
    """Applications that a later run has moved away from the same clusters, onto what this one had added, and that are not home."""
    later = (
        other
        for other in runs
        if other.plan.run_kind in MOVING
        and other.state.final
        and other.opened_at > run.opened_at
        and set(other.plan.sources) & set(run.plan.sources)
    )
    return {name for other in later for name in set(moved(other)) - _home(other, runs)}


def _landed(run: Run, step: StepId) -> bool:
    result = run.steps[step].result
    return result is not None and result.landed


def _carried_out(run: Run, home: Collection[ApplicationName]) -> Plan:
    """The plan with the steps that landed only, without the applications that are home again."""
    steps = tuple(step for step in run.plan.steps if _landed(run, step.id) and step.application not in home)
    parts = tuple(part for part in run.plan.applications if part.application not in home)
    return replace(run.plan, steps=steps, applications=parts)
