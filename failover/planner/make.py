"""`plan`: from one sight of the world to what shall be done, application by application, in the policies' order."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from failover.model.ids import ApplicationName, Domain, DomainKind
from failover.model.plan import ChangeRecordsStep, Plan, PlanRequest, RunKind, ScaleStep
from failover.model.policy import Application, Policy
from failover.model.reasons import Refusal
from failover.model.snapshot import Snapshot
from failover.planner.assumptions import assumptions_of
from failover.planner.capacity import FreeCapacity
from failover.planner.eligibility import target_refusal, target_refusals
from failover.planner.failback import plan_return
from failover.planner.forward import Part, plan_forward
from failover.planner.loss import cases_of
from failover.planner.nesting import not_moved_on
from failover.planner.rebalance import plan_rebalance
from failover.planner.repairing import plan_names
from failover.planner.returning import displaced
from failover.planner.shares import within_share
from failover.planner.sheds import resettled
from failover.planner.together import place_together
from failover.planner.world import World, see


def plan(snapshot: Snapshot, policy: Policy, request: PlanRequest) -> Plan:
    """What shall be done about the sources, why, and what it rests on. Pure: the same input gives the same bytes.

    Everything that was lost is placed together: tier by tier, under the capacity that all of it shares.
    """
    world = see(snapshot, policy, request)
    if request.run_kind.about_names:
        return plan_names(world)
    refusals = _run_refusals(world)
    if request.run_kind is RunKind.FAILBACK:
        return _failback(world, free_room(world, ()), refusals)
    concerned = () if refusals else _concerned(world)
    if request.run_kind is RunKind.REBALANCE:
        free, moves = free_room(world, ()), request.moves or policy.guards.rebalance_moves
        parts = plan_rebalance(world, concerned, free, target_refusals(world), moves)
    else:
        parts = _forward(world, concerned)
    return _assemble(world, concerned, [within_share(world, part) for part in parts], refusals)


VERBS = {RunKind.FAILBACK: "return", RunKind.REBALANCE: "move"}
"""What becomes of replicas, where they are not placed again."""

ROUNDS_MAX = 40
"""How often an application is left out alone and the rest placed again; after that, all that would be left out are."""


def _forward(world: World, concerned: tuple[Application, ...]) -> list[Part]:
    """All concerned applications, placed together. One that has to be left out frees what it would have taken: the rest
    is placed again without it. The last of the last tier goes first, since those before it may fit once it is gone.
    """
    targets = target_refusals(world)
    free = free_room(world, tuple(application.name for application in concerned))
    cases = {application.name: cases_of(world, application, targets) for application in concerned}
    settled: dict[ApplicationName, Part] = {}
    for attempt in range(len(concerned) + 1):
        rest = [application for application in concerned if application.name not in settled]
        together = place_together(world, [case for one in rest for case in cases[one.name]], free, targets)
        parts = {one.name: plan_forward(world, one, cases[one.name], together, targets) for one in rest}
        refused = [one for one in rest if parts[one.name].plan.left_out is not None]
        taking = [one for one in refused if any(case.key in together.totals for case in cases[one.name])]
        if not taking:
            settled |= parts
            break
        last = max(taking, key=lambda one: (one.tier, concerned.index(one)))
        for one in refused if attempt >= ROUNDS_MAX else [last]:
            settled[one.name] = parts[one.name]
    return [settled[application.name] for application in concerned]


def free_room(world: World, concerned: tuple[ApplicationName, ...]) -> FreeCapacity:
    """What is free everywhere, less what unfinished runs are about to fill.

    What a run has not sent yet is still open where this very plan is for the same application: it widens that run.
    """
    assumed = {name: entry.assumed_free for name, entry in world.entries.items() if entry.assumed_free}
    free = FreeCapacity(world.inventories, assumed)
    for item in world.snapshot.reserved:
        state = world.state(item.cluster, item.workload)
        if state is None or (not item.sent and item.application in concerned):
            continue
        fits = min(item.replicas, free.places(item.cluster, state.requests))
        if fits:
            free.take(item.cluster, state.requests, fits)
    return free


def _bounded(world: World, free: FreeCapacity, make: Callable[[], Part]) -> Part:
    """One application's part in steps that the guards let pass; its room is given back where there are none such."""
    mark = free.mark()
    part = within_share(world, make())
    if part.plan.left_out is not None:
        free.give_back(mark)
    return part


def what_if(snapshot: Snapshot, policy: Policy, *domains: Domain) -> Plan:
    """The evacuation plan as if every cluster of the domains were DOWN; nothing else is assumed (I25)."""
    sources = tuple(
        dict.fromkeys(entry.name for domain in domains for entry in policy.fleet.clusters_in(domain))
    )
    return plan(
        snapshot,
        policy,
        PlanRequest(
            run_kind=RunKind.EVACUATION, domain=all_of(domains), sources=sources, assume_down=sources
        ),
    )


def all_of(domains: Sequence[Domain]) -> Domain:
    """One name for several domains, as a plan shows it."""
    if len(domains) == 1:
        return domains[0]
    if len({domain.kind for domain in domains}) == 1:
        return Domain(kind=domains[0].kind, name=",".join(domain.name for domain in domains))
    return Domain(kind=DomainKind.FLEET, name=",".join(str(domain) for domain in domains))


def _failback(world: World, free: FreeCapacity, refusals: tuple[Refusal, ...]) -> Plan:
    """Undo what finished runs took from the sources. `undoes` names those runs that this plan brings back whole."""
    displacements = world.displacements()
    concerned = {
        application.name: (application, *not_moved_on(world, application, found))
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
        _bounded(world, free, partial(plan_return, world, application, free, found, moved_on))
        for application, found, moved_on in concerned.values()
    ]
    back = {part.plan.application for part in parts if part.plan.left_out is None}
    undoes = tuple(
        item.run
        for item in displacements
        if world.sources.issuperset(item.plan.sources)
        and _applications_of(item.plan) <= {name for name in back if item in concerned[name][1]}
    )
    made = _assemble(world, [application for application, _, _ in concerned.values()], parts, ())
    return replace(made, undoes=undoes)


def _applications_of(done: Plan) -> set[ApplicationName]:
    """Applications that the carried-out steps of a plan changed."""
    return {step.application for step in done.steps if isinstance(step, ScaleStep | ChangeRecordsStep)}


def _concerned(world: World) -> tuple[Application, ...]:
    """Applications that run or are published in a source, in the policies' order; only those asked for, if any.

    A rebalancing has no source: it concerns whatever runs.
    """
    asked = set(world.request.applications)
    return tuple(
        application
        for application in world.policy.applications
        if (not asked or application.name in asked)
        and (
            world.sources.intersection(application.clusters)
            or (world.request.run_kind is RunKind.REBALANCE and application.workloads)
        )
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
    steps = resettled(step for part in parts for step in part.steps)
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
    if request.run_kind is RunKind.REBALANCE:
        moves = request.moves or world.policy.guards.rebalance_moves
        reasons = [f"rebalance of {request.domain}: at most {moves} replicas may move"]
    if request.run_kind is not RunKind.FAILBACK:
        headroom = world.policy.fleet.headroom_percent
        reasons.append(f"{headroom:g} % of what is free in a cluster is left alone (headroom)")
    reasons += [refusal.sentence for refusal in refusals]
    if not parts:
        return (*reasons, *(() if refusals else ("no application runs or is published there",)))
    acting = [part.plan for part in parts if part.plan.left_out is None]
    lost, replaced = sum(part.lost for part in acting), sum(part.replaced for part in acting)
    records = sum(len(part.records) for part in acting)
    verb = VERBS.get(request.run_kind, "are placed again")
    moved = f"{replaced} of {lost} replicas {verb}" if lost else "no replica has to be ordered"
    reasons.append(
        f"{moved} and {records} record set{'s change' if records != 1 else ' changes'}, "
        f"for {len(acting)} of {len(parts)} applications"
    )
    shed = [row for part in acting for row in part.sheds if row.after < row.before]
    if shed:
        given = sum(row.before - row.after for row in shed)
        owners = ", ".join(sorted({str(row.owner) for row in shed}))
        reasons.append(f"{given} replicas of later tiers give up their place for them: {owners}")
    unplaced = sum(part.unplaced for part in acting)
    if unplaced:
        reasons.append(f"{unplaced} replicas find no place")
    reasons += [
        f"{part.plan.application} is left out: {part.plan.left_out}" for part in parts if part.plan.left_out
    ]
    return tuple(reasons)
