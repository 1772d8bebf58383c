"""What unfinished runs hold: the applications that they change, and the room that they are about to fill."""

from collections.abc import Callable, Sequence

from failover.execution.runs import touched
from failover.model.ids import ApplicationName, ClusterName
from failover.model.journal import Run, StepState
from failover.model.plan import ScaleStep
from failover.model.policy import WorkloadRef
from failover.model.snapshot import Reservation


def busy_applications(run: Run) -> tuple[ApplicationName, ...]:
    """Applications that a run changes: those that it is for, and those that give something up for them.

    One that was left out when the run widened is still of it, as long as what was begun for it is under way.
    """
    owners = (step.owner for step in run.plan.steps if isinstance(step, ScaleStep) and step.owner is not None)
    begun = (step.application for step in run.plan.steps)
    return tuple(dict.fromkeys((*run.applications, *owners, *begun)))


def reservations(
    runs: Sequence[Run], ready: Callable[[ClusterName, WorkloadRef], int | None]
) -> tuple[Reservation, ...]:
    """Room that unfinished runs are about to fill: what they add and what is not `ready` there yet (None: never seen).

    A replica that is ordered and not ready may not have a node yet: it is counted until it is ready, so that two runs never
    plan into the same free space.
    """
    found: dict[tuple[ClusterName, WorkloadRef], Reservation] = {}
    for run in runs:
        if run.state.final:
            continue
        for step in run.plan.steps:
            if not isinstance(step, ScaleStep) or step.after <= step.before:
                continue
            if run.steps[step.id].state is StepState.FAILED:
                continue
            there = ready(step.cluster, step.workload)
            missing = step.after - max(step.before, there or 0)
            key = (step.cluster, step.workload)
            if missing > (found[key].replicas if key in found else 0):
                found[key] = Reservation(
                    run=run.id,
                    application=step.owner or step.application,
                    cluster=step.cluster,
                    workload=step.workload,
                    replicas=missing,
                    sent=touched(run.steps[step.id]) or run.steps[step.id].state is StepState.DONE,
                )
    return tuple(found[key] for key in sorted(found, key=str))
