"""What the controller last saw of clusters and zones, and how fresh it is. One task (bulkhead) per target.

A look that fails leaves the last complete one in place, with its age: nothing is ever taken for empty (I1).
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from failover.controller.ports import Ports
from failover.model.errors import TargetError
from failover.model.ids import ApplicationName, ClusterName, ZoneName
from failover.model.inventory import ClusterInventory, Demand, WorkloadState
from failover.model.policy import Application, Policy, WorkloadRef
from failover.model.records import ZoneState
from failover.model.time import Now

DEMAND_WINDOW = timedelta(hours=24)
DEMAND_BUCKET = timedelta(minutes=30)


def workloads_at(policy: Policy, cluster: ClusterName) -> tuple[WorkloadRef, ...]:
    """The workloads that the policies place in a cluster, in policy order, once each."""
    refs = (
        workload.ref
        for application in policy.applications
        for workload in application.workloads
        if any(rule.cluster == cluster for rule in workload.placement)
    )
    return tuple(dict.fromkeys(refs))


class DemandTracker:
    """Highest fleet-wide ready count of each workload in the last 24 h, in half-hour buckets of wall time.

    `away`: clusters that a run has moved away from. What still runs there, or runs there again, is a duplicate (I27) and
    no demand.
    """

    def __init__(self) -> None:
        self.away: frozenset[ClusterName] = frozenset()
        self._peaks: dict[tuple[ApplicationName, WorkloadRef], dict[datetime, int]] = {}

    def note(self, policy: Policy, inventories: Mapping[ClusterName, ClusterInventory], now: Now) -> None:
        """Take the present counts into account; ready replicas never count above the replicas wanted."""
        bucket = _bucket_of(now.wall)
        states = {
            (cluster, state.ref): state
            for cluster, seen in inventories.items()
            if cluster not in self.away
            for state in seen.workloads
        }
        for application in policy.applications:
            for workload in application.workloads:
                found = [states.get((rule.cluster, workload.ref)) for rule in workload.placement]
                total = sum(min(state.ready, state.wanted) for state in found if state is not None)
                peaks = self._peaks.setdefault((application.name, workload.ref), {})
                peaks[bucket] = max(peaks.get(bucket, 0), total)
                for old in [start for start in peaks if now.wall - start > DEMAND_WINDOW]:
                    del peaks[old]

    def demands(
        self, policy: Policy, inventories: Mapping[ClusterName, ClusterInventory]
    ) -> tuple[Demand, ...]:
        """Demand of every workload: the peak, at most the replicas wanted over all clusters as last seen."""
        result = []
        for application in policy.applications:
            for workload in application.workloads:
                peak = max(self._peaks.get((application.name, workload.ref), {}).values(), default=0)
                wanted = sum(
                    state.wanted
                    for rule in workload.placement
                    if rule.cluster not in self.away
                    and (seen := inventories.get(rule.cluster))
                    and (state := seen.workload(workload.ref))
                )
                result.append(
                    Demand(application=application.name, workload=workload.ref, replicas=min(peak, wanted))
                )
        return tuple(result)

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


class World:
    """The latest complete look at every cluster and zone, kept fresh by one task each."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self.inventories: dict[ClusterName, ClusterInventory] = {}
        self.zones: dict[ZoneName, ZoneState] = {}
        self.inventory_errors: dict[ClusterName, str] = {}
        self.zone_errors: dict[ZoneName, str] = {}
        self.demand = DemandTracker()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, policy: Policy) -> None:
        """Begin (or restart after a policy change) to look at everything at the policy's pace."""
        self.stop()
        self.inventories = {
            name: seen for name, seen in self.inventories.items() if name in self._ports.clusters
        }
        for name in self._ports.clusters:
            self._tasks[f"cluster/{name}"] = asyncio.ensure_future(self._watch_cluster(policy, name))
        for zone in self._ports.zones:
            self._tasks[f"zone/{zone}"] = asyncio.ensure_future(self._watch_zone(policy, zone))

    def stop(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def _watch_cluster(self, policy: Policy, name: ClusterName) -> None:
        interval = policy.fleet.timing.inventory_interval_s
        # A large fleet's first looks are spread out: a hundred lists of pods in one second are a hundred at once in memory.
        spread = min(interval, max(min(1.0, interval / 5), 0.05 * len(self._ports.clusters)))
        await self._ports.clock.sleep(self._ports.random.uniform(0, spread))
        while True:
            await self.look_at_cluster(policy, name)
            await self._ports.clock.sleep(interval * self._ports.random.uniform(0.9, 1.1))

    async def look_at_cluster(self, policy: Policy, name: ClusterName) -> ClusterInventory | None:
        """One complete look, or None; the error is kept as a sentence."""
        cluster = self._ports.clusters.get(name)
        if cluster is None:
            self.inventory_errors[name] = "no access to this cluster is configured or it could not be opened"
            return None
        try:
            seen = await cluster.inventory(workloads_at(policy, name))
        except TargetError as error:
            self.inventory_errors[name] = str(error)
            return None
        self.inventory_errors.pop(name, None)
        self.inventories[name] = seen
        self.demand.note(policy, self.inventories, self._ports.clock.now())
        return seen

    async def _watch_zone(self, policy: Policy, name: ZoneName) -> None:
        interval = policy.fleet.timing.inventory_interval_s
        while True:
            await self.look_at_zone(policy, name)
            await self._ports.clock.sleep(interval * self._ports.random.uniform(0.9, 1.1))

    async def look_at_zone(self, policy: Policy, name: ZoneName) -> ZoneState | None:
        """One whole read of the names that the policies publish in a zone, or None (then the zone is unknown)."""
        zone = self._ports.zones.get(name)
        if zone is None:
            self.zone_errors[name] = "the zone could not be opened"
            self.zones.pop(name, None)
            return None
        names, applications = zone_names(policy.applications, name)
        try:
            state = await zone.read(names, applications)
        except TargetError as error:
            self.zone_errors[name] = str(error)
            self.zones.pop(name, None)
            return None
        self.zone_errors.pop(name, None)
        self.zones[name] = state
        return state

    async def refresh(
        self, policy: Policy, clusters: Iterable[ClusterName], zones: Iterable[ZoneName]
    ) -> None:
        """Look at these now, all at once (before a person's plan, and at zones before every plan)."""
        await asyncio.gather(
            *(self.look_at_cluster(policy, name) for name in clusters),
            *(self.look_at_zone(policy, name) for name in zones),
        )

    def note_workloads(self, cluster: ClusterName, states: Sequence[WorkloadState]) -> None:
        """Fold newer workload states (from a run's waiting and read-back) into the inventory."""
        seen = self.inventories.get(cluster)
        if seen is None:
            return
        from dataclasses import replace

        newer = {state.ref: state for state in states}
        self.inventories[cluster] = replace(
            seen, workloads=tuple(newer.get(state.ref, state) for state in seen.workloads)
        )


def zone_names(
    applications: Iterable[Application], zone: ZoneName
) -> tuple[list[tuple[str, str]], list[ApplicationName]]:
    """The (name, type) pairs and the applications that a zone publishes."""
    pairs: dict[tuple[str, str], None] = {}
    owners: dict[ApplicationName, None] = {}
    for application in applications:
        for item in application.dns:
            if item.zone == zone:
                pairs[item.name, item.record_type.value] = None
                owners[application.name] = None
    return list(pairs), list(owners)
