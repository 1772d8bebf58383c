"""Small policies for tests, built as values: three regions with a cluster each, five vantages, one application."""

from dataclasses import replace

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
    Zone,
)
from failover.model.records import RecordType

REGIONS = ("north", "south", "west")
WEB = WorkloadRef(object_kind="Deployment", namespace="shop", name="web")
NAME = "shop.example.test."
FAST = Timing(profile=Profile.FAST, interval_s=1.0, timeout_s=1.0, confirm_s=2.0, stable_s=10.0)


def cluster(region: str, number: int = 1, **changes: object) -> ClusterEntry:
    """`<region>-<number>` in its own datacenter."""
    place = REGIONS.index(region) + 1
    entry = ClusterEntry(
        name=ClusterName(f"{region}-{number}"),
        provider=ProviderName("alpha" if region != "west" else "beta"),
        region=RegionName(region),
        datacenter=DatacenterName(f"{region}-dc{number}"),
        ipv4=(f"198.51.100.{place * 10 + number}",),
        hostname=f"{region}-{number}.example.net",
        fence=FenceMode.POLICY,
    )
    return replace(entry, **changes)  # type: ignore[arg-type]


def policy(
    *, mode: Mode = Mode.AUTO, timing: Timing = FAST, clusters_per_region: int = 1, **changes: object
) -> Policy:
    """A fleet in which one application runs everywhere."""
    clusters = tuple(
        cluster(region, number + 1) for region in REGIONS for number in range(clusters_per_region)
    )
    vantages = (
        VantageEntry(name=VantageName("control"), controller=True),
        VantageEntry(name=VantageName("elsewhere"), token_sha256="0" * 64),
        *(
            VantageEntry(name=VantageName(f"v-{region}"), region=region, token_sha256="0" * 64)
            for region in REGIONS
        ),
    )
    names = tuple(entry.name for entry in clusters)
    shop = Application(
        name=ApplicationName("shop"),
        mode=mode,
        workloads=(
            Workload(ref=WEB, placement=tuple(PlacementRule(cluster=name, min_replicas=1) for name in names)),
        ),
        dns=(
            DNSName(
                name=NAME, zone=ZoneName("example-test"), record_type=RecordType.A, ttl=5, clusters=names
            ),
        ),
        on_shortage=OnShortage.HOLD,
    )
    zone = Zone(
        name=ZoneName("example-test"),
        apex="example.test.",
        primary=NameServer(address="192.0.2.53"),
        authoritative=(NameServer(address="192.0.2.53"), NameServer(address="192.0.2.54")),
    )
    made = Policy(
        generation="0123456789abcdef",
        fleet=Fleet(name="test", clusters=clusters, vantages=vantages, timing=timing),
        zones=(zone,),
        applications=(shop,),
        guards=GuardSettings(changes_per_second=100.0),
    )
    return replace(made, **changes)  # type: ignore[arg-type]
