"""Who may be asked to give up replicas: a later tier, for growth that the plan holds, where the policy says shed (I9)."""

from collections.abc import Iterator

from failover.execution.radius import UNPLANNED
from failover.execution.rules import refuse
from failover.execution.situation import Situation
from failover.model.ids import ApplicationName
from failover.model.plan import ApplicationPlan, Plan, ScaleStep
from failover.model.policy import Application, Mode, OnShortage, Writers
from failover.model.reasons import Refusal
from failover.planner.sheds import is_shed


def plan_sheds(
    part: ApplicationPlan, plan: Plan, situation: Situation, *, automatic: bool
) -> Iterator[Refusal]:
    """Every reason against what others would give up for one application."""
    for step in plan.steps:
        if is_shed(step) and step.application == part.application:
            yield from shed_refusals(step, plan, situation, automatic=automatic)


def shed_refusals(step: ScaleStep, plan: Plan, situation: Situation, *, automatic: bool) -> Iterator[Refusal]:
    """Every reason against one of them."""
    asking, owner = _named(situation, step.application), _named(situation, step.owner)
    reasons = _reasons(step, plan, asking, owner, automatic)
    for sentence in reasons:
        yield refuse("shed", f"{step.id}: {sentence}", application=step.application)


def _named(situation: Situation, name: ApplicationName | None) -> Application | None:
    return next((one for one in situation.policy.applications if one.name == name), None)


def _reasons(
    step: ScaleStep, plan: Plan, asking: Application | None, owner: Application | None, automatic: bool
) -> Iterator[str]:
    if asking is None or owner is None:
        yield f"{step.application if asking is None else step.owner} is not in the policy"
        return
    if plan.run_kind not in UNPLANNED:
        yield f"a {plan.run_kind} is planned and waits for room"
    if asking.on_shortage is not OnShortage.SHED:
        yield f"onShortage of {asking.name} is {asking.on_shortage}, so nobody gives up anything for it"
    if owner.tier <= asking.tier:
        yield f"{owner.name} is of tier {owner.tier}, and only a tier after {asking.tier} gives up replicas"
    if automatic and owner.mode is not Mode.AUTO:
        yield f"the mode of {owner.name} is {owner.mode}: automation takes nothing from it"
    mine = next((item for item in owner.workloads if item.ref == step.workload), None)
    if mine is None:
        yield f"{step.workload} is no workload of {owner.name}"
    elif mine.writers is Writers.SINGLE:
        yield f"{step.workload} has a single writer"
    if not 0 <= step.after < step.before:
        yield f"it would go from {step.before} to {step.after}"
    if not any(_grows_into(item, step, plan) for item in plan.steps):
        yield f"nothing of {asking.name} grows in {step.cluster} after it"


def _grows_into(item: object, step: ScaleStep, plan: Plan) -> bool:
    """Growth of the application in the same cluster that waits for the shed, or for a later link of its chain."""
    chain = {step.id}
    for other in plan.steps:
        if is_shed(other) and chain & set(other.needs) and other.workload == step.workload:
            chain.add(other.id)
    return (
        isinstance(item, ScaleStep)
        and item.after > item.before
        and (item.application, item.cluster) == (step.application, step.cluster)
        and item.owner is None
        and bool(chain & set(item.needs))
    )
