"""The documents of a policy directory, as people write them. Descriptions become the JSON Schema."""

from typing import Annotated, Literal

from pydantic import Field

from failover.policy.fields import (
    CIDR,
    AbsolutePath,
    Address,
    Document,
    Duration,
    HostName,
    IPv4,
    IPv6,
    Line,
    Name,
    Port,
    Quantity,
    ResourceName,
    Words,
)

API_VERSION = "failover/v1alpha1"


class Metadata(Document):
    """Names a document."""

    name: Name


class Probe(Document):
    """A data-plane probe: what a client would do."""

    kind: Literal["https", "http", "tcp"] = "https"
    port: Port = 443
    server_name: HostName | None = Field(None, description="TLS SNI; the endpoint's hostname by default")
    host: HostName | None = Field(None, description="Host header; the server name by default")
    path: Line = Field("/", pattern="^/", max_length=1024)
    statuses: list[Annotated[int, Field(ge=100, le=599)]] = Field(
        [], description="accepted statuses; 200-299 by default"
    )
    body_contains: Line = Field("", max_length=256, description="text that the first 64 KiB must contain")
    ca_file: Line = Field("", description="PEM bundle to verify with; the system's by default")


class HoldDown(Document):
    """How long something that flapped stays ineligible."""

    changes: int = Field(3, ge=2, le=100)
    window: Duration = 600.0
    base: Duration = 300.0
    max: Duration = 21600.0


class ObjectiveDocument(Document):
    """How well a data plane must serve; what misses it is DEGRADED, is told, and nothing is moved for it."""

    errors_percent: float = Field(
        7.0, gt=0, le=100, description="share of probes that may fail or be too slow"
    )
    window: Duration = 60.0
    latency: Duration | None = Field(None, description="slower answers miss the objective")


class TimingDocument(Document):
    """Single timings over the profile's."""

    interval: Duration | None = None
    jitter: float | None = Field(None, ge=0, le=0.5)
    timeout: Duration | None = None
    fall: int | None = Field(None, ge=1, le=20)
    rise: int | None = Field(None, ge=1, le=60)
    confirm: Duration | None = None
    inventory_interval: Duration | None = None
    inventory_max_age: Duration | None = None
    lease: Duration | None = None
    lease_renew: Duration | None = None
    lease_margin: Duration | None = None
    stable: Duration | None = None
    hold_down: HoldDown | None = None
    objective: ObjectiveDocument | None = None


class Probes(Document):
    """Where probes may go."""

    allow_cidrs: list[CIDR] = Field(
        [], description="private or loopback ranges that data-plane probes may go to"
    )


class EndpointDocument(Document):
    """How clients reach a cluster: what DNS publishes."""

    ipv4: list[IPv4] = []
    ipv6: list[IPv6] = []
    hostname: HostName | None = None


class Access(Document):
    """How the controller reaches the API server."""

    kubeconfig: Line = ""
    context: Line = ""
    in_cluster: bool = False
    exec_allowed: list[AbsolutePath] = Field([], description="absolute paths of credential plugins")


PRICE_MAX = 10_000.0
Price = Annotated[float, Field(ge=0, le=PRICE_MAX, strict=False)]
Labels = dict[Annotated[str, Field(min_length=1, max_length=253)], Annotated[str, Field(max_length=63)]]
Amounts = dict[ResourceName, Quantity]


class DomainFacts(Document):
    """What may be said of any domain, and holds for every cluster in it that does not say otherwise."""

    labels: Labels = Field({}, description="what placement rules select clusters by")
    price: dict[ResourceName, Price] = Field(
        {},
        description="of one hour of a core (cpu), a GiB (memory), a pod, or one unit of any other resource",
    )


class ClusterDocument(DomainFacts):
    """One cluster."""

    name: Name
    endpoint: EndpointDocument
    access: Access
    fence: Literal["policy", "best-effort"] | None = Field(
        None, description="how a stale leader is refused; `auto` needs it"
    )
    probe: Probe = Probe()
    heartbeat_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        None,
        alias="heartbeatSHA256",
        description="digest of the token with which the cluster pushes heartbeats out (`failover heartbeat`)",
    )
    assumed_free: Amounts = Field(
        {},
        description="what may be taken for free where the cluster has no node that could tell, because nodes are made on "
        "demand; without it such a cluster takes no replicas",
    )


class Datacenter(DomainFacts):
    """One datacenter of a region."""

    name: Name
    clusters: list[ClusterDocument] = Field(min_length=1)


class Region(DomainFacts):
    """One region of a provider."""

    name: Name
    datacenters: list[Datacenter] = Field(min_length=1)


class Provider(DomainFacts):
    """One provider, or one's own machines."""

    name: Name
    regions: list[Region] = Field(min_length=1)


class ReferenceDocument(Document):
    """An address by which a vantage checks itself."""

    name: Name
    address: Address
    port: Port = 443
    kind: Literal["https", "http", "tcp"] = "tcp"
    region: Name | None = Field(None, description="the fleet's region that it lies in, if it lies in one")


class VantageDocument(Document):
    """A place that probes are sent from. Without `region` it lies outside every region."""

    name: Name
    region: Name | None = None
    controller: bool = False
    token_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(None, alias="tokenSHA256")
    references: list[ReferenceDocument] = []


class FleetSpec(Document):
    """All clusters, and who looks at them."""

    profile: Literal["balanced", "fast"] = "balanced"
    timing: TimingDocument = TimingDocument()
    probes: Probes = Probes()
    headroom: float = Field(
        5.0,
        ge=0,
        le=90,
        strict=False,
        description="percent of a cluster's free room that plans leave alone: fragmentation makes it useless",
    )
    providers: list[Provider] = Field(min_length=1)
    vantages: list[VantageDocument] = Field(min_length=1)


class NameServerDocument(Document):
    """One authoritative address."""

    address: Address
    port: Port = 53


class ZoneSpec(Document):
    """One DNS zone at one provider, and how it is changed. Several zones may have one apex (two providers)."""

    apex: HostName
    provider: Literal["rfc2136", "route53", "clouddns"] = "rfc2136"
    primary: NameServerDocument | None = Field(None, description="rfc2136: the server that takes updates")
    authoritative: list[NameServerDocument] = Field(
        min_length=1, description="every server that is read back"
    )
    tsig_key_file: Line = Field("", description="rfc2136: BIND key file, mode 0600")
    hosted_zone: Line = Field("", max_length=64, description="route53: the hosted zone's id")
    project: Line = Field("", max_length=64, description="clouddns: the project's id")
    managed_zone: Line = Field("", max_length=64, description="clouddns: the managed zone's name")
    credentials_file: Line = Field(
        "", description="route53: shared credentials file; clouddns: service account file; mode 0600"
    )
    profile: Line = Field("", max_length=128, description="route53: the profile in the credentials file")
    credentials_expire: Line = Field("", description="YYYY-MM-DD; told from 14 days before on")
    endpoint: Line = Field(
        "", max_length=256, description="URL of the API, where it is not the provider's own"
    )
    requests_per_second: float = Field(
        0.0, ge=0, le=10_000, description="what the account may send; 0: 10, of which 40 % are for failovers"
    )
    resolvers: list[NameServerDocument] = Field(
        [], description="recursive servers that are looked at once the TTL is over"
    )
    adopt: bool = Field(
        False,
        description="may a change claim names that exist and that we never wrote; else `failover dns adopt` does",
    )
    repair: bool = Field(False, description="is drift put right by the controller, unasked")
    prepare: bool = Field(
        False, description="route53: health-checked records beside the plain ones, flipped without its API"
    )
    timeout: Duration = 3.0
    patience: Duration | None = Field(
        None,
        description="a run goes on without a provider that answers nothing for so long: 10m, or 2m where another "
        "provider has the same apex",
    )


class PlacementDocument(Document):
    """Clusters that may run a workload: one by its name, all of a domain, or all with certain labels.

    The first entry that names a cluster counts for it; `weight`, `min` and `max` are each cluster's own.
    """

    cluster: Name | None = None
    domain: Line | None = Field(None, description="every cluster of it, such as region/eu-west")
    labels: Labels | None = Field(None, description="every cluster that has all of them")
    weight: int = Field(1, ge=0, le=1000)
    min: int = Field(0, ge=0, le=100_000)
    max: int | None = Field(None, ge=0, le=100_000)
    group: int = Field(
        0, ge=0, le=9, description="clusters of a later group take only what those of the earlier ones cannot"
    )


class SpreadDocument(Document):
    """Over how many domains of a kind a workload is spread, and how much of it one of them may hold."""

    over: Literal["provider", "region", "datacenter", "cluster"]
    at_least: int = Field(0, ge=0, le=1000, description="domains that hold a replica")
    at_most: int | None = Field(None, ge=1, le=100, description="percent of what is placed, rounded up")
    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = "ScheduleAnyway"


class WorkloadDocument(Document):
    """One workload, or several alike by `names`."""

    kind: Literal["Deployment", "StatefulSet", "ReplicaSet"] = "Deployment"
    namespace: Name
    name: Name | None = None
    names: list[Name] = []
    writers: Literal["many", "single"] | None = Field(None, description="single by default for StatefulSets")
    requests: Amounts = Field({}, description="of one replica, where the object's pods request nothing")
    placement: list[PlacementDocument] = Field(min_length=1)
    exclude: list[Line] = Field(
        [], description="domains and clusters that never run it, whatever placement says"
    )
    spread: list[SpreadDocument] = []
    strategy: Literal["balance", "most-free", "pack", "cost"] = Field(
        "balance", description="by weight, the emptiest first, the fullest first, or the cheapest first"
    )
    standby: int = Field(
        0, ge=0, le=100_000, description="replicas kept warm in later groups although the first has room"
    )


class WindowDocument(Document):
    """A time in which other weights or groups hold ("follow the sun")."""

    name: Name
    cron: Line = Field(description="when it begins: minute hour day month weekday")
    timezone: Line = "UTC"
    duration: Duration
    weights: dict[Line, Annotated[int, Field(ge=0, le=1000)]] = Field(
        {}, description="domain or cluster to the weight of each of its clusters"
    )
    groups: dict[Line, Annotated[int, Field(ge=0, le=9)]] = Field(
        {}, description="domain or cluster to the group of its clusters"
    )


class DNSDocument(Document):
    """One record set that publishes the application."""

    name: HostName
    zone: Name | None = Field(None, description="the zone that it lies in")
    zones: list[Name] = Field([], description="the same zone at several providers, each of which gets it")
    type: Literal["A", "AAAA", "CNAME"] = "A"
    ttl: Duration = 60.0
    publish: Literal["all", "first"] = "all"
    weights: bool = Field(
        False, description="weighted records: exact shares on the way home, where the provider has them"
    )
    clusters: list[Name] = Field([], description="in order of preference; those of the placements by default")


class ApplicationSpec(Document):
    """One unit of protection."""

    mode: Literal["observe", "recommend", "approve", "auto"] = "recommend"
    floor: int = Field(
        100, ge=0, le=100, description="percent of demand ready elsewhere before traffic moves"
    )
    on_shortage: Literal["partial", "hold", "shed"] | None = None
    traffic: Literal["after-capacity", "first"] = "after-capacity"
    workloads: list[WorkloadDocument] = []
    dns: list[DNSDocument] = []
    probe: Probe | None = None
    failback_steps: list[Annotated[int, Field(ge=1, le=100)]] = [10, 50, 100]
    tier: int = Field(
        5, ge=1, le=9, description="1 is placed first; later tiers may have to give up replicas for it"
    )
    survives: Literal["provider", "region", "datacenter", "cluster"] | None = Field(
        None, description="a promise that `failover survivability` checks: the loss of any one such domain"
    )
    windows: list[WindowDocument] = []


class GuardsSpec(Document):
    """Limits of the safety rules."""

    regions_at_once: int = Field(1, ge=1, le=100)
    per_hour: int = Field(1, ge=1, le=1000)
    per_day: int = Field(2, ge=1, le=1000)
    correlated_limit: int | None = Field(None, ge=1, le=1000)
    changes_per_second: float | None = Field(
        None, ge=0.01, le=10_000, description="to one cluster; 0.5 is one change every two seconds"
    )
    share_per_step: float = Field(
        1.0, ge=0.01, le=1, description="of a workload's replicas, how many one change may move at most"
    )
    parallel_per_cluster: int = Field(8, ge=1, le=256)
    rebalance_moves: int = Field(
        50, ge=1, le=100_000, description="replicas that one rebalancing, or a time window, may move at most"
    )


class ScheduleSpec(Document):
    """One calendar entry."""

    cron: Line = Field(description="five fields: minute hour day month weekday")
    timezone: Line = "UTC"
    jitter: Duration = 0.0
    job: Literal["deep-probe", "validate", "report", "drain", "failback", "rebalance", "survivability"]
    domain: Line = ""
    reason: Words = ""
    suspended: bool = False


class _Kinded(Document):
    api_version: Literal["failover/v1alpha1"]
    metadata: Metadata


class FleetDocument(_Kinded):
    """All clusters that one installation looks after."""

    kind: Literal["Fleet"]
    spec: FleetSpec


class DNSZoneDocument(_Kinded):
    """A DNS zone."""

    kind: Literal["DNSZone"]
    spec: ZoneSpec


class ApplicationDocument(_Kinded):
    """An application."""

    kind: Literal["Application"]
    spec: ApplicationSpec


class GuardsDocument(_Kinded):
    """The guards."""

    kind: Literal["Guards"]
    spec: GuardsSpec


class ScheduleDocument(_Kinded):
    """A schedule."""

    kind: Literal["Schedule"]
    spec: ScheduleSpec


KINDS: dict[str, type[_Kinded]] = {
    "Fleet": FleetDocument,
    "DNSZone": DNSZoneDocument,
    "Application": ApplicationDocument,
    "Guards": GuardsDocument,
    "Schedule": ScheduleDocument,
}
