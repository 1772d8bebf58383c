"""Rules over one change of replicas: absolute, in a cluster that can be asked, and never less before there is more."""

from collections.abc import Iterator

from failover.execution.admission import is_automatic
from failover.execution.carrying import not_carried
from failover.execution.rules import refuse
from failover.execution.shed_rules import shed_refusals
from failover.execution.situation import Situation
from failover.model.ids import ClusterName
from failover.model.journal import Intent, Run, ScaleChange, StepState
from failover.model.plan import ChangeRecordsStep, Phase, ProveGoneStep, ScaleStep, WaitReadyStep
from failover.model.policy import WorkloadRef, Writers
from failover.model.reasons import Refusal
from failover.model.verdict import VerdictKind
from failover.planner.shares import movable, running
from failover.planner.sheds import is_shed


def scale_refusals(change: ScaleChange, intent: Intent, run: Run, situation: Situation) -> Iterator[Refusal]:
    """Every reason against one scale."""
    if not change.resource_version or change.after < 0:
        yield refuse(
            "absolute", "a scale carries the resourceVersion that was read and a number that is not negative"
        )
    yield from control_plane(change.cluster, run, situation)
    yield from _share(change, run, situation)
    yield from _single_writer(change, run, situation)
    step = next((item for item in run.plan.steps if item.id == intent.step), None)
    if step is not None and is_shed(step):
        yield from shed_refusals(step, run.plan, situation, automatic=is_automatic(run.actor))
        if change.after >= change.before:
            yield refuse("shed", f"{step.id} takes away, and would go from {change.before} to {change.after}")
    elif isinstance(step, ScaleStep) and change.after < change.before:
        yield from _removal(step, run)
        yield from _carried(step, run, situation)


def control_plane(cluster: str, run: Run, situation: Situation) -> Iterator[Refusal]:
    """No change where C is not up. A source whose data plane alone is down may be asked by automation."""
    verdict = situation.judgement.of_cluster(ClusterName(cluster))
    kind = verdict.kind if verdict else VerdictKind.UNKNOWN
    if kind in (VerdictKind.HEALTHY, VerdictKind.DEGRADED):
        return
    if is_automatic(run.actor):
        if not (cluster in run.plan.sources and kind is VerdictKind.DATA_PLANE_DOWN):
            yield refuse("control-plane", f"{cluster} is {kind}: no change is attempted there")
    elif kind in (VerdictKind.DOWN, VerdictKind.CONTROL_PLANE_DOWN):
        yield refuse("control-plane", f"{cluster} is {kind}: its control plane does not answer")


def _share(change: ScaleChange, run: Run, situation: Situation) -> Iterator[Refusal]:
    """I12: one change moves at most this share of what the fleet runs of the workload."""
    share = situation.policy.guards.share_per_step
    if share >= 1:
        return
    replicas = running(run.plan.applications, change.workload)
    moved = abs(change.after - change.before)
    if moved > movable(replicas, share):
        yield refuse(
            "share-per-step",
            f"{moved} of {replicas} replicas of {change.workload} in one change; at most {share:.0%} may move",
        )


def _single_writer(change: ScaleChange, run: Run, situation: Situation) -> Iterator[Refusal]:
    """Automation moves none; for a person, one may only start where every stop of it in this plan is proven."""
    if not _is_single(change.workload, situation):
        return
    if is_automatic(run.actor):
        yield refuse("single-writer", f"{change.workload} has a single writer; automation does not move it")
    if change.after <= change.before:
        return
    unproven = [
        step.id
        for step in run.plan.steps
        if isinstance(step, ProveGoneStep)
        and step.workload == change.workload
        and step.cluster != change.cluster
        and run.steps[step.id].state is not StepState.DONE
    ]
    if unproven:
        yield refuse("order", f"the old writer of {change.workload} is not proven gone", *unproven)


def _is_single(workload: WorkloadRef, situation: Situation) -> bool:
    return any(
        item.writers is Writers.SINGLE and item.ref == workload
        for application in situation.policy.applications
        for item in application.workloads
    )


def _removal(step: ScaleStep, run: Run) -> Iterator[Refusal]:
    """I10: a decrease comes after the replacements are ready, or is a single writer's stop before its start."""
    if step.phase is not Phase.RELEASE:
        if not is_single_writer_stop(step, run):
            yield refuse("add-before-remove", f"{step.id} takes replicas away outside the release phase")
        return
    waits = [
        item.id
        for item in run.plan.steps
        if isinstance(item, WaitReadyStep | ChangeRecordsStep)
        and item.application == step.application
        and item.phase is not Phase.RELEASE
        and run.steps[item.id].state is not StepState.DONE
    ]
    if waits:
        yield refuse("add-before-remove", "the replacements are not all ready and published yet", *waits)


def _carried(step: ScaleStep, run: Run, situation: Situation) -> Iterator[Refusal]:
    """I9 and I10 once more, now: what the plan leaves elsewhere must still serve when the source is taken away.

    The replacements were ready and published before; a cluster that has died since carries nothing, nor does one of which nobody
    knows just now, and one that has lost nodes only what is ready there.
    """
    if step.phase is not Phase.RELEASE:
        return
    application = next((one for one in situation.policy.applications if one.name == step.application), None)
    part = next((one for one in run.plan.applications if one.application == step.application), None)
    if application is None or part is None:
        return
    rows = [row for row in part.placements if row.after > 0]
    yield from not_carried(application, part.demand, rows, situation, without=step.cluster)


def is_single_writer_stop(step: ScaleStep, run: Run) -> bool:
    """To 0, at once or by the links of a chain, and a step of the plan waits for the proof that it is gone."""
    links, ends = {step.id}, {step.id} if step.after == 0 else set()
    for item in run.plan.steps:
        if isinstance(item, ProveGoneStep) and ends & set(item.needs):
            return True
        if isinstance(item, ScaleStep) and is_same_object(item, step) and links & set(item.needs):
            links.add(item.id)
            ends |= {item.id} if item.after == 0 else set()
    return False


def is_same_object(one: ScaleStep, other: ScaleStep) -> bool:
    """Both move the same number of the same workload in the same cluster."""
    return (one.cluster, one.workload, one.field) == (other.cluster, other.workload, other.field)
