"""Clusters and zones of the simulated world: the lab's twins, with what oracles ask of them besides."""

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from failover.lab.twins.cluster import ClusterWorld
from failover.lab.twins.zone import ZoneWorld
from failover.model.ids import IntentId
from failover.model.inventory import WorkloadState
from failover.model.policy import WorkloadRef, Zone
from failover.model.records import ZoneChange

from . import trace
from .layers import Layers

if TYPE_CHECKING:
    from failover.model.permit import Permit

    from .lives import Life
    from .world import World


class SimCluster(ClusterWorld):
    """One cluster's truth. `api`: what is wrong with its API server, above the twin's own faults."""

    def __init__(self, name: str, clock: Any, **rest: Any) -> None:
        super().__init__(name, clock, **rest)
        self.api = Layers()
        self.stood: defaultdict[WorkloadRef, deque[tuple[float, int, int]]] = defaultdict(
            lambda: deque(maxlen=16)
        )
        """Until when how many of each workload were wanted, and ready; newest last."""
        self.told_old_at = float("-inf")
        """When its own server said last what had been true some time before: who has read it cannot know better."""

    def remember(self, ref: WorkloadRef) -> None:
        """To be called before anything changes of it."""
        workload = self.settle(ref)
        self.stood[ref].append((self.clock.now().mono, workload.wanted, workload.ready))

    def set_replicas(self, ref: WorkloadRef, replicas: int, manager: str) -> None:
        self.remember(ref)
        super().set_replicas(ref, replicas, manager)

    def set_nodes(self, nodes: int, *, noticed_s: float = 0.0) -> None:
        for ref in self.workloads:
            self.remember(ref)
        super().set_nodes(nodes, noticed_s=noticed_s)

    def wanted_since(self, ref: WorkloadRef, since: float) -> set[int]:
        """Every number of replicas that was wanted at some moment since then."""
        there = {self.workloads[ref].wanted} if ref in self.workloads else set()
        return there | {wanted for until, wanted, _ in self.stood[ref] if until >= since}

    def ready_since(self, ref: WorkloadRef, since: float) -> int:
        """The most replicas that were ready at some moment since then."""
        there = self.settle(ref).ready if ref in self.workloads else 0
        return max([there, *(ready for until, _, ready in self.stood[ref] if until >= since)])

    def as_it_stands(self) -> dict[WorkloadRef, WorkloadState]:
        """What a read gives now, to be given again by a server that reads from an old cache."""
        return {ref: self.state(ref) for ref in self.workloads}


class SimZone(ZoneWorld):
    """One zone's truth, which tells of every version. `in_flight`: the permit that a change travels under, and whose it is."""

    def __init__(self, world: "World", zone: Zone) -> None:
        super().__init__(zone, world.clock)
        self._sim = world
        self.in_flight: dict[int, tuple[Permit, Life]] = {}
        self._hand = ""

    def apply(self, change: ZoneChange) -> str:
        permit, life = self.in_flight.get(id(change), (None, None))
        holder = life.holder if life else ""
        seen = tuple(
            self.current.record_sets.get((item.after.name, item.after.record_type)) for item in change.changes
        )
        self._hand = holder or "?"
        try:
            different = super().apply(change)
        finally:
            self._hand = ""
        if not different:
            intent = IntentId(permit.intent if permit else "")
            self._sim.note(
                trace.Applied(
                    at=self._sim.mono,
                    holder=holder,
                    target=str(self.zone.name),
                    kind="records",
                    intent=intent,
                    epoch=int(change.fence_after.epoch),
                    expected=tuple(item.before for item in change.changes),
                    seen=seen,
                    after=tuple(item.after for item in change.changes),
                    change=change,
                    leased_until=self._sim.leased_until(life, permit.epoch)
                    if permit and life
                    else float("-inf"),
                    kept=self._sim.is_kept(intent),
                )
            )
        return different

    def _publish(self, record_sets: Any, fences: Any) -> None:
        super()._publish(record_sets, fences)
        sets = tuple(self.current.record_sets.values())
        self._sim.note(
            trace.Published(at=self._sim.mono, zone=str(self.zone.name), record_sets=sets, by=self._hand)
        )
