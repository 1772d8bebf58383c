"""Which names are ours: those that a change of ours has landed at, under our fence. Told by the journal, name by name (I14).

A fence says who changed an application's names last, not which names it ever wrote. One that is added to a policy later
and stands in the zone already is somebody's, until an adoption says otherwise.
"""

from collections.abc import Iterable

from failover.model.ids import ApplicationName, ZoneName
from failover.model.journal import EffectRecorded, Run
from failover.model.plan import ChangeRecordsStep
from failover.model.records import FenceRecord, OwnedName, RecordChange


def owned_by(run: Run, event: EffectRecorded) -> frozenset[OwnedName]:
    """The names that an effect of a run makes ours: what it created, changed, or adopted as it was."""
    step = next((item for item in run.plan.steps if item.id == event.step), None)
    if not isinstance(step, ChangeRecordsStep) or not event.result.landed:
        return frozenset()
    return frozenset((step.zone, step.application, *change.after.key) for change in step.changes)


def not_ours(
    changes: Iterable[RecordChange],
    zone: ZoneName,
    application: ApplicationName,
    fence: FenceRecord | None,
    owned: frozenset[OwnedName],
) -> tuple[str, ...]:
    """Of what exists and would be changed, in words, what nothing says is ours. A name that is created belongs to nobody."""
    return tuple(
        f"{item.after.name} {item.after.record_type}"
        for item in changes
        if item.before is not None and (fence is None or (zone, application, *item.after.key) not in owned)
    )
