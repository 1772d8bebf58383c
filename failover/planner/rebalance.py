"""Moving what runs for a better placement: only when somebody asks, or a time window begins or ends, and within a budget.

Add before remove (I10): what grows is ready before anything shrinks, and a cluster that ends with nothing of an application
leaves its record sets, and their old TTL passes, before it is emptied.
"""

from dataclasses import dataclass, replace

from failover.model.ids import ApplicationName, ClusterName
from failover.model.inventory import WorkloadState
from failover.model.plan import ApplicationPlan, Phase, Placement, Step
from failover.model.policy import Application, Workload
from failover.model.reasons import Refusal
from failover.planner.capacity import FreeCapacity
from failover.planner.eligibility import broken_there
from failover.planner.forward import Part
from failover.planner.joint.problem import Why
from failover.planner.loss import Case, Loss, Targets, candidates, is_single_writer
from failover.planner.placement import told
from failover.planner.steps import WAIT_MARGIN_S, Builder, ids, old_ttl_s
from failover.planner.together import problem_of
from failover.planner.traffic import Traffic, plan_traffic
from failover.planner.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One workload in one cluster, as it is and as it shall be, and why."""

    workload: Workload
    state: WorkloadState
    cluster: ClusterName
    after: int
    reason: str
    rule: str
    would_change: str

    @property
    def more(self) -> int:
        return self.after - self.state.wanted


def plan_rebalance(
    world: World, applications: tuple[Application, ...], free: FreeCapacity, targets: Targets, moves: int
) -> list[Part]:
    """A part for every application: which replicas move, at most `moves` of all, or why it is left out."""
    refusals = {one.name: refusal for one in applications if (refusal := _not_now(world, one)) is not None}
    cases = [case for one in applications if one.name not in refusals for case in _cases(world, one, targets)]
    changes = _changes(world, cases, free, targets, moves) if cases else {}
    return [
        _left_out(one, refusals[one.name])
        if one.name in refusals
        else _part(world, one, changes.get(one.name, ()), targets)
        for one in applications
    ]


def _not_now(world: World, application: Application) -> Refusal | None:
    """Everything that it may run in has to be seen: what is unknown is neither empty nor full."""
    unseen = [
        rule.cluster
        for workload in application.workloads
        for rule in workload.placement
        if not (world.fresh(rule.cluster) and world.control_is_up(rule.cluster))
    ]
    if not unseen:
        return None
    names = ", ".join(sorted(set(unseen)))
    return Refusal(
        code="not-serving",
        sentence=f"{names} cannot be asked or was not seen lately: nothing is moved for balance until it is",
        evidence=tuple(f"{cluster}={world.kind(cluster)}" for cluster in sorted(set(unseen))),
        application=application.name,
    )


def _cases(world: World, application: Application, targets: Targets) -> list[Case]:
    """Single writers stay where they are, and so does what an autoscaler sizes."""
    found = []
    for workload in application.workloads:
        states = [world.state(rule.cluster, workload.ref) for rule in workload.placement]
        if is_single_writer(world, workload) or any(one is not None and one.autoscaler for one in states):
            continue
        found.append(
            Case(
                application=application,
                workload=workload,
                loss=Loss(replicas=0, demand=0, kept=0, unknown=False),
                single=False,
                candidates=candidates(world, application, workload, targets, {}),
            )
        )
    return found


def _changes(
    world: World, cases: list[Case], free: FreeCapacity, targets: Targets, moves: int
) -> dict[ApplicationName, tuple[Change, ...]]:
    from failover.planner.joint.solve import solve

    solution = solve(problem_of(world, cases, free, targets, moves=moves))
    found: dict[ApplicationName, list[Change]] = {}
    for case in cases:
        totals = solution.placed(case.key)
        for rule in sorted(case.workload.placement, key=lambda rule: rule.cluster):
            state = world.state(rule.cluster, case.workload.ref)
            if state is None or not world.carries(rule.cluster):
                continue
            reason, bound, change = _why(
                world, case, rule.cluster, solution.why(case.key, rule.cluster), targets
            )
            found.setdefault(case.application.name, []).append(
                Change(
                    workload=case.workload,
                    state=state,
                    cluster=rule.cluster,
                    after=totals.get(rule.cluster, 0),
                    reason=reason,
                    rule=bound,
                    would_change=change,
                )
            )
    return {name: tuple(rows) for name, rows in found.items()}


def _why(world: World, case: Case, cluster: ClusterName, why: Why, targets: Targets) -> tuple[str, str, str]:
    """(sentence, rule, what would change it). Why something is no target is not the engine's to know."""
    refusal = targets.get(cluster) or broken_there(world, case.application, cluster)
    if refusal is not None and why.rule not in ("moved", "closed"):
        return f"no target: {refusal.sentence}", refusal.code, ""
    return why.sentence, why.rule, why.would_change


def _left_out(application: Application, refusal: Refusal) -> Part:
    return Part(plan=ApplicationPlan(application=application.name, mode=application.mode, left_out=refusal))


def _part(world: World, application: Application, changes: tuple[Change, ...], targets: Targets) -> Part:
    moved = sum(change.more for change in changes if change.more > 0)
    running = sum(change.state.wanted for change in changes)
    traffic = _traffic(world, application, changes, targets) if moved else Traffic()
    part = ApplicationPlan(
        application=application.name,
        mode=application.mode,
        left_out=traffic.refusal,
        notes=traffic.notes,
        placements=tuple(_row(change) for change in changes),
        records=() if traffic.refusal else tuple(change for _, change in traffic.changes),
        record_zones=() if traffic.refusal else tuple(zone for zone, _ in traffic.changes),
        lost=moved,
        replaced=0 if traffic.refusal else moved,
        demand=running,
        capacity_after=sum(change.after for change in changes),
    )
    if traffic.refusal is not None or not moved:
        return Part(plan=part)
    return Part(plan=part, steps=_steps(world, application, changes, traffic))


def _row(change: Change) -> Placement:
    held = change.state.wanted
    word = f"keeps {held}, takes {change.more}" if change.more > 0 else f"keeps {held}"
    reason = told(word, change.reason)
    return Placement(
        workload=change.workload.ref,
        cluster=change.cluster,
        before=change.state.wanted,
        after=change.after,
        ready=min(change.state.ready, change.state.wanted),
        reason=reason,
        rule=change.rule,
        would_change=change.would_change,
    )


def _traffic(
    world: World, application: Application, changes: tuple[Change, ...], targets: Targets
) -> Traffic:
    """Clusters that end with nothing of the application leave its names; those that carry all of it come in."""
    after: dict[ClusterName, list[int]] = {}
    for change in changes:
        after.setdefault(change.cluster, []).append(change.after)
    shrunk = {change.cluster for change in changes if change.more < 0}
    emptied = frozenset(cluster for cluster in shrunk if not any(after[cluster]))
    added = frozenset(change.cluster for change in changes if change.more > 0)

    def takes_traffic(cluster: ClusterName) -> bool:
        return targets.get(cluster) is None and cluster in added and all(after[cluster])

    return plan_traffic(replace(world, sources=emptied), application, added, takes_traffic)


def _steps(
    world: World, application: Application, changes: tuple[Change, ...], traffic: Traffic
) -> tuple[Step, ...]:
    build = Builder(application=application.name)
    grow: list[Step] = [
        build.scale(
            change.cluster,
            change.workload.ref,
            before=change.state.wanted,
            after=change.after,
            phase=Phase.CAPACITY,
            reason=f"takes {change.more} for a better placement",
        )
        for change in changes
        if change.more > 0
    ]
    ready = build.wait_ready(
        "balanced",
        [(change.cluster, change.workload.ref, change.after) for change in changes if change.more > 0],
        needs=ids(grow),
        reason="what is to be taken away elsewhere must be ready here",
    )
    needs = (ready.id,)
    records: list[Step] = [
        step
        for zone, rows in traffic.by_zone().items()
        for step in build.change_records_in_parts(
            world, zone, rows, needs=needs, reason="clients follow the replicas"
        )
    ]
    if records:
        ttl = old_ttl_s(change for _, change in traffic.changes)
        wait = build.wait(
            ttl + WAIT_MARGIN_S,
            needs=(*ids(records), *needs),
            reason=f"resolvers may hold the old answer for its TTL of {ttl:g} s; {WAIT_MARGIN_S:g} s of margin",
        )
        records.append(wait)
        needs = (wait.id,)
    release: list[Step] = [
        build.scale(
            change.cluster,
            change.workload.ref,
            before=change.state.wanted,
            after=change.after,
            phase=Phase.RELEASE,
            needs=needs,
            reason=f"gives {-change.more} that run elsewhere now",
        )
        for change in changes
        if change.more < 0
    ]
    return (*grow, ready, *records, *release)
