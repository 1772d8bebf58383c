"""How many replicas clients need of each workload: the peak of a day, as the inventories show it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from failover.execution.moves import Surplus
from failover.model.ids import ApplicationName, ClusterName
from failover.model.inventory import ClusterInventory, Demand, WorkloadState
from failover.model.policy import Policy, WorkloadRef
from failover.model.time import Now

DEMAND_WINDOW = timedelta(hours=24)
DEMAND_BUCKET = timedelta(minutes=30)


class DemandTracker:
    """Highest fleet-wide ready count of each workload in the last 24 h, in half-hour buckets of wall time.

    `away`: applications and the clusters that a run has moved them away from. What still runs there, or runs there again,
    is a duplicate (I27) and no demand; what another application runs there is as wanted as ever. `surplus`: what runs added
    for applications that have not moved: no demand either. `owed`: what runs moved away and placed nowhere is wanted still.
    """

    def __init__(self) -> None:
        self.away: frozenset[tuple[ClusterName, ApplicationName]] = frozenset()
        self.owed: Mapping[tuple[ApplicationName, WorkloadRef], int] = {}
        self.surplus: Mapping[tuple[ClusterName, WorkloadRef], Surplus] = {}
        self._peaks: dict[tuple[ApplicationName, WorkloadRef], dict[datetime, int]] = {}

    def note(self, policy: Policy, inventories: Mapping[ClusterName, ClusterInventory], now: Now) -> None:
        """Take the present counts into account; ready replicas never count above the replicas wanted."""
        bucket = _bucket_of(now.wall)
        states = {
            (cluster, state.ref): state for cluster, seen in inventories.items() for state in seen.workloads
        }
        for application in policy.applications:
            for workload in application.workloads:
                total = sum(
                    min(state.ready, self._needed(rule.cluster, state))
                    for rule in workload.placement
                    if (rule.cluster, application.name) not in self.away
                    and (state := states.get((rule.cluster, workload.ref))) is not None
                )
                peaks = self._peaks.setdefault((application.name, workload.ref), {})
                peaks[bucket] = max(peaks.get(bucket, 0), total)
                for old in [start for start in peaks if now.wall - start > DEMAND_WINDOW]:
                    del peaks[old]

    def demands(
        self, policy: Policy, inventories: Mapping[ClusterName, ClusterInventory]
    ) -> tuple[Demand, ...]:
        """Demand of every workload: the peak, at most the replicas wanted over all clusters as last seen. What is wanted in a cluster
        where nobody looked for it is not known, and bounds nothing: the peak is wanted then.
        """
        result = []
        for application in policy.applications:
            for workload in application.workloads:
                peak = max(self._peaks.get((application.name, workload.ref), {}).values(), default=0)
                states = {
                    rule.cluster: seen.workload(workload.ref)
                    if (seen := inventories.get(rule.cluster))
                    else None
                    for rule in workload.placement
                    if (rule.cluster, application.name) not in self.away
                }
                wanted = sum(self._needed(name, state) for name, state in states.items() if state is not None)
                wanted += self.owed.get((application.name, workload.ref), 0)
                known = None not in states.values()
                result.append(
                    Demand(
                        application=application.name,
                        workload=workload.ref,
                        replicas=min(peak, wanted) if known else peak,
                    )
                )
        return tuple(result)

    def _needed(self, cluster: ClusterName, state: WorkloadState) -> int:
        """Replicas that are wanted there for clients, not as a surplus of ours."""
        more = self.surplus.get((cluster, state.ref))
        if more is None or state.wanted < more.standing:
            return state.wanted
        return max(0, state.wanted - more.extra)

    def dump(self) -> list[list[object]]:
        """Plain data for the store."""
        return [
            [name, ref.object_kind, ref.namespace, ref.name, {k.isoformat(): v for k, v in peaks.items()}]
            for (name, ref), peaks in self._peaks.items()
        ]

    def restore(self, data: Iterable[Sequence[object]]) -> None:
        """The inverse of `dump`; data that does not fit is ignored (demand then grows from what is seen)."""
        for row in data:
            name, kind, namespace, workload, peaks = row
            if not isinstance(peaks, dict):
                continue
            ref = WorkloadRef(object_kind=str(kind), namespace=str(namespace), name=str(workload))
            self._peaks[ApplicationName(str(name)), ref] = {
                datetime.fromisoformat(start): int(count) for start, count in peaks.items()
            }


def _bucket_of(wall: datetime) -> datetime:
    return wall - timedelta(
        seconds=(wall.minute * 60 + wall.second) % DEMAND_BUCKET.total_seconds(),
        microseconds=wall.microsecond,
    )
