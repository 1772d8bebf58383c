"""Would the fleet survive it? The loss of every domain (or pair), asked of the joint planner before any disaster.

`survivability(snapshot, policy) -> Survivability`. Nothing is assumed but the loss itself: capacity, placements and rules
are those of the snapshot, and what is unknown or no target today takes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from failover.model.ids import ApplicationName, ClusterName, Domain, DomainKind
from failover.model.plan import PlanRequest, RunKind
from failover.model.policy import Application, Policy, WorkloadRef
from failover.model.snapshot import Snapshot
from failover.planner.eligibility import target_refusals
from failover.planner.joint import problem as joint
from failover.planner.loss import Case, Loss, Targets, candidates, is_single_writer
from failover.planner.make import free_room
from failover.planner.together import problem_of
from failover.planner.world import World, see


@dataclass(frozen=True, slots=True, kw_only=True)
class Short:
    """A workload that would end with `missing` replicas less than it has."""

    application: ApplicationName
    workload: WorkloadRef
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the loss of some domains (one, or a pair) would mean.

    `lost`, `replaced`, `unplaced`, `shed`: replicas. `tightest`: the resource with the least headroom afterwards,
    `headroom_percent` of it still free. `short`: who would end with less. `broken`: applications whose promise it breaks.
    """

    domains: tuple[Domain, ...]
    lost: int
    replaced: int
    unplaced: int
    shed: int
    tightest: str
    headroom_percent: float
    short: tuple[Short, ...] = ()
    broken: tuple[ApplicationName, ...] = ()

    @property
    def survives(self) -> bool:
        """Everything would be placed again, and nothing be given up for it."""
        return self.unplaced == 0 and self.shed == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivability:
    """All outcomes, widest domains first. `unknown`: clusters that no one knows enough of, with the reason."""

    outcomes: tuple[Outcome, ...]
    unknown: tuple[str, ...] = ()

    @property
    def broken(self) -> tuple[tuple[ApplicationName, Domain], ...]:
        """Every promise that a loss would break."""
        return tuple((name, item.domains[0]) for item in self.outcomes for name in item.broken)


def survivability(
    snapshot: Snapshot, policy: Policy, domains: Sequence[Domain] = (), *, pairs: bool = False
) -> Survivability:
    """The loss of each domain, all of them unless some are named; `pairs`: of every two of one kind besides."""
    nothing = PlanRequest(
        run_kind=RunKind.EVACUATION,
        domain=Domain(kind=DomainKind.FLEET, name=policy.fleet.name),
        sources=(),
        by_person=True,
    )
    world = see(snapshot, policy, nothing)
    targets = target_refusals(world)
    cases = {case.key: case for case in _cases(world, targets)}
    asked: list[tuple[Domain, ...]] = [(domain,) for domain in (domains or tuple(policy.fleet.domains()))]
    if pairs:
        asked += [two for two in combinations([item[0] for item in asked], 2) if two[0].kind is two[1].kind]
    unknown = tuple(f"{refusal.sentence}" for refusal in targets.values() if refusal is not None)
    if not cases:
        return Survivability(outcomes=tuple(_nothing_runs(item) for item in asked), unknown=unknown)
    from failover.planner.joint.survive import survivability as ask

    problem = problem_of(world, list(cases.values()), free_room(world, ()), targets, holds=True)
    losses = [_loss(item, policy) for item in asked]
    outcomes = [
        _outcome(item, found, cases, policy) for item, found in zip(asked, ask(problem, losses), strict=True)
    ]
    return Survivability(outcomes=tuple(outcomes), unknown=unknown)


def _cases(world: World, targets: Targets) -> Iterable[Case]:
    for application in world.policy.applications:
        for workload in application.workloads:
            yield Case(
                application=application,
                workload=workload,
                loss=Loss(replicas=0, demand=0, kept=0, unknown=False),
                single=is_single_writer(world, workload),
                candidates=candidates(world, application, workload, targets, {}),
            )


def _loss(domains: tuple[Domain, ...], policy: Policy) -> joint.Domain:
    sites: dict[ClusterName, None] = {}
    for domain in domains:
        sites |= dict.fromkeys(entry.name for entry in policy.fleet.clusters_in(domain))
    kind = str(domains[0].kind)
    return joint.Domain(kind=kind, name="+".join(domain.name for domain in domains), sites=tuple(sites))


def _nothing_runs(domains: tuple[Domain, ...]) -> Outcome:
    return Outcome(
        domains=domains, lost=0, replaced=0, unplaced=0, shed=0, tightest="", headroom_percent=100.0
    )


def _outcome(
    domains: tuple[Domain, ...], found: joint.Survival, cases: dict[str, Case], policy: Policy
) -> Outcome:
    short = tuple(
        Short(application=cases[key].application.name, workload=cases[key].workload.ref, missing=missing)
        for key, missing in found.victims
    )
    missing = {item.application for item in short}
    return Outcome(
        domains=domains,
        lost=found.lost,
        replaced=found.replaced,
        unplaced=found.unplaced,
        shed=found.shed,
        tightest=found.tightest,
        headroom_percent=round(100 * found.headroom, 1),
        short=short,
        broken=tuple(
            one.name for one in policy.applications if one.name in missing and promises(one, domains)
        ),
    )


def promises(application: Application, domains: tuple[Domain, ...]) -> bool:
    """It is to survive such a loss with all of its demand: one domain of the kind promised, or of a smaller one."""
    if application.survives is None or len(domains) != 1:
        return False
    levels = list(DomainKind)
    return levels.index(domains[0].kind) >= levels.index(application.survives)
