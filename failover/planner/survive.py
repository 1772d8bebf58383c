"""Would the fleet survive it? The loss of every domain (or pair), asked of the joint planner before any disaster.

`survivability(snapshot, policy) -> Survivability`. Nothing is assumed but the loss itself: capacity, placements and rules
are those of the snapshot, and what is unknown or no target today takes nothing.

What no run would do by itself is not survived by itself: an application whose single writer is lost waits for a person.
And a domain with a cluster that nobody has looked at lately may run more than is known: its loss is never called survived.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from failover.model.ids import ApplicationName, ClusterName, Domain, DomainKind
from failover.model.plan import PlanRequest, RunKind
from failover.model.policy import Application, OnShortage, Policy, WorkloadRef
from failover.model.snapshot import Snapshot
from failover.planner.eligibility import target_refusals
from failover.planner.joint import problem as joint
from failover.planner.loss import Case, Loss, Targets, candidates, is_single_writer
from failover.planner.make import free_room
from failover.planner.together import held_there, problem_of
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

    `lost`, `replaced`, `waiting`, `unplaced`, `shed`: replicas; `waiting`: there is room for them, and only a person moves
    them, because a single writer of their application is lost. `tightest`: the resource with the least headroom afterwards,
    `headroom_percent` of it still free. `short`: who would end with less; `waits`: who would wait. `unseen`: clusters that
    would be lost and that nobody has looked at lately: they may run more than is counted here. `broken`: applications whose
    promise it breaks; `unshown`: those of which nobody can say, because of what is unseen.
    """

    domains: tuple[Domain, ...]
    lost: int
    replaced: int
    unplaced: int
    shed: int
    tightest: str
    headroom_percent: float
    waiting: int = 0
    short: tuple[Short, ...] = ()
    waits: tuple[ApplicationName, ...] = ()
    unseen: tuple[ClusterName, ...] = ()
    broken: tuple[ApplicationName, ...] = ()
    unshown: tuple[ApplicationName, ...] = ()

    @property
    def survives(self) -> bool | None:
        """Everything would be placed again with no person's help, and nothing be given up for it; None: unknown."""
        if self.unplaced or self.shed or self.waiting:
            return False
        return None if self.unseen else True


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivability:
    """All outcomes, widest domains first. `unknown`: clusters that no one knows enough of, with the reason."""

    outcomes: tuple[Outcome, ...]
    unknown: tuple[str, ...] = ()

    @property
    def broken(self) -> tuple[tuple[ApplicationName, Domain], ...]:
        """Every promise that a loss would break."""
        return tuple((name, item.domains[0]) for item in self.outcomes for name in item.broken)

    @property
    def unshown(self) -> tuple[tuple[ApplicationName, Domain], ...]:
        """Every promise of which nobody can say whether that loss would break it."""
        return tuple((name, item.domains[0]) for item in self.outcomes for name in item.unshown)


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

    problem = problem_of(world, list(cases.values()), free_room(world, ()), targets, survey=True)
    losses = [_loss(item, policy) for item in asked]
    singles = any(case.single for case in cases.values())
    outcomes = [
        _outcome(world, item, found, cases)
        for item, found in zip(asked, ask(problem, losses, losses=singles), strict=True)
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
    world: World, domains: tuple[Domain, ...], found: joint.Survival, cases: Mapping[str, Case]
) -> Outcome:
    sites = frozenset(ClusterName(site) for site in found.domain.sites)
    short = tuple(
        Short(application=cases[key].application.name, workload=cases[key].workload.ref, missing=missing)
        for key, missing in found.victims
    )
    waits = _waits(world, sites, cases)
    waiting = _waiting(found, waits, cases)
    unseen = _unseen(world, sites)
    harmed = {item.application for item in short} | waits
    promised = [one for one in world.policy.applications if promises(one, domains)]
    return Outcome(
        domains=domains,
        lost=found.lost,
        replaced=found.replaced - waiting,
        unplaced=found.unplaced,
        shed=found.shed,
        tightest=found.tightest,
        headroom_percent=round(100 * found.headroom, 1),
        waiting=waiting,
        short=short,
        waits=tuple(one.name for one in world.policy.applications if one.name in waits),
        unseen=unseen,
        broken=tuple(one.name for one in promised if one.name in harmed),
        unshown=tuple(
            one.name
            for one in promised
            if one.name not in harmed and _may_be_harmed(world, one, sites, frozenset(unseen))
        ),
    )


def _waits(
    world: World, sites: frozenset[ClusterName], cases: Mapping[str, Case]
) -> frozenset[ApplicationName]:
    """Applications that run a single writer there: a run leaves each of them out as a whole (`single-writer`)."""
    return frozenset(
        case.application.name
        for case in cases.values()
        if case.single
        and any(
            rule.cluster in sites and held_there(world, case, rule.cluster, survey=True)
            for rule in case.workload.placement
        )
    )


def _waiting(found: joint.Survival, waits: frozenset[ApplicationName], cases: Mapping[str, Case]) -> int:
    """Lost replicas of these applications that there is room for."""
    missing = dict(found.victims)
    return sum(
        max(0, lost - missing.get(key, 0))
        for key, lost in found.losses
        if cases[key].application.name in waits
    )


def _unseen(world: World, sites: frozenset[ClusterName]) -> tuple[ClusterName, ...]:
    """Of these clusters those that something may run in, and that nobody has looked at lately, or ever."""
    named = {cluster for application in world.policy.applications for cluster in application.clusters}
    return tuple(sorted(cluster for cluster in sites & named if not world.fresh(cluster)))


def _may_be_harmed(
    world: World, application: Application, sites: frozenset[ClusterName], unseen: frozenset[ClusterName]
) -> bool:
    """What runs unseen would be lost too: it is this application's own, takes the room that this one's lost replicas need,
    or makes this one give up replicas.
    """
    if not unseen:
        return False
    return bool(sites.intersection(application.clusters)) or any(
        other.tier < application.tier
        and other.on_shortage is OnShortage.SHED
        and unseen.intersection(other.clusters)
        for other in world.policy.applications
    )


def promises(application: Application, domains: tuple[Domain, ...]) -> bool:
    """It is to survive such a loss with all of its demand: one domain of the kind promised, or of a smaller one."""
    if application.survives is None or len(domains) != 1:
        return False
    levels = list(DomainKind)
    return levels.index(domains[0].kind) >= levels.index(application.survives)
