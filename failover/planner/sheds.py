"""Replicas that were given up: numbers that still fit when some of those they were given up for are left out."""

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeGuard

from failover.model.ids import ClusterName, StepId
from failover.model.plan import Phase, ScaleStep, Step
from failover.model.policy import WorkloadRef


def resettled(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps, with every object that gives something up going down only by what the steps at hand need of it.

    Several applications may need room of the same object; absolute numbers (I18) then build on one another, and one that
    is left out must not leave its part taken.
    """
    steps = tuple(steps)
    standing: dict[tuple[ClusterName, WorkloadRef], int] = {}
    for step in steps:
        if is_shed(step):
            key = (step.cluster, step.workload)
            standing[key] = max(standing.get(key, 0), step.before)
    if not standing:
        return steps
    known = {step.id for step in steps}
    latest: dict[tuple[ClusterName, WorkloadRef], StepId] = {}
    result: list[Step] = []
    for step in steps:
        if is_shed(step):
            key = (step.cluster, step.workload)
            after = standing[key] - (step.before - step.after)
            earlier = (latest[key],) if key in latest else ()
            needs = dict.fromkeys((*(need for need in step.needs if need in known), *earlier))
            step = replace(step, before=standing[key], after=after, needs=tuple(needs))
            standing[key], latest[key] = after, step.id
        result.append(step)
    return tuple(result)


def is_shed(step: Step) -> TypeGuard[ScaleStep]:
    """It takes replicas of a later tier away."""
    return isinstance(step, ScaleStep) and step.phase is Phase.SHED
