"""A run that widens keeps what it has done: the new plan's steps follow those that were attempted already."""

from dataclasses import replace

from failover.model.ids import ClusterName, StepId
from failover.model.plan import ApplicationPlan, Placement, Plan, ScaleField, ScaleStep, Step
from failover.model.policy import WorkloadRef
from failover.model.records import RecordChange
from failover.planner.shares import chain, movable, running

Scaled = tuple[ClusterName, WorkloadRef, ScaleField]


def widen(former: Plan, kept: frozenset[StepId], latest: Plan, *, share: float = 1.0) -> Plan:
    """`latest`, preceded by those steps of `former` that have landed or may have (`kept`).

    Without them a later failback would not know what the first half of the run had added. A new scale of the same
    object waits for the kept one; numbers and record sets count from the former plan's start. So does the share of a
    workload that one change may move (`share`): what was split for today's replicas may have to be split again.
    """
    named = {step.id for step in latest.steps}
    steps = [step for step in former.steps if step.id in kept and step.id not in named]
    before = {
        (step.cluster, step.workload, step.field): step.id for step in steps if isinstance(step, ScaleStep)
    }
    known = kept | named
    old = [replace(step, needs=tuple(need for need in step.needs if need in known)) for step in steps]
    parts = {part.application: part for part in former.applications if part.left_out is None}
    applications = tuple(
        _merged(parts[part.application], part) if part.application in parts else part
        for part in latest.applications
    )
    split = (link for step in latest.steps for link in _split(step, applications, share))
    return replace(latest, steps=(*old, *(_after(step, before) for step in split)), applications=applications)


def _split(step: Step, applications: tuple[ApplicationPlan, ...], share: float) -> list[Step]:
    if share >= 1 or not isinstance(step, ScaleStep):
        return [step]
    limit = movable(running(applications, step.workload), share)
    return [*chain(step, limit)] if limit else [step]


def _after(step: Step, before: dict[Scaled, StepId]) -> Step:
    if not isinstance(step, ScaleStep):
        return step
    earlier = before.get((step.cluster, step.workload, step.field))
    return step if earlier is None else replace(step, needs=(*step.needs, earlier))


def _merged(former: ApplicationPlan, latest: ApplicationPlan) -> ApplicationPlan:
    if latest.left_out is not None:
        return latest
    starts = {(row.workload, row.cluster): row.before for row in former.placements}
    rows = tuple(_from(row, starts.get((row.workload, row.cluster), row.before)) for row in latest.placements)
    first = {change.after.key: change for change in former.records}
    changes = tuple(
        RecordChange(before=first[change.after.key].before, after=change.after)
        if change.after.key in first
        else change
        for change in latest.records
    )
    untouched = {change.after.key for change in changes}
    carried = tuple(change for change in former.records if change.after.key not in untouched)
    done = sum(
        start.before - then.before
        for start, then in zip(latest.placements, rows, strict=True)
        if start.before > then.before
    )
    return replace(
        latest,
        placements=rows,
        records=(*carried, *changes),
        lost=latest.lost + done,
        replaced=latest.replaced + done,
    )


def _from(row: Placement, start: int) -> Placement:
    """The row as counted from the former plan's start, where it grew since."""
    return replace(row, before=start) if start < row.before else row
