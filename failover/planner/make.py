"""`plan`: from one sight of the world to what shall be done, application by application, in the policies' order."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from failover.model.ids import ApplicationName, Domain
from failover.model.plan import ChangeRecordsStep, Plan, PlanRequest, RunKind, ScaleStep
from failover.model.policy import Application, Policy
from failover.model.reasons import Refusal
from failover.model.snapshot import Snapshot
from failover.planner.assumptions import assumptions_of
from failover.planner.capacity import FreeCapacity
from failover.planner.eligibility import target_refusal, target_refusals
from failover.planner.failback import plan_return
from failover.planner.forward import Part, plan_forward
from failover.planner.repairing import plan_names
from failover.planner.returning import displaced
from failover.planner.shares import within_share
from failover.planner.world import World, see


def plan(snapshot: Snapshot, policy: Policy, request: PlanRequest) -> Plan:
    """What shall be done about the sources, why, and what it rests on. Pure: the same input gives the same bytes.

    Applications are taken in the policies' order, and each takes from the room that the ones before it left.
    """
    world = see(snapshot, policy, request)
    if request.run_kind.about_names:
        return plan_names(world)
    refusals = _run_refusals(world)
    free = FreeCapacity(world.inventories)
    if request.run_kind is RunKind.FAILBACK:
        return _failback(world, free, refusals)
    concerned = () if refusals else _concerned(world)
    targets = target_refusals(world)
    parts = [
        _bounded(world, free, partial(plan_forward, world, application, free, targets))
        for application in concerned
    ]
    return _assemble(world, concerned, parts, refusals)


def _bounded(world: World, free: FreeCapacity, make: Callable[[], Part]) -> Part:
    """One application's part in steps that the guards let pass; its room is given back where there are none such."""
    mark = free.mark()
    part = within_share(world, make())
    if part.plan.left_out is not None:
        free.give_back(mark)
    return part


def what_if(snapshot: Snapshot, policy: Policy, domain: Domain) -> Plan:
    """The evacuation plan as if every cluster of the domain were DOWN; nothing else is assumed (I25)."""
    sources = tuple(entry.name for entry in policy.fleet.clusters_in(domain))
    return plan(
        snapshot,
        policy,
        PlanRequest(run_kind=RunKind.EVACUATION, domain=domain, sources=sources, assume_down=sources),
    )


def _failback(world: World, free: FreeCapacity, refusals: tuple[Refusal, ...]) -> Plan:
    """Undo what finished runs took from the sources. `undoes` names those runs that this plan brings back whole."""
    displacements = world.displacements()
    concerned = {
        application.name: (application, found)
        for application in world.policy.applications
        if (not world.request.applications or application.name in world.request.applications)
        and (found := displaced(application, displacements))
    }
    if not refusals and not concerned:
        refusals = (
            Refusal(
                code="nothing-to-fail-back",
                sentence=f"no finished run took anything from {world.request.domain} that is not back already",
                overridable=False,
            ),
        )
    if refusals:
        return _assemble(world, (), [], refusals)
    parts = [
        _bounded(world, free, partial(plan_return, world, application, free, found))
        for application, found in concerned.values()
    ]
    back = {part.plan.application for part in parts if part.plan.left_out is None}
    undoes = tuple(
        item.run
        for item in displacements
        if world.sources.issuperset(item.plan.sources) and _applications_of(item.plan) <= back
    )
    made = _assemble(world, [application for application, _ in concerned.values()], parts, ())
    return replace(made, undoes=undoes)


def _applications_of(done: Plan) -> set[ApplicationName]:
    """Applications that the carried-out steps of a plan changed."""
    return {step.application for step in done.steps if isinstance(step, ScaleStep | ChangeRecordsStep)}


def _concerned(world: World) -> tuple[Application, ...]:
    """Applications that run or are published in a source, in the policies' order; only those asked for, if any."""
    asked = set(world.request.applications)
    return tuple(
        application
        for application in world.policy.applications
        if (not asked or application.name in asked) and world.sources.intersection(application.clusters)
    )


def _run_refusals(world: World) -> tuple[Refusal, ...]:
    """Why the whole plan cannot be made."""
    unknown = sorted(world.sources - set(world.entries))
    if unknown:
        return (
            Refusal(
                code="unknown-cluster",
                sentence=f"no policy names the cluster {', '.join(unknown)}",
                overridable=False,
            ),
        )
    if world.request.run_kind is RunKind.DRAIN:
        return _unreachable(world)
    if world.request.run_kind is RunKind.FAILBACK:
        homes = [target_refusal(world, world.entries[cluster]) for cluster in sorted(world.sources)]
        return tuple(refusal for refusal in homes if refusal is not None)
    return ()


def _unreachable(world: World) -> tuple[Refusal, ...]:
    silent = [
        cluster
        for cluster in sorted(world.sources)
        if not (world.control_is_up(cluster) and world.fresh(cluster))
    ]
    if not silent:
        return ()
    return (
        Refusal(
            code="source-unreachable",
            sentence=(
                f"a drain needs both sides alive, and the API server of {', '.join(silent)} does not answer "
                "or was not seen lately; an evacuation leaves its objects alone"
            ),
            evidence=tuple(f"{cluster}={world.kind(cluster)}" for cluster in silent),
            overridable=False,
        ),
    )


def _assemble(
    world: World, concerned: Iterable[Application], parts: list[Part], refusals: tuple[Refusal, ...]
) -> Plan:
    request = world.request
    steps = tuple(step for part in parts for step in part.steps)
    named = world.sources.union(cluster for application in concerned for cluster in application.clusters)
    verdicts = tuple((cluster, world.kind(cluster)) for cluster in sorted(named))
    applications = tuple(part.plan for part in parts)
    return Plan(
        run_kind=request.run_kind,
        domain=request.domain,
        sources=tuple(sorted(world.sources)),
        policy_generation=world.policy.generation,
        verdicts=verdicts,
        applications=applications,
        steps=steps,
        reasons=_reasons(world, parts, refusals),
        assumptions=assumptions_of(world.policy.generation, verdicts, steps, world.sources),
        refusals=refusals,
        hypothetical=bool(request.assume_down),
        overrides=tuple(sorted(request.overrides)),
    )


def _reasons(world: World, parts: list[Part], refusals: tuple[Refusal, ...]) -> tuple[str, ...]:
    request = world.request
    word = "assumed to be" if request.assume_down else "is"
    sources = ", ".join(f"{cluster} {word} {world.kind(cluster)}" for cluster in sorted(world.sources))
    reasons = [f"{request.run_kind} of {request.domain}: {sources or 'no clusters'}"]
    reasons += [refusal.sentence for refusal in refusals]
    if not parts:
        return (*reasons, *(() if refusals else ("no application runs or is published there",)))
    acting = [part.plan for part in parts if part.plan.left_out is None]
    lost, replaced = sum(part.lost for part in acting), sum(part.replaced for part in acting)
    records = sum(len(part.records) for part in acting)
    verb = "return" if request.run_kind is RunKind.FAILBACK else "are placed again"
    moved = f"{replaced} of {lost} replicas {verb}" if lost else "no replica has to be ordered"
    reasons.append(
        f"{moved} and {records} record set{'s change' if records != 1 else ' changes'}, "
        f"for {len(acting)} of {len(parts)} applications"
    )
    reasons += [
        f"{part.plan.application} is left out: {part.plan.left_out}" for part in parts if part.plan.left_out
    ]
    return tuple(reasons)
