"""What the controller last saw of clusters and zones, and how fresh it is. One task (bulkhead) per target.

A look that fails leaves the last complete one in place, with its age: nothing is ever taken for empty (I1).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from failover.controller.demand import DemandTracker
from failover.controller.ports import Ports
from failover.controller.quotas import quota_event
from failover.dnszones.limits import urgently
from failover.model.errors import TargetError
from failover.model.ids import ApplicationName, ClusterName, Subject, ZoneName
from failover.model.inventory import ClusterInventory, WorkloadState
from failover.model.observation import ProbeKind, ProbeResult
from failover.model.policy import Application, Policy, WorkloadRef
from failover.model.records import Quota, ServerAnswer, ZoneState
from failover.probes.cluster_state import nodes_result, result_of, workloads_result

SERVERS_EVERY_S = 30.0
HEALTH_EVERY_S = 600.0
NEVER = float("-inf")
LOOKS_PER_REGION = 4
"""Whole inventories read at once from one region: a large fleet's lists in memory, and a dead region's patience, are bounded."""


def workloads_at(policy: Policy, cluster: ClusterName) -> tuple[WorkloadRef, ...]:
    """The workloads that the policies place in a cluster, in policy order, once each."""
    refs = (
        workload.ref
        for application in policy.applications
        for workload in application.workloads
        if any(rule.cluster == cluster for rule in workload.placement)
    )
    return tuple(dict.fromkeys(refs))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the latest look said about nodes (of a cluster) or workloads (of an application there): signal W."""

    probe: ProbeKind
    result: ProbeResult
    at_mono: float


class World:
    """The latest complete look at every cluster and zone, kept fresh by one task each."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self.inventories: dict[ClusterName, ClusterInventory] = {}
        self.zones: dict[ZoneName, ZoneState] = {}
        self._folded: dict[ClusterName, tuple[ClusterInventory, ClusterInventory]] = {}
        """Looks that newer states were folded into, and as they were before: what their nodes were counted with."""
        self.inventory_errors: dict[ClusterName, str] = {}
        self.zone_errors: dict[ZoneName, str] = {}
        self.looks: dict[Subject, Look] = {}
        self.servers: dict[ZoneName, tuple[ServerAnswer, ...]] = {}
        self.identities: dict[ClusterName, str] = {}
        """UID of each cluster's kube-system namespace, as first seen: its identity, which outlives a restart."""
        self.strangers: dict[ClusterName, str] = {}
        """Clusters whose kubeconfig reaches another one now, with its UID: nothing of it is believed or written to."""
        self.on_stranger: Callable[[ClusterName, str], None] = lambda cluster, sentence: None
        self.on_server: Callable[[ZoneName, ServerAnswer], None] = lambda zone, answer: None
        self.on_defect: Callable[[Exception], None] = lambda error: None
        self._gates: dict[str, asyncio.Semaphore] = {}
        self.zone_warnings: dict[ZoneName, tuple[str, ...]] = {}
        """What `check` of a zone at a provider with an API said last."""
        self.zone_quotas: dict[ZoneName, tuple[Quota, ...]] = {}
        """What such a provider counts, as it said last; absent where it could not be asked."""
        self._asked_servers: dict[ZoneName, float] = {}
        self._asked_health: dict[ZoneName, float] = {}
        self.demand = DemandTracker()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, policy: Policy) -> None:
        """Begin (or restart after a policy change) to look at everything at the policy's pace."""
        self.stop()
        self.inventories = {
            name: seen for name, seen in self.inventories.items() if name in self._ports.clusters
        }
        self.inventory_errors = {
            entry.name: self._ports.closed.get(entry.name, "this cluster could not be opened")
            for entry in policy.fleet.clusters
            if entry.name not in self._ports.clusters
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
            async with self._gate(policy, name):
                await self.look_at_cluster(policy, name)
            await self._ports.clock.sleep(interval * self._ports.random.uniform(0.9, 1.1))

    def _gate(self, policy: Policy, name: ClusterName) -> asyncio.Semaphore:
        region = next((one.region for one in policy.fleet.clusters if one.name == name), "")
        return self._gates.setdefault(region, asyncio.Semaphore(LOOKS_PER_REGION))

    async def look_at_cluster(self, policy: Policy, name: ClusterName) -> ClusterInventory | None:
        """One complete look, or None; the error is kept as a sentence."""
        cluster = self._ports.clusters.get(name)
        if cluster is None:
            self.inventory_errors[name] = self._ports.closed.get(name, "this cluster could not be opened")
            return None
        try:
            seen = await cluster.inventory(workloads_at(policy, name))
        except TargetError as error:
            self.inventory_errors[name] = str(error)
            self._note_looks(policy, name, None, result_of(error))
            return None
        if not self._is_known(name, seen):
            return None
        self.inventory_errors.pop(name, None)
        self._note_looks(policy, name, seen, nodes_result(seen))
        self.inventories[name] = seen
        self.demand.note(policy, self.inventories, self._ports.clock.now())
        return seen

    def _is_known(self, name: ClusterName, seen: ClusterInventory) -> bool:
        """Whether this is the cluster that was looked at before; the first look decides who it is."""
        known = self.identities.setdefault(name, seen.uid)
        if known == seen.uid:
            self.strangers.pop(name, None)
            return True
        sentence = (
            f"the kubeconfig of {name} reaches another cluster (kube-system has UID {seen.uid}, it had {known}): nothing of it "
            f"is believed and nothing is written there; if it was rebuilt: `failover ack cluster/{name} --identity`"
        )
        self.inventory_errors[name] = sentence
        if self.strangers.get(name) != seen.uid:
            self.strangers[name] = seen.uid
            self.on_stranger(name, sentence)
        return False

    def accept_identity(self, name: ClusterName, uid: str) -> None:
        """A person says that the cluster which answers with this UID is the right one."""
        self.strangers.pop(name, None)
        self.identities[name] = uid

    def highest_fence(self, owner: str = "") -> int:
        """The highest epoch of all fences that could be read; of a zone's only this owner's, where one is named."""
        fences = [seen.fence_epoch or 0 for seen in self.inventories.values()]
        fences += [
            int(fence.epoch)
            for zone in self.zones.values()
            for fence in zone.fences
            if not owner or fence.owner == owner
        ]
        return max(fences, default=0)

    def _note_looks(
        self, policy: Policy, name: ClusterName, seen: ClusterInventory | None, result: ProbeResult
    ) -> None:
        now = self._ports.clock.now().mono
        self.looks[Subject(cluster=name)] = Look(probe=ProbeKind.NODES, result=result, at_mono=now)
        for application in policy.applications:
            if name in application.clusters:
                refs = [workload.ref for workload in application.workloads]
                own = workloads_result(refs, seen) if seen is not None else result
                subject = Subject(cluster=name, application=application.name)
                self.looks[subject] = Look(probe=ProbeKind.WORKLOADS, result=own, at_mono=now)

    async def _watch_zone(self, policy: Policy, name: ZoneName) -> None:
        interval = policy.fleet.timing.inventory_interval_s
        while True:
            await self.look_at_zone(policy, name)
            await self._ask_servers(name)
            await self._ask_health(policy, name)
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
        except (
            Exception
        ) as error:  # whatever an adapter breaks on, the other zones and what they carry must not stop
            sentence = str(error)
            if not isinstance(error, TargetError):
                sentence = f"a defect of ours: {error!r}"
                if self.zone_errors.get(name) != sentence:  # at each look it would be told again
                    self.on_defect(error)
            self.zone_errors[name] = sentence
            self.zones.pop(name, None)
            return None
        self.zone_errors.pop(name, None)
        self.zones[name] = state
        return state

    async def _ask_servers(self, name: ZoneName) -> None:
        """Ask every authoritative server for what the primary holds: at each look while one was silent or differed, else
        now and then. This is where a server that was silent during a run is asked again (I15).
        """
        state, zone = self.zones.get(name), self._ports.zones.get(name)
        before = {answer.server: answer for answer in self.servers.get(name, ())}
        # One that the policy does not list may be out of our reach for good, and not out of the clients'.
        calm = bool(before) and all(
            answer.matches or (answer.delegated and not answer.answered) for answer in before.values()
        )
        now = self._ports.clock.now().mono
        if zone is None or state is None or not state.record_sets:
            return
        if calm and now - self._asked_servers.get(name, float("-inf")) < SERVERS_EVERY_S:
            return
        self._asked_servers[name] = now
        try:
            answers = await zone.verify(state.record_sets)
        except TargetError:
            return  # the zone's own error is shown; what the servers said last stands
        self.servers[name] = answers
        for answer in answers:
            was = before.get(answer.server)
            if was is None and answer.matches:
                continue
            if was is None or (was.answered, was.matches) != (answer.answered, answer.matches):
                self.on_server(name, answer)

    async def _ask_health(self, policy: Policy, name: ZoneName) -> None:
        """Quota, credentials that end, lame servers: what a provider's API says now and then besides its records.

        Name servers that take updates are asked by `validate --live` and the calendar, for a rehearsal there is an update.
        """
        zone, now = self._ports.zones.get(name), self._ports.clock.now().mono
        asked = now - self._asked_health.get(name, float("-inf")) < HEALTH_EVERY_S
        if zone is None or asked or zone.capabilities.provider == "rfc2136":
            return
        self._asked_health[name] = now
        problems = await zone.check(zone_names(policy.applications, name)[0])
        self.zone_warnings[name] = tuple(item.sentence for item in problems)
        try:
            self.zone_quotas[name] = await zone.quotas()
        except TargetError:
            self.zone_quotas.pop(name, None)  # the check has said so
        quotas = self.zone_quotas.get(name)
        if quotas != ():  # where nothing is counted there is nothing to tell
            self._ports.telemetry.emit(quota_event(name, quotas, self._ports.clock.now().wall))

    def ready_at(self, cluster: ClusterName, workload: WorkloadRef) -> int | None:
        """Ready replicas as last seen; None where nobody ever looked, or the object is not there."""
        seen = self.inventories.get(cluster)
        state = seen.workload(workload) if seen is not None else None
        return state.ready if state is not None and state.exists else None

    async def refresh(
        self, policy: Policy, clusters: Iterable[ClusterName], zones: Iterable[ZoneName]
    ) -> None:
        """Look at these now, all at once (before a person's plan, and at zones before every plan)."""
        with urgently():
            await asyncio.gather(
                *(self.look_at_cluster(policy, name) for name in clusters),
                *(self.look_at_zone(policy, name) for name in zones),
            )

    async def catch_up(self, policy: Policy, changed: Mapping[str, float], within_s: float) -> None:
        """Look again at clusters that we changed after their last look began: a plan must not rest on what was there before.

        `changed`: monotonic second of our latest change by target. One that does not answer in time keeps what is known.
        """
        behind = [
            name for name, seen in self.inventories.items() if changed.get(name, NEVER) >= seen.taken_mono
        ]
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.refresh(policy, behind, ())

    def note_workloads(self, cluster: ClusterName, states: Sequence[WorkloadState]) -> None:
        """Fold newer workload states (a change's answer, a run's waiting and read-back) into the inventory."""
        seen = self.inventories.get(cluster)
        if seen is None:
            return
        folded, whole = self._folded.get(cluster, (None, seen))
        if folded is not seen:
            whole = seen
        newer = {state.ref: state for state in (*seen.workloads, *states)}
        self.inventories[cluster] = whole.with_newer(tuple(newer.values()))
        self._folded[cluster] = (self.inventories[cluster], whole)


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
