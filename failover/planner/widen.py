"""A run that widens keeps what it has done: the new plan's steps follow those that were attempted already."""

from collections.abc import Sequence
from dataclasses import replace

from failover.model.ids import ClusterName, StepId, ZoneName
from failover.model.plan import (
    ApplicationPlan,
    ChangeRecordsStep,
    Placement,
    Plan,
    ScaleField,
    ScaleStep,
    Step,
)
from failover.model.policy import WorkloadRef
from failover.model.records import RecordChange
from failover.planner.shares import chain, movable, running

Scaled = tuple[ClusterName, WorkloadRef, ScaleField]


def widen(former: Plan, kept: frozenset[StepId], latest: Plan, *, share: float = 1.0) -> Plan:
    """`latest`, preceded by those steps of `former` that have landed or may have (`kept`).

    Without them a later failback would not know what the first half of the run had added. A new change of the same object
    or record set waits for the kept one, and replaces what that one leaves; numbers and record sets count from the former
    plan's start. So does the share of a workload that one change may move (`share`): what was split for today's replicas may
    have to be split again.
    """
    named = {step.id for step in latest.steps}
    steps = [step for step in former.steps if step.id in kept and step.id not in named]
    known = kept | named
    old = [replace(step, needs=tuple(need for need in step.needs if need in known)) for step in steps]
    parts = {part.application: part for part in former.applications if part.left_out is None}
    applications = tuple(
        _merged(parts[part.application], part) if part.application in parts else part
        for part in latest.applications
    )
    split = (link for step in latest.steps for link in _split(step, applications, share))
    return replace(latest, steps=(*old, *(_after(step, steps) for step in split)), applications=applications)


def _split(step: Step, applications: tuple[ApplicationPlan, ...], share: float) -> list[Step]:
    if share >= 1 or not isinstance(step, ScaleStep):
        return [step]
    limit = movable(running(applications, step.workload), share)
    return [*chain(step, limit)] if limit else [step]


def _after(step: Step, kept: Sequence[Step]) -> Step:
    """The step once those kept ones are done that change the same thing."""
    if isinstance(step, ScaleStep):
        earlier = [item.id for item in kept if isinstance(item, ScaleStep) and _scaled(item) == _scaled(step)]
        return replace(step, needs=(*step.needs, *earlier[-1:]))
    if isinstance(step, ChangeRecordsStep):
        return _after_records(step, [item for item in kept if isinstance(item, ChangeRecordsStep)])
    return step


def _scaled(step: ScaleStep) -> Scaled:
    return (step.cluster, step.workload, step.field)


def _after_records(step: ChangeRecordsStep, kept: Sequence[ChangeRecordsStep]) -> ChangeRecordsStep:
    """A kept change that the zone did not show yet when the new plan was made comes first: then its outcome stands there."""
    changes, needs = [], list(step.needs)
    for change in step.changes:
        for item in kept:
            first = next((one for one in item.changes if one.after.key == change.after.key), None)
            if item.zone == step.zone and first is not None and first.before == change.before:
                change = replace(change, before=first.after)
                needs.append(item.id)
        changes.append(change)
    return replace(step, changes=tuple(changes), needs=tuple(dict.fromkeys(needs)))


def _merged(former: ApplicationPlan, latest: ApplicationPlan) -> ApplicationPlan:
    if latest.left_out is not None:
        return latest
    starts = {(row.workload, row.cluster): row.before for row in former.placements}
    rows = tuple(_from(row, starts.get((row.workload, row.cluster), row.before)) for row in latest.placements)
    records = _from_the_start(former, latest)
    done = sum(
        start.before - then.before
        for start, then in zip(latest.placements, rows, strict=True)
        if start.before > then.before
    )
    return replace(
        latest,
        placements=rows,
        records=tuple(change for _, change in records),
        record_zones=_zones(records),
        lost=latest.lost + done,
        replaced=latest.replaced + done,
    )


def _zones(records: Sequence[tuple[ZoneName | None, RecordChange]]) -> tuple[ZoneName, ...]:
    """One for each record set; none at all where a plan of an older version did not say it of each."""
    found = tuple(zone for zone, _ in records if zone is not None)
    return found if len(found) == len(records) else ()


def _from_the_start(
    former: ApplicationPlan, latest: ApplicationPlan
) -> tuple[tuple[ZoneName | None, RecordChange], ...]:
    """Each provider's record sets by themselves: one may have been caught up while another was away."""
    first = {(zone, change.after.key): change for zone, change in former.zoned_records()}
    changed = tuple(
        (zone, replace(change, before=first[zone, change.after.key].before))
        if (zone, change.after.key) in first
        else (zone, change)
        for zone, change in latest.zoned_records()
    )
    again = {(zone, change.after.key) for zone, change in changed}
    carried = (
        (zone, change) for zone, change in former.zoned_records() if (zone, change.after.key) not in again
    )
    return (*carried, *changed)


def _from(row: Placement, start: int) -> Placement:
    """The row as counted from the former plan's start, where it grew since."""
    return replace(row, before=start) if start < row.before else row
