"""What a cluster holds, as last seen: capacity, workloads, and how old the sight is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from failover.model.ids import ApplicationName, ClusterName
from failover.model.policy import WorkloadRef
from failover.model.resources import NOTHING, ONE_POD, Resources, first_fit, minus, places_on, total

__all__ = [
    "Autoscaler",
    "ClusterInventory",
    "Demand",
    "NodeState",
    "Resources",
    "RightProblem",
    "WorkloadState",
    "places_on",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Autoscaler:
    """The HorizontalPodAutoscaler that owns a workload's replicas: its `minReplicas` is moved instead."""

    name: str
    min_replicas: int
    max_replicas: int
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadState:
    """One workload in one cluster. `exists` False: the object is not there (then all counts are 0; not a target).

    `wanted`: spec.replicas; `ready`: status.readyReplicas; `pods`: status.replicas; `settled`: observedGeneration >= generation;
    `managers`: field managers that wrote `spec.replicas`, latest last; `single_writer`: StatefulSet or an RWO volume.
    """

    ref: WorkloadRef
    exists: bool
    wanted: int = 0
    ready: int = 0
    pods: int = 0
    settled: bool = True
    resource_version: str = ""
    requests: Resources = ONE_POD
    autoscaler: Autoscaler | None = None
    managers: tuple[str, ...] = ()
    single_writer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """One schedulable ready node's free resources (allocatable minus requested by its pods, never below 0).

    `whole`: its allocatable, the most that could ever be free there; None: nobody knows, so no more than what is free.
    """

    name: str
    free: Resources
    whole: Resources | None = None

    @property
    def most(self) -> Resources:
        """What could be free there if everything made room."""
        return self.free if self.whole is None else self.whole


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterInventory:
    """One look at a cluster through its API server. Never partial: a list that broke off raises instead (I1).

    `uid`: of the namespace kube-system (its identity). `taken_mono`: controller's monotonic seconds when the look began.
    `allocatable`, `requested`: sums over the ready nodes. `utilisation`: CPU in use of what is allocatable, 0 to 1, as the
    cluster measures it; None where it measures nothing. `odd`: sentences about objects that could not be understood and
    were left out of `nodes` (never credited).
    """

    cluster: ClusterName
    uid: str
    taken_mono: float
    nodes_total: int = 0
    nodes_ready: int = 0
    nodes: tuple[NodeState, ...] = ()
    allocatable: Resources = NOTHING
    requested: Resources = NOTHING
    utilisation: float | None = None
    workloads: tuple[WorkloadState, ...] = ()
    fence_epoch: int | None = None
    odd: tuple[str, ...] = ()

    def workload(self, ref: WorkloadRef) -> WorkloadState | None:
        return next((state for state in self.workloads if state.ref == ref), None)

    @property
    def free(self) -> Resources:
        """Allocatable less requested, over all ready nodes; no node owes another anything."""
        return total([node.free for node in self.nodes])

    @property
    def capacity_unknown(self) -> bool:
        """It has no node at all that could tell what fits (nodes that are made on demand): neither empty nor infinite."""
        return not self.nodes and not self.nodes_total

    def with_newer(self, states: Sequence[WorkloadState]) -> "ClusterInventory":
        """The same look with newer states of its workloads: whatever has become ready since takes its room, as it was reserved
        until then (it may have had its node already; too little room is the safe mistake until the next look). What is gone since
        may still be on its way out, and frees nothing.
        """
        newer = {state.ref: state for state in states}
        nodes = list(self.nodes)
        for before in self.workloads:
            after = newer.get(before.ref, before)
            _fill(nodes, after.requests, min(after.ready, after.wanted) - min(before.ready, before.wanted))
        return replace(
            self,
            nodes=tuple(nodes),
            workloads=tuple(newer.get(state.ref, state) for state in self.workloads),
        )

    def places_for(self, requests: Resources) -> int:
        """How many more replicas of these requests fit, node by node (a replica never straddles nodes)."""
        return sum(places_on(node.free, requests) for node in self.nodes)


def _fill(nodes: list[NodeState], requests: Resources, replicas: int) -> None:
    """Take the room of so many replicas, on whichever nodes have it."""
    for index, number in first_fit([node.free for node in nodes], requests, replicas):
        nodes[index] = replace(nodes[index], free=minus(nodes[index].free, requests, number))


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Replicas that clients need of one workload, fleet-wide: highest ready count of 24 h, at most the replicas wanted."""

    application: ApplicationName
    workload: WorkloadRef
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RightProblem:
    """Something that a failover would need and that a cluster or a zone refuses (validate --live)."""

    target: str
    sentence: str
    warning: bool = False
