"""The joint engine asked and answered: worlds and policies become a problem, its solution becomes replicas and reasons.

The engine knows sites and demands; clusters, verdicts and modes stay here. numpy is imported when something has to be
placed, and not before: `status` and most commands never need it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failover.model.ids import ApplicationName, ClusterName
from failover.model.inventory import WorkloadState
from failover.model.plan import Shed
from failover.model.policy import Application, ClusterEntry, Mode, OnShortage, Workload
from failover.model.resources import MEMORY, Resources, places_on
from failover.planner.capacity import FreeCapacity
from failover.planner.joint import problem as joint
from failover.planner.loss import (
    Case,
    Targets,
    asked_by,
    candidates,
    demand_key,
    is_single_writer,
    request_of,
)
from failover.planner.loss import Loss as Lost
from failover.planner.world import World

if TYPE_CHECKING:
    from failover.planner.joint.solution import Placement as Solution

GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What all cases get, placed at once.

    `totals`: replicas by cluster of each case that was placed, by its key. `sheds`: by the application that they make room
    for; `regrown`: victims' replicas that found a place elsewhere, likewise: (victim, its case, cluster, total).
    `findings`: sentences by key. `solution`: for reasons; None where nothing had to be placed.
    """

    totals: Mapping[str, Mapping[ClusterName, int]] = field(default_factory=dict)
    sheds: Mapping[ApplicationName, tuple[Shed, ...]] = field(default_factory=dict)
    regrown: Mapping[ApplicationName, tuple[tuple[Case, ClusterName, int], ...]] = field(default_factory=dict)
    findings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    solution: "Solution | None" = None


def place_together(world: World, cases: Sequence[Case], free: FreeCapacity, targets: Targets) -> Together:
    """Place everything that the cases lost, under shared capacity, by tier."""
    lost = [case for case in cases if case.loss.replicas and case.candidates and not case.closed]
    if not lost:
        return Together()
    victims = _victims(world, lost, targets)
    solution = _solve(problem_of(world, [*lost, *victims], free, targets))
    by_key = {case.key: case for case in (*lost, *victims)}
    totals = {
        case.key: {ClusterName(site): number for site, number in solution.placed(case.key).items()}
        for case in lost
    }
    sheds = _sheds(world, solution, by_key)
    return Together(
        totals=totals,
        sheds=sheds,
        regrown=_regrown(solution, victims, sheds),
        findings=_findings(solution),
        solution=solution,
    )


def _solve(asked: joint.Problem) -> "Solution":
    from failover.planner.joint.again import solve_again

    return solve_again(asked)


# -- the problem -------------------------------------------------------------------------------------------------------


def problem_of(
    world: World,
    cases: Sequence[Case],
    free: FreeCapacity,
    targets: Targets,
    *,
    moves: int = 0,
    survey: bool = False,
) -> joint.Problem:
    """Sites for every cluster of the fleet, and one demand a case.

    `moves`: of a rebalancing, which moves what stands too. `survey`: asked before any disaster. Then what holds and does
    not fit whole takes nothing (a plan of a run knows better, because the floor of an application may be less than all of
    it), and what a cluster runs that serves nobody today counts as running: nobody has placed it anew.
    """
    room = Room(world, cases, free, moving=moves > 0)
    return joint.Problem(
        sites=tuple(
            site_of(world, entry, free, targets, yields=moves > 0 or world.may_shed)
            for entry in world.policy.fleet.clusters
        ),
        demands=tuple(demand_of(world, case, room, survey=survey) for case in cases),
        headroom=world.policy.fleet.headroom_percent / 100,
        moves=moves,
    )


def site_of(
    world: World, entry: ClusterEntry, free: FreeCapacity, targets: Targets, *, yields: bool
) -> joint.Site:
    """A cluster: what is free there less what unfinished runs are about to fill; closed where it is no target.

    `yields`: what runs there may make room, so that its largest whole node is the bound.
    """
    seen, refusal = world.inventories.get(entry.name), targets.get(entry.name)
    known = refusal is None and seen is not None
    return joint.Site(
        name=entry.name,
        domains={str(domain.kind): domain.name for domain in entry.domains()},
        free=free.total(entry.name).by_name() if known else None,
        capacity=seen.allocatable.by_name() if seen is not None else {},
        largest_free_node=free.largest(entry.name).by_name() if known else None,
        largest_node=free.largest_node(entry.name).by_name() if known and yields else None,
        price={
            name: price / GIB if name == MEMORY else _per_unit(name, price) for name, price in entry.price
        },
        utilisation=seen.utilisation if seen is not None else None,
        open=refusal is None,
        closed_because=refusal.sentence if refusal is not None else "",
    )


def _per_unit(resource: str, price: float) -> float:
    """A core is a thousand of the engine's units."""
    return price / 1000 if resource == "cpu" else price


class Room:
    """How many more replicas of a case fit in a cluster, node by node: the sum of what is free says nothing of fragments.

    What others may give up for it, or move away in a rebalancing, may fit as well; on which nodes nobody knows before, but no
    replica fits a node that is smaller than itself.
    """

    def __init__(self, world: World, cases: Sequence[Case], free: FreeCapacity, *, moving: bool) -> None:
        self._free = free
        self.moving = moving
        self._sheds = world.may_shed
        tiers: dict[ClusterName, dict[int, dict[str, int]]] = {}
        for case in cases if moving or self._sheds else ():
            for rule in case.workload.placement:
                state = world.state(rule.cluster, case.workload.ref)
                if state is None or not world.carries(rule.cluster):
                    continue
                sums = tiers.setdefault(rule.cluster, {}).setdefault(case.application.tier, {})
                for name, amount in asked_by(case.workload, state).amounts():
                    sums[name] = sums.get(name, 0) + amount * state.wanted
        self._standing = tiers

    def places(self, case: Case, cluster: ClusterName, state: WorkloadState) -> tuple[int, int]:
        """More replicas than it has: as it stands, and when others make room (never more than whole nodes hold)."""
        request = asked_by(case.workload, state)
        places = self._free.places(cluster, request)
        if not self.moving and not (self._sheds and case.application.on_shortage is OnShortage.SHED):
            return places, places
        yielding: dict[str, int] = {}
        for tier, sums in self._standing.get(cluster, {}).items():
            if self.moving or tier > case.application.tier:
                for name, amount in sums.items():
                    yielding[name] = yielding.get(name, 0) + amount
        aided = min(
            places + places_on(Resources.of(yielding), request), self._free.places_at_most(cluster, request)
        )
        return places, max(places, aided)


def held_there(world: World, case: Case, cluster: ClusterName, *, survey: bool) -> int:
    """Replicas that it keeps in a cluster, as last seen; 0 in a source, and where what stands there counts no longer.

    `survey`: see `problem_of`. What a run has moved away from a cluster is a duplicate there.
    """
    counts = world.carries(cluster) or (
        survey and (cluster, case.application.name) not in world.snapshot.away
    )
    state = world.state(cluster, case.workload.ref)
    return state.wanted if counts and state is not None and cluster not in world.sources else 0


def demand_of(world: World, case: Case, room: Room, *, survey: bool) -> joint.Demand:
    """One workload: what it keeps, what it wants in all, where it may go."""
    on_shortage = case.application.on_shortage
    if on_shortage is OnShortage.HOLD and (not survey or case.application.floor < 100):
        on_shortage = OnShortage.PARTIAL
    workload = case.workload
    current: dict[str, int] = {
        rule.cluster: held
        for rule in workload.placement
        if (held := held_there(world, case, rule.cluster, survey=survey))
    }
    request, freed = _asked(world, case, current)
    choices = []
    for rule in workload.placement:
        if rule.cluster in case.candidates:
            state = case.candidates[rule.cluster][1]
            places, aided = room.places(case, rule.cluster, state)
            most = state.wanted + aided
            if rule.max_replicas is not None:
                # What runs above a maximum stays, unless moving is what is asked for.
                most = min(most, rule.max_replicas if room.moving else max(rule.max_replicas, state.wanted))
            limit = min(most, state.wanted + places)
            choices.append(
                joint.Choice(
                    sites=(rule.cluster,),
                    weight=rule.weight,
                    minimum=rule.min_replicas,
                    maximum=limit,
                    aided=most,
                    group=rule.group,
                )
            )
        elif rule.cluster in current:
            kept = current[rule.cluster]
            choices.append(joint.Choice(sites=(rule.cluster,), weight=0, maximum=kept, group=rule.group))
    return joint.Demand(
        key=case.key,
        tier=case.application.tier,
        replicas=sum(current.values()) + case.loss.replicas,
        request=request,
        rules=rules_of(workload, tuple(choices), case.single, on_shortage),
        current=current,
        may_give_up=may_give_up(world, case.application) and _may_shrink(world, workload),
        freed=freed,
    )


def _asked(
    world: World, case: Case, current: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, int] | None]:
    """(what one replica takes where it comes, what one frees where it goes): the most that any candidate's object asks for,
    and the least that any object asks for that has some. Where it has no candidate it may still go.
    """
    states = [
        state
        for cluster in current
        if (state := world.state(ClusterName(cluster), case.workload.ref)) is not None
    ]
    request = case.request()[0] if case.candidates else request_of(case.workload, states)[0]
    asked = [asked_by(case.workload, state).by_name() for state in states]
    freed = {name: min(one.get(name, 0) for one in asked) for name in asked[0]} if asked else None
    return {name: amount for name, amount in request.amounts() if amount}, freed


def rules_of(
    workload: Workload, choices: tuple[joint.Choice, ...], single: bool, on_shortage: OnShortage
) -> joint.Rules:
    """The policy's preferences in the engine's words."""
    return joint.Rules(
        choices=choices,
        spread=tuple(
            joint.Spread(
                kind=str(one.over),
                at_least=one.at_least or None,
                at_most_percent=one.at_most_percent,
                when_unsatisfiable=joint.Unsatisfiable(one.when),
            )
            for one in workload.spread
        ),
        strategy=joint.Strategy(workload.strategy),
        standby=workload.standby,
        whole=single,
        on_shortage=on_shortage,
    )


# -- who may make room -------------------------------------------------------------------------------------------------


def _victims(world: World, lost: Sequence[Case], targets: Targets) -> list[Case]:
    """Workloads of later tiers that may have to give up replicas; none where nobody may ask for that.

    A drain is planned and waits for room. Automation takes only from what its mode lets it change, and nobody takes from
    an application that a run is under way for, from a single writer, or from what an autoscaler would bring back.
    """
    first = min(
        (case.application.tier for case in lost if case.application.on_shortage is OnShortage.SHED),
        default=None,
    )
    if first is None or not world.may_shed:
        return []
    placed = {case.key for case in lost}
    found = []
    for application in world.policy.applications:
        if application.tier <= first or not may_give_up(world, application):
            continue
        for workload in application.workloads:
            if demand_key(application.name, workload.ref) in placed or not _may_shrink(world, workload):
                continue
            found.append(
                Case(
                    application=application,
                    workload=workload,
                    loss=Lost(replicas=0, demand=0, kept=0, unknown=False),
                    single=False,
                    candidates=candidates(world, application, workload, targets, {}),
                )
            )
    return found


def may_give_up(world: World, application: Application) -> bool:
    """Whether replicas of it may be taken at all; which tier asks is the engine's business."""
    if not world.may_shed or any(name == application.name for name, _ in world.snapshot.busy):
        return False
    return world.request.by_person or application.mode is Mode.AUTO


def _may_shrink(world: World, workload: Workload) -> bool:
    if is_single_writer(world, workload):
        return False
    states = [world.state(rule.cluster, workload.ref) for rule in workload.placement]
    return all(state is None or state.autoscaler is None for state in states)


# -- the answer --------------------------------------------------------------------------------------------------------


def _sheds(
    world: World, solution: "Solution", by_key: Mapping[str, Case]
) -> dict[ApplicationName, tuple[Shed, ...]]:
    """Each object's replicas go down one beneficiary after the other: absolute numbers, in the order of the tiers."""
    rows = sorted(
        solution.shed,
        key=lambda row: (by_key[row.made_room_for].application.tier, row.made_room_for, row.victim, row.site),
    )
    standing: dict[tuple[str, str], int] = {}
    found: dict[ApplicationName, list[Shed]] = {}
    for row in rows:
        victim, asking = by_key[row.victim], by_key[row.made_room_for]
        cluster = ClusterName(row.site)
        state = world.state(cluster, victim.workload.ref)
        wanted = state.wanted if state is not None else 0
        before = standing.get((row.victim, row.site), wanted)
        standing[row.victim, row.site] = before - row.replicas
        found.setdefault(asking.application.name, []).append(
            Shed(
                owner=victim.application.name,
                workload=victim.workload.ref,
                cluster=cluster,
                before=before,
                after=before - row.replicas,
                made_room_for=asking.workload.ref,
            )
        )
    return {name: tuple(rows) for name, rows in found.items()}


def _regrown(
    solution: "Solution", victims: Sequence[Case], sheds: Mapping[ApplicationName, tuple[Shed, ...]]
) -> dict[ApplicationName, tuple[tuple[Case, ClusterName, int], ...]]:
    """What victims get elsewhere, with the first application that they gave something up for."""
    asking: dict[str, ApplicationName] = {}
    for name, rows in sheds.items():
        for row in rows:
            asking.setdefault(demand_key(row.owner, row.workload), name)
    found: dict[ApplicationName, list[tuple[Case, ClusterName, int]]] = {}
    for case in victims:
        if case.key not in asking:
            continue
        for site, number in sorted(solution.placed(case.key).items()):
            cluster = ClusterName(site)
            if cluster in case.candidates and number > case.candidates[cluster][1].wanted:
                found.setdefault(asking[case.key], []).append((case, cluster, number))
    return {name: tuple(rows) for name, rows in found.items()}


def _findings(solution: "Solution") -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for item in solution.findings:
        found.setdefault(item.subject, []).append(item.sentence)
    return {subject: tuple(sentences) for subject, sentences in found.items()}
