"""The simulated fleets: two applications and one zone on the clusters of three regions of two providers, seen by vantages.

Of three seeds one plays five clusters and five vantages; the others are smaller, as many a fleet is.
"""

from dataclasses import dataclass, replace
from random import Random

from failover.model.ids import (
    ApplicationName,
    ClusterName,
    DatacenterName,
    ProviderName,
    RegionName,
    VantageName,
    ZoneName,
)
from failover.model.policy import (
    Application,
    ClusterEntry,
    DataProbe,
    DNSName,
    FenceMode,
    Fleet,
    GuardSettings,
    Mode,
    NameServer,
    OnShortage,
    PlacementRule,
    Policy,
    Profile,
    Timing,
    VantageEntry,
    Workload,
    WorkloadRef,
    Writers,
    Zone,
)
from failover.model.records import RecordType
from failover.model.resources import Resources

PLACES = (
    ("alpha", "north", "north-a", "north-a1"),
    ("alpha", "north", "north-a", "north-b1"),
    ("alpha", "south", "south-a", "south-a1"),
    ("beta", "south", "south-b", "south-b1"),
    ("beta", "west", "west-a", "west-a1"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large a fleet is, and what is scarce there. `clusters` are of `PLACES`; `watching`: regions with a vantage
    of their own, besides the controller's and one elsewhere. `share`: of a workload's replicas in the fleet that one change may
    move; `short`: there is no room to spare (`LARGE`), and a later tier gives up replicas for an earlier one.
    """

    name: str
    clusters: tuple[str, ...]
    watching: tuple[str, ...]
    share: float = 1.0
    short: bool = False

    def scarce(self, *, share: float, short: bool) -> "Shape":
        """The same fleet with these rules, by another name."""
        words = (self.name, *(("by-tenths",) if share < 1 else ()), *(("short",) if short else ()))
        return replace(self, name="-".join(words), share=share, short=short)


WHOLE = Shape(
    name="whole", clusters=tuple(place[-1] for place in PLACES), watching=("north", "south", "west")
)
FEW_EYES = replace(WHOLE, name="few-eyes", watching=("south",))
SMALL = Shape(name="small", clusters=("north-a1", "south-a1", "west-a1"), watching=("south",))
SMALL_SHARE = 0.1
SHAPES = {
    shape.name: shape
    for size in (WHOLE, FEW_EYES, SMALL)
    for shape in (
        size.scarce(share=share, short=short) for share in (1.0, SMALL_SHARE) for short in (False, True)
    )
}
APEX = "example.test."
ZONE = ZoneName("example-test")
WEB = WorkloadRef(object_kind="Deployment", namespace="shop", name="web")
API = WorkloadRef(object_kind="Deployment", namespace="ledger", name="api")
BOOKS = WorkloadRef(object_kind="StatefulSet", namespace="ledger", name="books")
MOVED = {"shop": WEB, "ledger": API}
"""What carries each application."""
SHELVES = ("north-a1", "south-a1", "west-a1")
"""Where the single writer may run; it begins in the first."""
BEATING = ("north-a1", "south-a1")
"""Clusters that push heartbeats out."""
REPLICAS = 4
LARGE = Resources(cpu_m=5000, memory=128 << 20)
"""What a replica asks for where room is short: three fit on a node, and all nine places of a cluster are taken."""
BATCH = WorkloadRef(object_kind="Deployment", namespace="others", name="batch")
"""What nobody told us of; it takes the last place where room is short."""
TTL_S = 5
TIMING = Timing(
    profile=Profile.FAST,
    interval_s=5.0,
    timeout_s=2.0,
    confirm_s=6.0,
    confirm_without_dissent_s=20.0,
    hold_down_window_s=120.0,
    hold_down_base_s=20.0,
    hold_down_max_s=120.0,
    stable_s=60.0,
)


def shape_of(seed: int) -> Shape:
    """Which fleet a seed plays."""
    size = Random(f"fleet/{seed}").choices((WHOLE, FEW_EYES, SMALL), (1, 1, 1))[0]  # noqa: S311 - reproducible, not secret
    dice = Random(f"rules/{seed}")  # noqa: S311 - reproducible, not secret
    share = dice.choices((1.0, SMALL_SHARE), (0.7, 0.3))[0]
    return size.scarce(share=share, short=dice.random() < 0.3)


def build_policy(random: Random, shape: Shape = WHOLE) -> Policy:
    """The fleet with limits that differ from seed to seed."""
    clusters = tuple(
        ClusterEntry(
            name=ClusterName(name),
            provider=ProviderName(provider),
            region=RegionName(region),
            datacenter=DatacenterName(datacenter),
            ipv4=(f"198.51.100.{number + 11}",),
            hostname=f"{name}.example.net",
            fence=FenceMode.POLICY,
            heartbeat_sha256="0" * 64 if name in BEATING else "",
        )
        for number, (provider, region, datacenter, name) in enumerate(PLACES)
        if name in shape.clusters
    )
    vantages = (
        VantageEntry(name=VantageName("control"), controller=True),
        VantageEntry(name=VantageName("elsewhere"), token_sha256="0" * 64),
        *(
            VantageEntry(name=VantageName(f"v-{region}"), region=region, token_sha256="0" * 64)
            for region in shape.watching
        ),
    )
    names = tuple(entry.name for entry in clusters)
    rules = tuple(PlacementRule(cluster=name) for name in names)
    mode = random.choices((Mode.AUTO, Mode.APPROVE, Mode.RECOMMEND), (0.86, 0.1, 0.04))[0]
    shop = Application(
        name=ApplicationName("shop"),
        mode=mode,
        workloads=(Workload(ref=WEB, placement=rules),),
        dns=(_name("shop", names),),
        floor=random.choice((60, 100)),
        on_shortage=_on_shortage(random, shape),
        tier=1,
        data_probe=DataProbe(path="/shop"),
    )
    ledger = Application(
        name=ApplicationName("ledger"),
        mode=Mode.AUTO,
        workloads=(
            Workload(ref=API, placement=rules),
            Workload(
                ref=BOOKS,
                placement=tuple(PlacementRule(cluster=ClusterName(name)) for name in SHELVES),
                writers=Writers.SINGLE,
            ),
        ),
        dns=(_name("ledger", names),),
        floor=60,
        on_shortage=OnShortage.PARTIAL,
        tier=2,
    )
    zone = Zone(
        name=ZONE,
        apex=APEX,
        primary=NameServer(address="192.0.2.53"),
        authoritative=(NameServer(address="192.0.2.53"), NameServer(address="192.0.2.54")),
    )
    return Policy(
        generation="000000000000f001",
        fleet=Fleet(name="simulated", clusters=clusters, vantages=vantages, timing=TIMING),
        zones=(zone,),
        applications=(shop, ledger),
        guards=GuardSettings(
            per_hour=random.choice((1, 2, 4)),
            per_day=random.choice((2, 8)),
            changes_per_second=random.choice((1.0, 100.0)),
            share_per_step=shape.share,
        ),
    )


def edited(policy: Policy, random: Random) -> Policy:
    """The same fleet after somebody edited a file: another floor."""
    shop = replace(policy.applications[0], floor=random.choice((60, 80, 100)))
    return replace(policy, applications=(shop, *policy.applications[1:]))


def _on_shortage(random: Random, shape: Shape) -> OnShortage:
    drawn = random.choice((OnShortage.HOLD, OnShortage.PARTIAL))
    return OnShortage.SHED if shape.short else drawn


def _name(application: str, clusters: tuple[ClusterName, ...]) -> DNSName:
    return DNSName(
        name=f"{application}.{APEX}", zone=ZONE, record_type=RecordType.A, ttl=TTL_S, clusters=clusters
    )
