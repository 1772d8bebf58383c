"""May this plan become a run? Rules over the state *after* the plan; each says no with a reason, or says nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from failover.execution.evidence import (
    application_returned,
    both_sides_alive,
    calm,
    gone_by_quorum,
    returned,
    serves_still,
)
from failover.execution.radius import UNPLANNED, blast_radius
from failover.execution.rules import RULES, refuse
from failover.execution.runs import AUTOMATION
from failover.execution.shed_rules import plan_sheds
from failover.execution.situation import Situation
from failover.model.ids import ApplicationName, RunId
from failover.model.plan import ApplicationPlan, ChangeRecordsStep, Plan, RunKind, ScaleStep, Step
from failover.model.policy import Application, Mode, OnShortage, Writers
from failover.model.reasons import Refusal
from failover.planner.assumptions import assumptions_of
from failover.planner.shares import movable, running
from failover.planner.sheds import resettled

SCHEDULE_PREFIX = "schedule/"


def is_automatic(actor: str) -> bool:
    """Automation and the calendar are stopped by pause and freeze; people are not."""
    return actor == AUTOMATION or actor.startswith(SCHEDULE_PREFIX)


def check_run(plan: Plan, situation: Situation, *, actor: str) -> tuple[Refusal, ...]:
    """Every reason why this plan must not start now; rules that a person overrode by name are left out."""
    automatic = is_automatic(actor)
    found = list(_always(plan, situation))
    if automatic:
        found += holding_back(situation)
    if plan.run_kind in UNPLANNED:
        found += gone_by_quorum(plan, situation) if automatic else serves_still(plan, situation)
    elif plan.run_kind is RunKind.FAILBACK:
        found += returned(plan, situation)
    elif plan.run_kind is RunKind.REBALANCE:
        found += calm(plan, situation)
    elif not plan.run_kind.about_names:
        found += both_sides_alive(plan, situation)
    found += blast_radius(plan, situation, automatic=automatic)
    return tuple(item for item in found if not overridden(item, plan, automatic=automatic))


def check_widening(plan: Plan, situation: Situation) -> tuple[Refusal, ...]:
    """Why automation must not take further clusters of a region into a run of its own now.

    It is a decision like a run's opening, but for the blast radius: the region is counted already.
    """
    return (*_always(plan, situation), *holding_back(situation), *gone_by_quorum(plan, situation))


def overridden(refusal: Refusal, plan: Plan, *, automatic: bool) -> bool:
    """A person named this very rule, and it is one that people may override (I24). Automation overrides nothing."""
    rule = RULES.get(refusal.code)
    return not automatic and rule is not None and rule.overridable and refusal.code in plan.overrides


def _always(plan: Plan, situation: Situation) -> Iterator[Refusal]:
    if plan.hypothetical:
        yield refuse("hypothetical", "this plan rests on assumed verdicts; it shows, it is never carried out")
    if situation.doubt:
        yield refuse("doubt", situation.doubt)
    if not situation.journal_ok:
        yield refuse("journal", "the store does not take appends, and without a journal nothing is changed")
    if situation.epoch is None or situation.now.mono >= situation.acting_until:
        yield refuse("lease", "this controller does not hold the lease")
    if plan.policy_generation != situation.policy.generation:
        yield refuse(
            "stale-plan",
            "the policy changed since the plan was made",
            f"plan={plan.policy_generation}",
            f"now={situation.policy.generation}",
        )


def holding_back(situation: Situation) -> Iterator[Refusal]:
    """What stops automation and never a person."""
    if situation.paused:
        yield refuse("paused", situation.paused)
    judgement = situation.judgement
    if judgement.freeze is not None:
        yield refuse("frozen", judgement.freeze.sentence, *judgement.freeze.regions)
    if judgement.warm_up is not None:
        warm = judgement.warm_up
        ready = f"{warm.vantages_ready} of {warm.quorum} vantages ready"
        yield refuse("warm-up", f"the detectors are warming up after {warm.cause}: {ready}")


# -- by application ----------------------------------------------------------------------------------------------------


def check_applications(
    plan: Plan, situation: Situation, *, actor: str, busy: tuple[tuple[ApplicationName, RunId], ...]
) -> Plan:
    """The plan with every application that a rule or its mode refuses left out, with the reason.

    A failback keeps the runs that it undoes: what was left out of it is counted as still away by application
    (`runs.displacements`), so those that did come home are not held up by those that did not.
    """
    parts = []
    for part in plan.applications:
        refusal = part.left_out or _application_refusal(part, plan, situation, actor, dict(busy))
        parts.append(replace(part, left_out=refusal))
    left_out = {part.application for part in parts if part.left_out is not None}
    steps = tuple(step for step in plan.steps if step.application not in left_out)
    return _of_steps(replace(plan, applications=tuple(parts)), steps)


def _application_refusal(
    part: ApplicationPlan,
    plan: Plan,
    situation: Situation,
    actor: str,
    busy: Mapping[ApplicationName, RunId],
) -> Refusal | None:
    """The first reason to leave this application out that nobody overrode."""
    automatic = is_automatic(actor)
    for refusal in _application_refusals(part, plan, situation, automatic, busy):
        if not overridden(refusal, plan, automatic=automatic):
            return refusal
    return None


def _application_refusals(
    part: ApplicationPlan,
    plan: Plan,
    situation: Situation,
    automatic: bool,
    busy: Mapping[ApplicationName, RunId],
) -> Iterator[Refusal]:
    name = part.application
    application = next((item for item in situation.policy.applications if item.name == name), None)
    if application is None:
        yield refuse("stale-plan", f"{name} is not in the policy any more", application=name)
        return
    if name in busy:
        run = busy[name]
        sentence = (
            f"run {run} is under way for this application: `failover resume-run {run}` goes on with it where it is halted, "
            f"`failover approve {run}` where it waits, `failover abort {run}` ends it"
        )
        yield refuse("busy", sentence, run, application=name)
    if automatic and application.mode.rank < Mode.APPROVE.rank:
        sentence = f"mode {application.mode}: automation shows this plan and does not carry it out"
        yield refuse("mode", sentence, f"mode={application.mode}", application=name)
    if plan.run_kind is RunKind.FAILBACK:
        yield from application_returned(name, plan, situation)
    yield from _single_writers(application, plan, automatic)
    yield from _capacity(part, application, plan)
    yield from _shares(part, plan, situation)
    yield from plan_sheds(part, plan, situation, automatic=automatic)
    for row in part.sheds:
        if row.owner in busy:
            sentence = f"run {busy[row.owner]} is under way for {row.owner}, which would give up replicas"
            yield refuse("busy", sentence, busy[row.owner], application=name)


def _single_writers(application: Application, plan: Plan, automatic: bool) -> Iterator[Refusal]:
    """Automation moves no single writer: the old one may be alive behind a partition, and no gate can be asked yet."""
    singles = {workload.ref for workload in application.workloads if workload.writers is Writers.SINGLE}
    moved = sorted(
        {
            str(step.workload)
            for step in plan.steps
            if isinstance(step, ScaleStep)
            and step.application == application.name
            and step.workload in singles
        }
    )
    if moved and automatic:
        yield refuse(
            "single-writer",
            f"{', '.join(moved)} has a single writer, and automation does not move those",
            *(f"workload={ref}" for ref in moved),
            application=application.name,
        )


def _capacity(part: ApplicationPlan, application: Application, plan: Plan) -> Iterator[Refusal]:
    """I9 and I11 over the state after the plan."""
    if plan.run_kind is RunKind.FAILBACK:
        return
    moves_traffic = any(
        isinstance(step, ChangeRecordsStep) and step.application == part.application for step in plan.steps
    )
    if part.lost and not part.capacity_after and moves_traffic:
        yield refuse(
            "no-target",
            f"nothing would carry {part.application} afterwards; the source stays as it is",
            application=part.application,
        )
    needed = part.demand * application.floor / 100
    holds = application.on_shortage is OnShortage.HOLD or plan.run_kind is RunKind.DRAIN
    if holds and moves_traffic and part.capacity_after < needed:
        yield refuse(
            "capacity-floor",
            f"{part.capacity_after} replicas would carry a demand of {part.demand}; the floor is {application.floor} %",
            f"capacity={part.capacity_after}",
            f"needed={needed:g}",
            application=part.application,
        )


def _shares(part: ApplicationPlan, plan: Plan, situation: Situation) -> Iterator[Refusal]:
    """I12: a run whose steps move too much at once would fail each of them, and begin again."""
    share = situation.policy.guards.share_per_step
    if share >= 1:
        return
    for step in plan.steps:
        if not isinstance(step, ScaleStep) or step.application != part.application:
            continue
        replicas, moved = running(plan.applications, step.workload), abs(step.after - step.before)
        if moved > movable(replicas, share):
            yield refuse(
                "share-per-step",
                f"{step.id} moves {moved} of {replicas} replicas in one change; at most {share:.0%} may move",
                application=part.application,
            )


def only(plan: Plan, applications: frozenset[ApplicationName], why: Refusal) -> Plan:
    """The plan for some applications; the others are left out with this reason."""
    parts = tuple(
        part
        if part.application in applications or part.left_out
        else replace(part, left_out=replace(why, application=part.application))
        for part in plan.applications
    )
    steps = tuple(step for step in plan.steps if step.application in applications)
    return _of_steps(replace(plan, applications=parts), steps)


def _of_steps(plan: Plan, steps: tuple[Step, ...]) -> Plan:
    """The plan with these steps only, and with the assumptions that they rest on: what is left out is nobody's concern."""
    if steps == plan.steps:
        return plan
    steps = resettled(steps)
    assumptions = assumptions_of(plan.policy_generation, plan.verdicts, steps, frozenset(plan.sources))
    return replace(plan, steps=steps, assumptions=assumptions)
