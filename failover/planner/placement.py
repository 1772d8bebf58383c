"""Where the lost replicas of one workload go: what runs is kept, only what was lost is placed again."""

from dataclasses import dataclass

from failover.model.ids import ClusterName
from failover.model.inventory import WorkloadState
from failover.model.plan import Placement
from failover.model.policy import Application, PlacementRule, Workload, Writers
from failover.model.reasons import Refusal
from failover.planner.capacity import FreeCapacity
from failover.planner.divide import Share, divide, tie_break
from failover.planner.eligibility import broken_there
from failover.planner.world import World

Targets = dict[ClusterName, Refusal | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What the sources ran of one workload. `unknown`: a source that was never seen may have run some.

    `replicas`: lost and to be placed again; `demand`: wanted fleet-wide; `kept`: wanted elsewhere and counted.
    """

    replicas: int
    demand: int
    kept: int
    unknown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """One cluster that takes more. `ready`: before; totals, not differences."""

    cluster: ClusterName
    state: WorkloadState
    before: int
    after: int

    @property
    def ready(self) -> int:
        return min(self.state.ready, self.before)

    @property
    def added(self) -> int:
        return self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One workload's part: what was lost, who takes it, what found no place, and what each cluster then holds.

    `credited`: (cluster, replicas that are ready there now or were added), the ready capacity of the rest (I9).
    """

    workload: Workload
    single: bool
    loss: Loss
    additions: tuple[Addition, ...]
    credited: tuple[tuple[ClusterName, int], ...]
    placements: tuple[Placement, ...]
    notes: tuple[str, ...]

    @property
    def replaced(self) -> int:
        return sum(addition.added for addition in self.additions)

    @property
    def unplaced(self) -> int:
        return self.loss.replicas - self.replaced

    @property
    def capacity(self) -> int:
        return sum(ready for _, ready in self.credited)

    def below_floor(self, floor: int) -> bool:
        """The rest would carry less than `floor` percent of the demand."""
        return self.capacity * 100 < floor * self.loss.demand


def place_workload(
    world: World, application: Application, workload: Workload, free: FreeCapacity, targets: Targets
) -> Move:
    """Place what the sources ran of this workload on eligible clusters, and take that room from `free`."""
    loss = measure_loss(world, application, workload)
    single = is_single_writer(world, workload)
    notes: dict[str, None] = {}
    candidates = _candidates(world, application, workload, targets, notes) if loss.replicas else {}
    if loss.unknown:
        notes[f"what {workload.ref} ran in a source was never seen; its demand decides what is placed"] = None
    if single:
        additions = _place_whole(world, workload, loss, candidates, free, notes)
    else:
        additions = _place_by_weight(workload, loss, candidates, free)
    for addition in additions:
        free.take(addition.cluster, addition.state.requests, addition.added)
    return Move(
        workload=workload,
        single=single,
        loss=loss,
        additions=additions,
        credited=_credited(world, application, workload, additions),
        placements=_placements(world, workload, additions, targets),
        notes=tuple(notes),
    )


def measure_loss(world: World, application: Application, workload: Workload) -> Loss:
    """The last known counts in the sources, bounded by the demand less what is kept elsewhere, or lost elsewhere.

    What is lost in a cluster that is no source is another plan's to place: counted here, a source that was moved away from
    already would be found lost again, and each run would add to the demand of the next.

    With a known demand the replicas wanted in the sources count: the ready ones may have fallen with the region before
    the last look. Without one, those ready count, at most the wanted.
    """
    wanted, ready, kept, others, unknown = 0, 0, 0, 0, False
    for rule in workload.placement:
        state = world.state(rule.cluster, workload.ref)
        if rule.cluster in world.sources:
            unknown = unknown or rule.cluster not in world.inventories
            wanted += state.wanted if state else 0
            ready += min(state.ready, state.wanted) if state else 0
        elif state and world.carries(rule.cluster):
            kept += state.wanted
        elif state and (rule.cluster, application.name) not in world.snapshot.away:
            others += state.wanted
    demand = world.demands.get((application.name, workload.ref))
    if demand is None:
        return Loss(replicas=ready, demand=kept + ready, kept=kept, unknown=unknown)
    room = max(0, demand.replicas - kept - others)
    return Loss(
        replicas=room if unknown else min(wanted, room), demand=demand.replicas, kept=kept, unknown=unknown
    )


def is_single_writer(world: World, workload: Workload) -> bool:
    """The policy says so, or the object does wherever it was seen (a ReadWriteOnce volume).

    A StatefulSet is `single` in the policy unless somebody wrote `many`; then that is a person's word.
    """
    if workload.writers is Writers.SINGLE:
        return True
    if workload.ref.object_kind == "StatefulSet":
        return False
    states = (world.state(rule.cluster, workload.ref) for rule in workload.placement)
    return any(state is not None and state.single_writer for state in states)


def _candidates(
    world: World,
    application: Application,
    workload: Workload,
    targets: Targets,
    notes: dict[str, None],
) -> dict[ClusterName, tuple[PlacementRule, WorkloadState]]:
    """Clusters of the placement list that may take replicas; a note says why each other may not."""
    found: dict[ClusterName, tuple[PlacementRule, WorkloadState]] = {}
    for rule in sorted(workload.placement, key=lambda rule: rule.cluster):
        if rule.cluster in world.sources:
            continue
        refusal = targets.get(rule.cluster) or broken_there(world, application, rule.cluster)
        if refusal is not None:
            notes[f"{rule.cluster} is no target: {refusal.sentence}"] = None
            continue
        state = world.state(rule.cluster, workload.ref)
        if state is None:
            notes[
                f"cluster {rule.cluster} is no target for {workload.ref}: the object does not exist there; "
                "create it with 0 replicas"
            ] = None
            continue
        found[rule.cluster] = (rule, state)
    return found


def _place_by_weight(
    workload: Workload,
    loss: Loss,
    candidates: dict[ClusterName, tuple[PlacementRule, WorkloadState]],
    free: FreeCapacity,
) -> tuple[Addition, ...]:
    """The totals come as near to the weights as what runs already, bounds and room allow."""
    if not loss.replicas:
        return ()
    shares: dict[str, Share] = {}
    spare = loss.replicas
    for cluster, (rule, state) in candidates.items():
        room = state.wanted + free.places(cluster, state.requests)
        upper = room if rule.max_replicas is None else min(room, max(rule.max_replicas, state.wanted))
        owed = min(max(0, min(rule.min_replicas, upper) - state.wanted), spare)
        spare -= owed
        shares[cluster] = Share(
            weight=rule.weight,
            minimum=min(rule.min_replicas, state.wanted + owed),
            maximum=upper,
            existing=state.wanted,
        )
    total = sum(state.wanted for _, state in candidates.values()) + loss.replicas
    totals = divide(total, shares, key=str(workload.ref))
    return tuple(
        Addition(cluster=cluster, state=state, before=state.wanted, after=totals[cluster])
        for cluster, (_, state) in candidates.items()
        if totals[cluster] > state.wanted
    )


def _place_whole(
    world: World,
    workload: Workload,
    loss: Loss,
    candidates: dict[ClusterName, tuple[PlacementRule, WorkloadState]],
    free: FreeCapacity,
    notes: dict[str, None],
) -> tuple[Addition, ...]:
    """A single writer goes to one cluster as a whole, and nowhere while it still runs in another."""
    if not loss.replicas:
        return ()
    running = sorted(
        rule.cluster
        for rule in workload.placement
        if rule.cluster not in world.sources
        and (state := world.state(rule.cluster, workload.ref)) is not None
        and state.wanted > 0
    )
    if running:
        notes[
            f"{workload.ref} has a single writer and runs in {', '.join(running)}; no second is started"
        ] = None
        return ()
    fitting = [
        (rule, state)
        for rule, state in candidates.values()
        if rule.weight > 0
        and loss.replicas <= free.places(rule.cluster, state.requests)
        and (rule.max_replicas is None or loss.replicas <= rule.max_replicas)
    ]
    if not fitting:
        return ()
    rule, state = min(
        fitting,
        key=lambda pair: (
            -pair[0].weight,
            tie_break(pair[0].cluster, str(workload.ref)),
            pair[0].cluster,
        ),
    )
    return (Addition(cluster=rule.cluster, state=state, before=0, after=loss.replicas),)


def _credited(
    world: World, application: Application, workload: Workload, additions: tuple[Addition, ...]
) -> tuple[tuple[ClusterName, int], ...]:
    added = {addition.cluster: addition.added for addition in additions}
    result = []
    for cluster in sorted(rule.cluster for rule in workload.placement):
        state = world.state(cluster, workload.ref)
        if state is None or not world.credited(cluster) or world.application_broken(application, cluster):
            continue
        ready = min(state.ready, state.wanted) + added.get(cluster, 0)
        if ready:
            result.append((cluster, ready))
    return tuple(result)


def _placements(
    world: World, workload: Workload, additions: tuple[Addition, ...], targets: Targets
) -> tuple[Placement, ...]:
    """One row for every cluster that holds the object, sources included."""
    after = {addition.cluster: addition.after for addition in additions}
    rows = []
    for rule in sorted(workload.placement, key=lambda rule: rule.cluster):
        state = world.state(rule.cluster, workload.ref)
        if state is None:
            continue
        total = after.get(rule.cluster, state.wanted)
        rows.append(
            Placement(
                workload=workload.ref,
                cluster=rule.cluster,
                before=state.wanted,
                after=total,
                ready=min(state.ready, state.wanted),
                reason=_placement_reason(world, rule, state, total, targets),
            )
        )
    return tuple(rows)


def _placement_reason(
    world: World, rule: PlacementRule, state: WorkloadState, after: int, targets: Targets
) -> str:
    if rule.cluster in world.sources:
        return "source: its objects are left alone"
    added = after - state.wanted
    if added:
        limit = "" if after != rule.max_replicas else f", its maximum of {after} is reached"
        return f"keeps {state.wanted}, takes {added} by weight {rule.weight}{limit}"
    refusal = targets.get(rule.cluster)
    if refusal is not None:
        return f"keeps {state.wanted}; no target: {refusal.sentence}"
    return f"keeps {state.wanted}"
