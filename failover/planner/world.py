"""The snapshot as the planner reads it: indexed once, so that a big fleet costs no more than its size."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import ip_address

from failover.model.ids import ApplicationName, ClusterName, ZoneName
from failover.model.inventory import ClusterInventory, Demand, WorkloadState
from failover.model.plan import PlanRequest, RunKind
from failover.model.policy import Application, ClusterEntry, Policy, WorkloadRef
from failover.model.records import RecordSet, RecordType, ZoneState
from failover.model.snapshot import Displacement, Snapshot
from failover.model.verdict import SignalState, Verdict, VerdictKind


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One planning's sight of everything. Built by `see`; never changed."""

    snapshot: Snapshot
    policy: Policy
    request: PlanRequest
    sources: frozenset[ClusterName]
    entries: dict[ClusterName, ClusterEntry]
    inventories: dict[ClusterName, ClusterInventory]
    states: dict[tuple[ClusterName, WorkloadRef], WorkloadState]
    verdicts: dict[ClusterName, Verdict]
    application_verdicts: dict[tuple[ClusterName, ApplicationName], Verdict]
    zones: dict[ZoneName, ZoneState]
    record_sets: dict[tuple[ZoneName, str, str], RecordSet]
    demands: dict[tuple[ApplicationName, WorkloadRef], Demand]
    owners: dict[tuple[RecordType, str], tuple[ClusterName, ...]]
    published: dict[tuple[RecordType, ClusterName], tuple[str, ...]]

    def kind(self, cluster: ClusterName) -> VerdictKind:
        """The cluster's verdict, or the assumed one; one that nobody judged is UNKNOWN."""
        if cluster in self.request.assume_down:
            return VerdictKind.DOWN
        verdict = self.verdicts.get(cluster)
        return VerdictKind.UNKNOWN if verdict is None else verdict.kind

    def control_is_up(self, cluster: ClusterName) -> bool:
        """A quorum says that the API server answers: only then a source gets a step."""
        if cluster in self.request.assume_down:
            return False
        verdict = self.verdicts.get(cluster)
        return verdict is not None and verdict.control.state is SignalState.UP

    @property
    def may_shed(self) -> bool:
        """Only what is unplanned takes room from others; everything else waits for it."""
        return self.request.run_kind in (RunKind.EVACUATION, RunKind.STEERING)

    def inventory_age_s(self, cluster: ClusterName) -> float | None:
        """Seconds since the last complete look at it began, or None where it was never seen."""
        inventory = self.inventories.get(cluster)
        return None if inventory is None else self.snapshot.now.mono - inventory.taken_mono

    def fresh(self, cluster: ClusterName) -> bool:
        """Its inventory may be credited (I9)."""
        age = self.inventory_age_s(cluster)
        return age is not None and age <= self.policy.fleet.timing.inventory_max_age_s

    def carries(self, cluster: ClusterName) -> bool:
        """What it runs counts as kept: neither a source nor a cluster that is known not to serve."""
        return cluster not in self.sources and not self.kind(cluster).no_longer_serves

    def credited(self, cluster: ClusterName) -> bool:
        """Its ready replicas count towards the floor: it serves, and it was seen lately."""
        return cluster not in self.sources and self.kind(cluster).serves and self.fresh(cluster)

    def state(self, cluster: ClusterName, workload: WorkloadRef) -> WorkloadState | None:
        """The workload's last known state there; None where the object is absent or the cluster was never seen."""
        state = self.states.get((cluster, workload))
        return state if state is not None and state.exists else None

    def looked_for(self, cluster: ClusterName, workload: WorkloadRef) -> bool:
        """Somebody looked there whether it exists; of a workload that the policy has only now put there nothing is known."""
        return (cluster, workload) in self.states

    def application_broken(self, application: Application, cluster: ClusterName) -> bool:
        """Its own clients do not reach it there although it runs there. Where it does not run that is expected."""
        verdict = self.application_verdicts.get((cluster, application.name))
        if verdict is None or not verdict.kind.no_longer_serves:
            return False
        states = [self.state(cluster, workload.ref) for workload in application.workloads]
        present = [state for state in states if state is not None]
        return not present or all(state.ready > 0 for state in present)

    def application_serves(self, application: ApplicationName, cluster: ClusterName) -> bool:
        """A quorum of clients reaches this application there."""
        verdict = self.application_verdicts.get((cluster, application))
        return verdict is not None and verdict.kind.serves

    def displacements(self) -> tuple[Displacement, ...]:
        """What finished runs took from any of the sources, oldest first."""
        concerned = [item for item in self.snapshot.displacements if self.sources & set(item.plan.sources)]
        return tuple(sorted(concerned, key=lambda item: (item.finished_at, item.run)))


def see(snapshot: Snapshot, policy: Policy, request: PlanRequest) -> World:
    """Index everything that a plan asks for. The time windows that hold are in force."""
    policy = in_windows(policy, dict(snapshot.windows))
    inventories = {inventory.cluster: inventory for inventory in snapshot.inventories}
    verdicts: dict[ClusterName, Verdict] = {}
    application_verdicts: dict[tuple[ClusterName, ApplicationName], Verdict] = {}
    for verdict in snapshot.judgement.verdicts:
        subject = verdict.subject
        if subject.application is None:
            verdicts[subject.cluster] = verdict
        else:
            application_verdicts[(subject.cluster, subject.application)] = verdict
    published = published_values(policy.fleet.clusters)
    owners: dict[tuple[RecordType, str], tuple[ClusterName, ...]] = {}
    for (record_type, cluster), values in published.items():
        for value in values:
            owners[(record_type, value)] = (*owners.get((record_type, value), ()), cluster)
    return World(
        snapshot=snapshot,
        policy=policy,
        request=request,
        sources=frozenset(request.sources),
        entries={entry.name: entry for entry in policy.fleet.clusters},
        inventories=inventories,
        states={
            (name, state.ref): state
            for name, inventory in inventories.items()
            for state in inventory.workloads
        },
        verdicts=verdicts,
        application_verdicts=application_verdicts,
        zones={zone.zone: zone for zone in snapshot.zones},
        record_sets={
            (zone.zone, absolute(item.name), item.record_type.value): item
            for zone in snapshot.zones
            for item in zone.record_sets
        },
        demands={(demand.application, demand.workload): demand for demand in snapshot.demands},
        owners=owners,
        published=published,
    )


def in_windows(policy: Policy, windows: Mapping[ApplicationName, str]) -> Policy:
    """The policy with the weights and groups of the windows that hold, by application."""
    if not windows:
        return policy
    applications = tuple(
        in_window(application, windows[application.name]) if application.name in windows else application
        for application in policy.applications
    )
    return replace(policy, applications=applications)


def in_window(application: Application, name: str) -> Application:
    """The application while one of its windows holds."""
    window = next((one for one in application.windows if one.name == name), None)
    if window is None:
        return application
    weights, groups = dict(window.weights), dict(window.groups)
    workloads = tuple(
        replace(
            workload,
            placement=tuple(
                replace(
                    rule,
                    weight=weights.get(rule.cluster, rule.weight),
                    group=groups.get(rule.cluster, rule.group),
                )
                for rule in workload.placement
            ),
        )
        for workload in application.workloads
    )
    return replace(application, workloads=workloads)


def published_values(
    entries: Iterable[ClusterEntry],
) -> dict[tuple[RecordType, ClusterName], tuple[str, ...]]:
    """What DNS says of each cluster, by record type, in canonical text."""
    values: dict[tuple[RecordType, ClusterName], tuple[str, ...]] = {}
    for entry in entries:
        hostname = (entry.hostname,) if entry.hostname else ()
        for record_type, raw in (
            (RecordType.A, entry.ipv4),
            (RecordType.AAAA, entry.ipv6),
            (RecordType.CNAME, hostname),
        ):
            values[(record_type, entry.name)] = tuple(canonical(record_type, value) for value in raw)
    return values


@lru_cache(maxsize=4096)
def canonical(record_type: RecordType, value: str) -> str:
    """One text per value, so that spellings of an address or of a name compare equal."""
    if record_type is RecordType.CNAME:
        return absolute(value)
    try:
        return str(ip_address(value))
    except ValueError:
        return value


def absolute(name: str) -> str:
    """A domain name in lower case with its final dot."""
    return name.lower().rstrip(".") + "."
