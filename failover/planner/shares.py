"""I12: no single change moves more than a share of a workload's replicas in the fleet. What is more becomes a chain of steps.

The last link keeps the step's id, so whatever needs the step waits for the whole chain.
"""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from failover.model.ids import ClusterName, StepId
from failover.model.plan import ApplicationPlan, ScaleStep, Step
from failover.model.policy import WorkloadRef
from failover.planner.forward import Part
from failover.planner.world import World

RULE = "share-per-step"


def running(parts: Iterable[ApplicationPlan], workload: WorkloadRef) -> int:
    """What the fleet runs of a workload before the plan; after it, where it runs none yet.

    Of one that only gives something up, or gets it back, no more is known than what it runs in the clusters concerned.
    """
    parts = tuple(parts)
    rows = [row for part in parts for row in part.placements if row.workload == workload]
    given: dict[ClusterName, int] = {}
    for part in parts:
        for shed in part.sheds:
            if shed.workload == workload:
                most = max(shed.before, shed.after)
                given[shed.cluster] = max(given.get(shed.cluster, 0), most)
    return sum(row.before for row in rows) or sum(row.after for row in rows) or sum(given.values())


def movable(replicas: int, share: float) -> int:
    """How many of these replicas one change may move: the share, rounded down, and one in any case.

    Otherwise a small share would mean that small workloads are never moved at all.
    """
    return max(1, int(Fraction(str(share)) * replicas))


def within_share(world: World, part: Part) -> Part:
    """The part with every scale split where it moves too much."""
    share = world.policy.guards.share_per_step
    if share >= 1 or RULE in world.request.overrides or part.plan.left_out is not None:
        return part
    steps: list[Step] = []
    for step in part.steps:
        if not isinstance(step, ScaleStep) or step.after == step.before:
            steps.append(step)
            continue
        steps += chain(step, movable(running((part.plan,), step.workload), share))
    return replace(part, steps=tuple(steps))


def chain(step: ScaleStep, limit: int) -> list[ScaleStep]:
    """Links of at most `limit` replicas, each waiting for nothing but the one before."""
    if abs(step.after - step.before) <= limit:
        return [step]
    stride = limit if step.after > step.before else -limit
    links: list[ScaleStep] = []
    before, needs = step.before, step.needs
    for number in (*range(step.before + stride, step.after, stride), step.after):
        link = replace(
            step,
            id=step.id if number == step.after else StepId(f"{step.id.rpartition(':')[0]}:{number}"),
            before=before,
            after=number,
            needs=needs,
            reason=f"{step.reason}; at most {limit} at once",
        )
        links.append(link)
        before, needs = number, (link.id,)
    return links
