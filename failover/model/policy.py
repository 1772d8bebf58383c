"""What the policy files say, as compiled values: the core's only view of them. Durations are seconds (`_s`)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from failover.model.codec import later
from failover.model.ids import (
    ApplicationName,
    ClusterName,
    DatacenterName,
    Domain,
    DomainKind,
    ProviderName,
    RegionName,
    ScheduleName,
    VantageName,
    ZoneName,
)
from failover.model.observation import ProbeKind, Reference
from failover.model.records import RecordType
from failover.model.resources import Resources

TIER_DEFAULT = 5


class Profile(StrEnum):
    """Named sets of timings (DESIGN section 7)."""

    BALANCED = "balanced"
    FAST = "fast"


class Mode(StrEnum):
    """What automation may do for an application: observe < recommend < approve < auto."""

    OBSERVE = "observe"
    RECOMMEND = "recommend"
    APPROVE = "approve"
    AUTO = "auto"

    @property
    def rank(self) -> int:
        return list(Mode).index(self)


class OnShortage(StrEnum):
    """What to do when the rest cannot carry the demand: move what fits, move nothing, or let applications of a lower tier
    give up replicas.
    """

    PARTIAL = "partial"
    HOLD = "hold"
    SHED = "shed"


class Strategy(StrEnum):
    """Which of the clusters that a workload may use get more: by weight, the emptiest, the fullest, or the cheapest."""

    BALANCE = "balance"
    MOST_FREE = "most-free"
    PACK = "pack"
    COST = "cost"


class WhenUnsatisfiable(StrEnum):
    """Whether a spread that cannot be had is given up, or replicas rather stay without a place (Kubernetes' words)."""

    SCHEDULE_ANYWAY = "ScheduleAnyway"
    DO_NOT_SCHEDULE = "DoNotSchedule"


class FenceMode(StrEnum):
    """How a cluster refuses a stale leader: the admission policy, or resourceVersion and lease margin alone."""

    POLICY = "policy"
    BEST_EFFORT = "best-effort"


class Writers(StrEnum):
    """`single` is never moved by automation without a named fence gate."""

    SINGLE = "single"
    MANY = "many"


class TrafficOrder(StrEnum):
    """Whether DNS follows the survivors' capacity (I9) or goes first by the policy's choice."""

    AFTER_CAPACITY = "after-capacity"
    FIRST = "first"


class Publish(StrEnum):
    """Which clusters a record set publishes: every serving one, or the first healthy in the listed order."""

    ALL = "all"
    FIRST = "first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """How well a data plane must serve: at most `errors_percent` of the probes of the last `window_s` seconds may fail or take
    longer than `latency_ms` (None: however long). What misses it is DEGRADED, and nothing is moved for that alone.
    """

    errors_percent: float = 7.0
    window_s: float = 60.0
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When things count. Every default is DESIGN section 7's `balanced` column; relations are checked by the loader."""

    profile: Profile = Profile.BALANCED
    interval_s: float = 5.0
    jitter: float = 0.1
    timeout_s: float = 3.0
    fall: int = 3
    rise: int = 6
    confirm_s: float = 30.0
    confirm_without_dissent_s: float = 30.0
    inventory_interval_s: float = 10.0
    inventory_max_age_s: float = 30.0
    lease_s: float = 15.0
    lease_renew_s: float = 5.0
    lease_margin_s: float = 5.0
    hold_down_changes: int = 3
    hold_down_window_s: float = 600.0
    hold_down_base_s: float = 300.0
    hold_down_max_s: float = 21600.0
    stable_s: float = 1800.0
    objective: Objective = field(default_factory=Objective)

    @property
    def evidence_max_age_s(self) -> float:
        """Evidence and votes are fresh for two intervals and the timeout (I2)."""
        return 2 * self.interval_s + self.timeout_s


@dataclass(frozen=True, slots=True, kw_only=True)
class DataProbe:
    """How clients reach something: one data-plane probe. `addresses` come from the cluster's endpoint."""

    probe: ProbeKind = ProbeKind.HTTPS
    port: int = 443
    server_name: str = ""
    host: str = ""
    path: str = "/"
    statuses: tuple[int, ...] = ()
    body_contains: str = ""
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAccess:
    """How the controller reaches the API server: a kubeconfig context, or the cluster that it runs in."""

    kubeconfig: str = ""
    context: str = ""
    in_cluster: bool = False
    exec_allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterEntry:
    """One cluster of the fleet and its place in the failure-domain tree.

    `ipv4`, `ipv6`: endpoint addresses that DNS publishes; `hostname`: what a CNAME to it names. `heartbeat_sha256`: hex
    digest of the token with which it pushes heartbeats out (H), "" where it pushes none. `labels`: its own over those of
    the domains that it lies in. `price`: by resource, an hour of one core, of one GiB of memory, of one pod, of one unit.
    `assumed_free`: what may be taken for free where it has no node that could tell (nodes that are made on demand); None:
    such a cluster is no target.
    """

    name: ClusterName
    provider: ProviderName
    region: RegionName
    datacenter: DatacenterName
    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    hostname: str = ""
    access: ClusterAccess = field(default_factory=ClusterAccess)
    fence: FenceMode = FenceMode.POLICY
    data_probe: DataProbe = field(default_factory=DataProbe)
    heartbeat_sha256: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    price: tuple[tuple[str, float], ...] = ()
    assumed_free: Resources | None = None

    def domains(self) -> tuple[Domain, ...]:
        """This cluster and its ancestors, widest first."""
        return (
            Domain(kind=DomainKind.PROVIDER, name=self.provider),
            Domain(kind=DomainKind.REGION, name=self.region),
            Domain(kind=DomainKind.DATACENTER, name=self.datacenter),
            Domain(kind=DomainKind.CLUSTER, name=self.name),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VantageEntry:
    """A place that probes are sent from. `region` "" lies outside every region. `controller`: this is the controller itself.

    `token_sha256`: hex digest of its bearer token; empty for the controller's own.
    """

    name: VantageName
    region: str = ""
    controller: bool = False
    token_sha256: str = ""
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All clusters that one installation looks after, and who looks.

    `headroom_percent`: of what is free in a cluster, how much a plan leaves alone, for what fragmentation makes useless.
    """

    name: str
    clusters: tuple[ClusterEntry, ...]
    vantages: tuple[VantageEntry, ...]
    timing: Timing = field(default_factory=Timing)
    probe_allow_cidrs: tuple[str, ...] = ()
    headroom_percent: float = 5.0

    def cluster(self, name: ClusterName) -> ClusterEntry:
        """The entry of a cluster. Raises KeyError."""
        for entry in self.clusters:
            if entry.name == name:
                return entry
        raise KeyError(name)

    def regions(self) -> tuple[RegionName, ...]:
        return tuple(dict.fromkeys(entry.region for entry in self.clusters))

    def domains(self) -> Iterator[Domain]:
        """Every node of the tree once, widest first."""
        seen: dict[Domain, None] = {}
        for level in range(4):
            for entry in self.clusters:
                seen.setdefault(entry.domains()[level])
        yield from seen

    def clusters_in(self, domain: Domain) -> tuple[ClusterEntry, ...]:
        return tuple(entry for entry in self.clusters if domain in entry.domains())

    def find_domains(self, text: str) -> tuple[Domain, ...]:
        """Every domain that `eu-west` or `region/eu-west` may mean; a caller refuses none and several."""
        return tuple(domain for domain in self.domains() if text in (domain.name, str(domain)))

    def outside_vantages(self, region: RegionName) -> tuple[VantageEntry, ...]:
        """Vantages that do not sit in the region: those whose D votes count."""
        return tuple(vantage for vantage in self.vantages if vantage.region != region)

    @property
    def quorum(self) -> int:
        """A strict majority of the configured vantages (I3)."""
        return len(self.vantages) // 2 + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NameServer:
    """One authoritative address. Updates go to the zone's `primary`; every one is read back."""

    address: str
    port: int = 53


ZONE_PATIENCE_S, ZONE_PATIENCE_BESIDE_S = 600.0, 120.0
"""The second where another provider holds the zone as well: it serves meanwhile, and a repair catches this one up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """One DNS zone at one provider, and how it is changed. Several may have one apex: each is fenced by itself.

    `authoritative`: every address that is read back (I15). `adopt`: may a change claim names that we never wrote.
    `resolvers`: recursive servers that are looked at once the TTL is over. `repair`: is drift put right unasked.
    RFC 2136: `primary`, and `tsig_key_file`, a BIND key file of mode 0600.
    Route 53, Cloud DNS: `hosted_zone` (the id; the managed zone's name), `project`, `credentials_file` and `profile`
    (without them the SDK's own chain), `endpoint` (a URL other than the provider's own).
    `requests_per_s`: what the account may send, of which a part is kept for failovers; 0: the provider's own default.
    `prepare`: health-checked records beside the plain path (Route 53). `credentials_expire`: ISO date, "" for never.
    `patience_s`: how long a run waits for a provider that answers nothing, before it goes on without it.
    """

    name: ZoneName
    apex: str
    provider: str = "rfc2136"
    primary: NameServer | None = None
    authoritative: tuple[NameServer, ...]
    tsig_key_file: str = ""
    adopt: bool = True
    timeout_s: float = 3.0
    hosted_zone: str = later("")
    project: str = later("")
    credentials_file: str = later("")
    profile: str = later("")
    endpoint: str = later("")
    requests_per_s: float = later(0.0)
    resolvers: tuple[NameServer, ...] = later(())
    repair: bool = later(False)
    prepare: bool = later(False)
    credentials_expire: str = later("")
    patience_s: float = later(ZONE_PATIENCE_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadRef:
    """One scalable object in a cluster. `object_kind`: Deployment, StatefulSet or ReplicaSet."""

    object_kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.object_kind.lower()}/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRule:
    """One cluster that may run an application's workloads. `max_replicas` None: unbounded.

    `group`: clusters of a later group take only what those of the earlier ones cannot.
    """

    cluster: ClusterName
    weight: int = 1
    min_replicas: int = 0
    max_replicas: int | None = None
    group: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Over how many domains of a kind a workload is spread, and how much of it one may hold.

    `at_least`: domains (0: no matter). `at_most_percent`: of what is placed, rounded up to whole replicas; None: no limit.
    """

    over: DomainKind
    at_least: int = 0
    at_most_percent: int | None = None
    when: WhenUnsatisfiable = WhenUnsatisfiable.SCHEDULE_ANYWAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A workload of an application with its own placement (each entry: one cluster).

    `fence_gate`: name of the gate that makes an automatic move of a single writer safe, "" if there is none.
    `requests`: of one replica, where the object itself names none. `standby`: replicas kept warm in a cluster that would
    hold none.
    """

    ref: WorkloadRef
    placement: tuple[PlacementRule, ...]
    writers: Writers = Writers.MANY
    fence_gate: str = ""
    requests: Resources | None = None
    spread: tuple[Spread, ...] = ()
    strategy: Strategy = Strategy.BALANCE
    standby: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DNSName:
    """One record set that publishes an application, at one provider. `clusters`: in order of preference for `first`.

    `ttl`: seconds. `weighted`: every value carries a weight, so that a ramp gives exact shares.
    """

    name: str
    zone: ZoneName
    record_type: RecordType
    ttl: int
    publish: Publish = Publish.ALL
    clusters: tuple[ClusterName, ...]
    weighted: bool = later(False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time of day in which other weights or groups hold: from each time that `cron` comes due, for `duration_s` seconds."""

    name: str
    cron: str
    timezone: str
    duration_s: float
    weights: tuple[tuple[ClusterName, int], ...] = ()
    groups: tuple[tuple[ClusterName, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The unit of protection. `floor`: percent of demand that must be ready elsewhere before traffic moves (I9).

    `tier`: 1 comes first; applications of a later tier may have to give up replicas for it (`onShortage: shed`).
    `survives`: the kind of domain whose loss it must survive with all of its demand; None: nothing is promised.
    """

    name: ApplicationName
    mode: Mode = Mode.RECOMMEND
    workloads: tuple[Workload, ...] = ()
    dns: tuple[DNSName, ...] = ()
    floor: int = 100
    on_shortage: OnShortage
    traffic: TrafficOrder = TrafficOrder.AFTER_CAPACITY
    data_probe: DataProbe | None = None
    failback_steps: tuple[int, ...] = (10, 50, 100)
    tier: int = TIER_DEFAULT
    survives: DomainKind | None = None
    windows: tuple[Window, ...] = ()

    @property
    def clusters(self) -> tuple[ClusterName, ...]:
        """Every cluster that it may run or be published in, sorted."""
        placed = {rule.cluster for workload in self.workloads for rule in workload.placement}
        return tuple(sorted(placed | {cluster for name in self.dns for cluster in name.clusters}))


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """Limits of the safety rules (I6, I8, I12). `correlated_limit` None: 1 of up to 5 regions, else 34 %.

    `rebalance_moves`: replicas that one rebalancing may move at most.
    """

    regions_at_once: int = 1
    per_hour: int = 1
    per_day: int = 2
    correlated_limit: int | None = None
    changes_per_second: float = 20.0
    share_per_step: float = 1.0
    parallel_per_cluster: int = 8
    rebalance_moves: int = 50


class JobKind(StrEnum):
    """What a schedule does."""

    DEEP_PROBE = "deep-probe"
    VALIDATE = "validate"
    REPORT = "report"
    DRAIN = "drain"
    FAILBACK = "failback"
    REBALANCE = "rebalance"
    SURVIVABILITY = "survivability"


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One calendar entry: five-field cron expression in a time zone, with jitter in seconds."""

    name: ScheduleName
    cron: str
    timezone: str = "UTC"
    jitter_s: float = 0.0
    job: JobKind
    domain: str = ""
    reason: str = ""
    suspended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Everything that the policy files say. `generation`: 16 hex digits over the compiled content."""

    generation: str
    fleet: Fleet
    zones: tuple[Zone, ...] = ()
    applications: tuple[Application, ...] = ()
    guards: GuardSettings = field(default_factory=GuardSettings)
    schedules: tuple[Schedule, ...] = ()

    def application(self, name: ApplicationName) -> Application:
        """Raises KeyError."""
        for application in self.applications:
            if application.name == name:
                return application
        raise KeyError(name)

    def zone(self, name: ZoneName) -> Zone:
        """Raises KeyError."""
        for zone in self.zones:
            if zone.name == name:
                return zone
        raise KeyError(name)

    @property
    def correlated_limit(self) -> int:
        """How many regions may look wrong at once before automation freezes (I6)."""
        if self.guards.correlated_limit is not None:
            return self.guards.correlated_limit
        regions = len(self.fleet.regions())
        return 1 if regions <= 5 else int(regions * 0.34)
