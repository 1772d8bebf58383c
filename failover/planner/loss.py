"""What the sources ran of each workload, and which clusters may take it: everything that is known before placing."""

from dataclasses import dataclass, field

from failover.model.ids import ApplicationName, ClusterName
from failover.model.inventory import WorkloadState
from failover.model.policy import Application, PlacementRule, Workload, WorkloadRef, Writers
from failover.model.reasons import Refusal
from failover.model.resources import Resources
from failover.planner.eligibility import broken_there
from failover.planner.reached import unreached
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
class Case:
    """One workload that has to be placed. `candidates`: clusters that may take it; `notes`: why others may not.

    `closed`: replicas that are lost and are not to be placed anew (a single writer that still runs elsewhere). `aside`: clusters
    of which nothing counts, because no client is sent there (`unreached`).
    """

    application: Application
    workload: Workload
    loss: Loss
    single: bool
    candidates: dict[ClusterName, tuple[PlacementRule, WorkloadState]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    closed: bool = False
    aside: frozenset[ClusterName] = frozenset()

    @property
    def key(self) -> str:
        """Its name among all demands of one plan."""
        return demand_key(self.application.name, self.workload.ref)

    def request(self) -> tuple[Resources, str]:
        """What one replica asks for, the most that any candidate's object says; and a note where nothing says it.

        A replica that asks for nothing still takes one of a cluster's places for pods: that is all that is counted then.
        """
        return request_of(self.workload, [state for _, state in self.candidates.values()])


def demand_key(application: ApplicationName, workload: WorkloadRef) -> str:
    """`shop deployment/shop/web`."""
    return f"{application} {workload}"


def request_of(workload: Workload, states: list[WorkloadState]) -> tuple[Resources, str]:
    """See `Case.request`."""
    most: dict[str, int] = {}
    for state in states:
        for name, amount in asked_by(workload, state).amounts():
            most[name] = max(most.get(name, 0), amount)
    found = Resources.of({**most, "pods": max(1, most.get("pods", 1))})
    if not states or not found.asks_for_nothing:
        return found, ""
    return found, (
        f"{workload.ref} requests nothing: it is counted by pods alone, which may be more than nodes can bear; name its "
        "requests in the policy"
    )


def asked_by(workload: Workload, state: WorkloadState) -> Resources:
    """What a replica requests there; the policy's word where the object says nothing."""
    if state.requests.asks_for_nothing and workload.requests is not None:
        return workload.requests
    return state.requests


def cases_of(world: World, application: Application, targets: Targets) -> tuple[Case, ...]:
    """One case for each workload of an application."""
    aside = unreached(world, application, targets)
    return tuple(_case(world, application, workload, targets, aside) for workload in application.workloads)


def _case(
    world: World,
    application: Application,
    workload: Workload,
    targets: Targets,
    aside: frozenset[ClusterName],
) -> Case:
    loss = measure_loss(world, application, workload, aside)
    single = is_single_writer(world, workload)
    notes: dict[str, None] = {}
    found = candidates(world, application, workload, targets, notes) if loss.replicas else {}
    if loss.unknown:
        notes[f"what {workload.ref} ran in a source was never seen; its demand decides what is placed"] = None
    closed = False
    if single and loss.replicas and (running := _runs_elsewhere(world, workload)):
        where = ", ".join(running)
        notes[f"{workload.ref} has a single writer and runs in {where}; no second is started"] = None
        closed = True
    return Case(
        application=application,
        workload=workload,
        loss=loss,
        single=single,
        candidates=found,
        notes=tuple(notes),
        closed=closed,
        aside=aside,
    )


def measure_loss(
    world: World, application: Application, workload: Workload, aside: frozenset[ClusterName]
) -> Loss:
    """The last known counts in the sources, bounded by the demand less what is kept elsewhere, or lost elsewhere.

    What is lost in a cluster that is no source is another plan's to place: counted here, a source that was moved away from
    already would be found lost again, and each run would add to the demand of the next.

    With a known demand the replicas wanted in the sources count: the ready ones may have fallen with the region before
    the last look. Without one, those ready count, at most the wanted. `aside`: clusters that no client is sent to, which keep
    nothing for anybody.
    """
    wanted, ready, kept, others, unknown = 0, 0, 0, 0, False
    for rule in workload.placement:
        state = world.state(rule.cluster, workload.ref)
        if rule.cluster in world.sources:
            unknown = unknown or not world.looked_for(rule.cluster, workload.ref)
            wanted += state.wanted if state else 0
            ready += min(state.ready, state.wanted) if state else 0
        elif rule.cluster in aside:
            continue
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


def candidates(
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


def _runs_elsewhere(world: World, workload: Workload) -> list[ClusterName]:
    return sorted(
        rule.cluster
        for rule in workload.placement
        if rule.cluster not in world.sources
        and (state := world.state(rule.cluster, workload.ref)) is not None
        and state.wanted > 0
    )
