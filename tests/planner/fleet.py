"""A small fleet to plan with: three regions, one cluster each unless more are asked for; everything HEALTHY."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from failover.model.ids import (
    ApplicationName,
    ClusterName,
    DatacenterName,
    Domain,
    DomainKind,
    ProviderName,
    RegionName,
    RunId,
    Subject,
    ZoneName,
)
from failover.model.inventory import Autoscaler, ClusterInventory, Demand, NodeState, Resources, WorkloadState
from failover.model.observation import Signal
from failover.model.plan import Plan, PlanRequest, RunKind
from failover.model.policy import (
    Application,
    ClusterEntry,
    DNSName,
    Fleet,
    GuardSettings,
    NameServer,
    OnShortage,
    PlacementRule,
    Policy,
    Publish,
    Workload,
    WorkloadRef,
    Writers,
    Zone,
)
from failover.model.records import RecordSet, RecordType, ZoneState
from failover.model.snapshot import Cordon, Displacement, Reservation, Snapshot
from failover.model.time import Now
from failover.model.verdict import Judgement, SignalState, SignalView, Verdict, VerdictKind
from failover.planner import plan

WALL = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NOW = Now(mono=1000.0, wall=WALL)
ZONE = ZoneName("example-test")
EAST, NORTH, WEST = ClusterName("east"), ClusterName("north"), ClusterName("west")
THREE = (EAST, NORTH, WEST)
REQUESTS = Resources(cpu_m=100, memory=100)

_STATES = {
    VerdictKind.HEALTHY: (SignalState.UP, SignalState.UP),
    VerdictKind.DEGRADED: (SignalState.UP, SignalState.UP),
    VerdictKind.CONTROL_PLANE_DOWN: (SignalState.UP, SignalState.DOWN),
    VerdictKind.CONTROL_PLANE_UNKNOWN: (SignalState.UP, SignalState.UNKNOWN),
    VerdictKind.DATA_PLANE_DOWN: (SignalState.DOWN, SignalState.UP),
    VerdictKind.DOWN: (SignalState.DOWN, SignalState.DOWN),
    VerdictKind.ISOLATED: (SignalState.DOWN, SignalState.DOWN),
    VerdictKind.PATH_PROBLEM: (SignalState.SPLIT, SignalState.UP),
    VerdictKind.UNKNOWN: (SignalState.UNKNOWN, SignalState.UNKNOWN),
}


def ref(name: str = "web", kind: str = "Deployment") -> WorkloadRef:
    return WorkloadRef(object_kind=kind, namespace="shop", name=name)


def address(cluster: str, number: int = 0) -> str:
    """The endpoint addresses of a cluster: 198.51.100.0/24, ten apart by its place in the alphabet of this file."""
    return f"198.51.100.{10 * (1 + sorted([*THREE, 'south', 'center']).index(ClusterName(cluster))) + number}"


def entry(name: str, *, region: str = "", addresses: int = 1) -> ClusterEntry:
    region = region or name
    return ClusterEntry(
        name=ClusterName(name),
        provider=ProviderName("aws"),
        region=RegionName(region),
        datacenter=DatacenterName(f"{region}-dc"),
        ipv4=tuple(address(name, number) for number in range(addresses)),
        ipv6=(f"2001:db8::{sorted(THREE).index(ClusterName(name)) + 1:x}",) if name in THREE else (),
        hostname=f"{name}.example.net",
    )


def verdict(
    cluster: str, kind: VerdictKind = VerdictKind.HEALTHY, application: str = "", **more: Any
) -> Verdict:
    data, control = _STATES[kind]
    return Verdict(
        subject=Subject(
            cluster=ClusterName(cluster), application=ApplicationName(application) if application else None
        ),
        kind=kind,
        since=WALL - timedelta(hours=2),
        sentence="",
        data=SignalView(signal=Signal.DATA_PLANE, state=data, quorum=3, configured=5),
        control=SignalView(signal=Signal.CONTROL_PLANE, state=control, quorum=3, configured=5),
        **more,
    )


def state(workload: WorkloadRef, wanted: int, ready: int | None = None, **more: Any) -> WorkloadState:
    return WorkloadState(
        ref=workload,
        exists=more.pop("exists", True),
        wanted=wanted,
        ready=wanted if ready is None else ready,
        requests=more.pop("requests", REQUESTS),
        **more,
    )


def inventory(cluster: str, *states: WorkloadState, room: int = 100, age_s: float = 5.0) -> ClusterInventory:
    """`room`: more replicas of REQUESTS that fit, on two nodes that are large enough for all that runs besides."""
    halves = (room // 2, room - room // 2)
    runs = sum(item.wanted for item in states)
    return ClusterInventory(
        cluster=ClusterName(cluster),
        uid=f"uid-{cluster}",
        taken_mono=NOW.mono - age_s,
        nodes=tuple(
            NodeState(name=f"n{i}", free=_pieces(half), whole=_pieces(half + runs))
            for i, half in enumerate(halves)
        ),
        workloads=states,
    )


def _pieces(number: int) -> Resources:
    return Resources(cpu_m=100 * number, memory=100 * number, pods=number)


def placed(
    *clusters: str, weight: int = 1, low: int = 0, high: int | None = None
) -> tuple[PlacementRule, ...]:
    return tuple(
        PlacementRule(cluster=ClusterName(name), weight=weight, min_replicas=low, max_replicas=high)
        for name in clusters
    )


def workload(
    name: str = "web",
    clusters: tuple[PlacementRule, ...] | None = None,
    single: bool = False,
    gate: str = "",
    **more: Any,
) -> Workload:
    return Workload(
        **more,
        ref=ref(name, "StatefulSet" if single else "Deployment"),
        placement=placed(*THREE) if clusters is None else clusters,
        writers=Writers.SINGLE if single else Writers.MANY,
        fence_gate=gate,
    )


def dns(
    name: str = "shop.example.test",
    record_type: RecordType = RecordType.A,
    publish: Publish = Publish.ALL,
    clusters: tuple[str, ...] = THREE,
    ttl: int = 60,
) -> DNSName:
    return DNSName(
        name=name,
        zone=ZONE,
        record_type=record_type,
        ttl=ttl,
        publish=publish,
        clusters=tuple(ClusterName(cluster) for cluster in clusters),
    )


def application(name: str = "shop", **more: Any) -> Application:
    return Application(
        name=ApplicationName(name),
        workloads=more.pop("workloads", (workload(),)),
        dns=more.pop("dns", (dns(),)),
        on_shortage=more.pop("on_shortage", OnShortage.HOLD),
        **more,
    )


def records(
    *values: str, name: str = "shop.example.test.", record_type: RecordType = RecordType.A, ttl: int = 60
) -> RecordSet:
    return RecordSet(name=name, record_type=record_type, ttl=ttl, values=tuple(sorted(values)))


def domain(name: str) -> Domain:
    return Domain(kind=DomainKind.REGION, name=name)


@dataclass(kw_only=True)
class World:
    """What a story changes before it asks for a plan."""

    applications: list[Application] = field(default_factory=lambda: [application()])
    entries: list[ClusterEntry] = field(default_factory=lambda: [entry(name) for name in THREE])
    inventories: dict[str, ClusterInventory] = field(
        default_factory=lambda: {name: inventory(name, state(ref(), 6)) for name in THREE}
    )
    verdicts: dict[str, Verdict] = field(default_factory=lambda: {name: verdict(name) for name in THREE})
    application_verdicts: list[Verdict] = field(default_factory=list)
    record_sets: list[RecordSet] = field(
        default_factory=lambda: [records(*(address(name) for name in THREE))]
    )
    demands: list[Demand] = field(default_factory=list)
    cordons: list[Cordon] = field(default_factory=list)
    displacements: list[Displacement] = field(default_factory=list)
    busy: list[tuple[ApplicationName, RunId]] = field(default_factory=list)
    reserved: list[Reservation] = field(default_factory=list)
    windows: dict[str, str] = field(default_factory=dict)
    headroom: float = 0.0
    guards: GuardSettings = field(default_factory=GuardSettings)
    zone_read: bool = True
    away: set[tuple[ClusterName, ApplicationName]] = field(default_factory=set)

    def judge(self, cluster: str, kind: VerdictKind, **more: Any) -> "World":
        self.verdicts[cluster] = verdict(cluster, kind, **more)
        return self

    def hold(self, cluster: str, *states: WorkloadState, room: int = 100, age_s: float = 5.0) -> "World":
        self.inventories[cluster] = inventory(cluster, *states, room=room, age_s=age_s)
        return self

    def cordon(self, target: str) -> "World":
        self.cordons.append(Cordon(target=target, by="ada", reason="upgrade", at=WALL))
        return self

    @property
    def policy(self) -> Policy:
        server = NameServer(address="192.0.2.53")
        return Policy(
            generation="0123456789abcdef",
            fleet=Fleet(
                name="test", clusters=tuple(self.entries), vantages=(), headroom_percent=self.headroom
            ),
            zones=(Zone(name=ZONE, apex="example.test.", primary=server, authoritative=(server,)),),
            applications=tuple(self.applications),
            guards=self.guards,
        )

    @property
    def snapshot(self) -> Snapshot:
        return Snapshot(
            now=NOW,
            policy_generation="0123456789abcdef",
            judgement=Judgement(verdicts=(*self.verdicts.values(), *self.application_verdicts)),
            inventories=tuple(self.inventories.values()),
            zones=(ZoneState(zone=ZONE, record_sets=tuple(self.record_sets)),) if self.zone_read else (),
            demands=tuple(self.demands),
            cordons=tuple(self.cordons),
            displacements=tuple(self.displacements),
            away=frozenset(self.away)
            | frozenset(
                (source, part.application)
                for item in self.displacements
                for source in item.plan.sources
                for part in item.plan.applications
            ),
            busy=tuple(self.busy),
            reserved=tuple(self.reserved),
            windows=tuple((ApplicationName(name), window) for name, window in self.windows.items()),
        )

    def plan(self, run_kind: RunKind, *sources: str, by_person: bool = False, **more: Any) -> Plan:
        return plan(
            self.snapshot,
            self.policy,
            PlanRequest(
                run_kind=run_kind,
                domain=more.pop("domain", domain(sources[0] if sources else "west")),
                sources=tuple(ClusterName(source) for source in sources),
                by_person=by_person,
                **more,
            ),
        )

    def lose(self, *clusters: str, **more: Any) -> Plan:
        """The clusters are DOWN and are evacuated."""
        for cluster in clusters:
            self.judge(cluster, VerdictKind.DOWN)
        return self.plan(RunKind.EVACUATION, *clusters, **more)

    def finished(self, done: Plan, *, run: str = "run-1", hours_ago: float = 1.0) -> "World":
        """The plan was carried out: the world is as its steps leave it, and the displacement is remembered."""
        for step in done.steps:
            if step.kind == "scale":
                self._scaled(step)
            elif step.kind == "change-records":
                changed = {change.after.key: change.after for change in step.changes}
                kept = [item for item in self.record_sets if item.key not in changed]
                self.record_sets = [*kept, *changed.values()]
        self.displacements.append(
            Displacement(
                run=RunId(run), domain=done.domain, plan=done, finished_at=WALL - timedelta(hours=hours_ago)
            )
        )
        return self

    def _scaled(self, step: Any) -> None:
        old = self.inventories[step.cluster]
        states = []
        for item in old.workloads:
            if item.ref == step.workload and step.field == "replicas":
                item = replace(item, wanted=step.after, ready=step.after)
            elif item.ref == step.workload:
                autoscaler = Autoscaler(
                    name=step.autoscaler,
                    min_replicas=step.after,
                    max_replicas=step.autoscaler_max
                    or (item.autoscaler.max_replicas if item.autoscaler else 0),
                    resource_version="2",
                )
                wanted = max(item.wanted, step.after) if item.wanted else 0
                item = replace(item, autoscaler=autoscaler, wanted=wanted, ready=wanted)
            states.append(item)
        self.inventories[step.cluster] = replace(old, workloads=tuple(states))


def totals(made: Plan, name: str = "web") -> dict[str, tuple[int, int]]:
    """(before, after) by cluster of one workload."""
    return {
        row.cluster: (row.before, row.after)
        for part in made.applications
        for row in part.placements
        if row.workload.name == name
    }


def kinds(made: Plan) -> list[str]:
    return [step.kind for step in made.steps]


def left_out(made: Plan, application: str = "shop") -> str:
    """The code with which an application was left out, or ''."""
    part = next(part for part in made.applications if part.application == application)
    return part.left_out.code if part.left_out else ""
