"""From parsed documents to the compiled Policy: profiles filled in, paths made absolute, names made canonical."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from failover.model.codec import digest
from failover.model.ids import (
    ApplicationName,
    ClusterName,
    DatacenterName,
    DomainKind,
    ProviderName,
    RegionName,
    ScheduleName,
    VantageName,
    ZoneName,
)
from failover.model.observation import ProbeKind, Reference
from failover.model.policy import (
    ZONE_PATIENCE_BESIDE_S,
    ZONE_PATIENCE_S,
    Application,
    ClusterAccess,
    ClusterEntry,
    DataProbe,
    DNSName,
    FenceMode,
    Fleet,
    GuardSettings,
    JobKind,
    Mode,
    NameServer,
    Objective,
    OnShortage,
    Policy,
    Profile,
    Publish,
    Schedule,
    Timing,
    TrafficOrder,
    VantageEntry,
    Zone,
)
from failover.model.records import RecordType
from failover.policy.documents import (
    ApplicationDocument,
    DNSDocument,
    DNSZoneDocument,
    FleetDocument,
    FleetSpec,
    GuardsDocument,
    NameServerDocument,
    Probe,
    ScheduleDocument,
)
from failover.policy.placing import assumed_of, inherited, window_of, workloads_of
from failover.policy.yaml_reader import Marked

FAST = Timing(profile=Profile.FAST, interval_s=1.0, timeout_s=1.0, confirm_s=2.0)
ASKED_ANYWAY = Schedule(
    name=ScheduleName("survivability"), cron="*/30 * * * *", job=JobKind.SURVIVABILITY, jitter_s=0.0
)
"""Whether the fleet would survive the loss of any domain is asked also where no schedule says so."""
VELOCITY = {Profile.BALANCED: 20.0, Profile.FAST: 100.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """One valid document and where its parts stand. `repaired`: valid without some of its fields; it is checked, no more."""

    document: Any
    marked: Marked
    repaired: bool = False

    @property
    def folder(self) -> Path:
        """What relative paths in it are relative to."""
        return Path(self.marked.file).resolve().parent


def documents_of(parsed: Iterable[Parsed], kind: type) -> list[Parsed]:
    """Documents of one kind, in file order."""
    return [item for item in parsed if isinstance(item.document, kind)]


def compile_policy(parsed: Sequence[Parsed]) -> Policy:
    """The policy of documents that passed every check. The order of files and documents does not matter."""
    fleets = documents_of(parsed, FleetDocument)
    fleet = compile_fleet(fleets[0])
    apexes = Counter(absolute(item.document.spec.apex) for item in documents_of(parsed, DNSZoneDocument))
    zones = tuple(
        sorted(
            (_zone(item, apexes) for item in documents_of(parsed, DNSZoneDocument)),
            key=lambda zone: zone.name,
        )
    )
    applications = tuple(
        sorted(
            (_application(item, fleet) for item in documents_of(parsed, ApplicationDocument)),
            key=lambda one: one.name,
        )
    )
    schedules = tuple(
        sorted((_schedule(item) for item in documents_of(parsed, ScheduleDocument)), key=lambda one: one.name)
    )
    if not any(one.job is JobKind.SURVIVABILITY for one in schedules):
        schedules = (*schedules, ASKED_ANYWAY)
    guards = _guards(documents_of(parsed, GuardsDocument), fleet.timing.profile)
    made = Policy(
        generation="",
        fleet=fleet,
        zones=zones,
        applications=applications,
        guards=guards,
        schedules=schedules,
    )
    return replace(made, generation=digest(made)[:16])


def timing_of(spec: FleetSpec) -> Timing:
    """The profile's timings with the file's own over them."""
    timing = FAST if spec.profile == "fast" else Timing()
    own = spec.timing
    names = {
        "interval": "interval_s",
        "jitter": "jitter",
        "timeout": "timeout_s",
        "fall": "fall",
        "rise": "rise",
        "confirm": "confirm_s",
        "inventory_interval": "inventory_interval_s",
        "inventory_max_age": "inventory_max_age_s",
        "lease": "lease_s",
        "lease_renew": "lease_renew_s",
        "lease_margin": "lease_margin_s",
        "stable": "stable_s",
    }
    changes = {target: value for name, target in names.items() if (value := getattr(own, name)) is not None}
    if own.hold_down is not None:
        hold = own.hold_down
        changes |= {
            "hold_down_changes": hold.changes,
            "hold_down_window_s": hold.window,
            "hold_down_base_s": hold.base,
            "hold_down_max_s": hold.max,
        }
    if own.objective is not None:
        told = own.objective
        changes["objective"] = Objective(
            errors_percent=told.errors_percent,
            window_s=told.window,
            latency_ms=None if told.latency is None else told.latency * 1000,
        )
    return replace(timing, **changes)


def compile_fleet(item: Parsed) -> Fleet:
    """The tree, flattened to clusters that know their ancestors, in the file's order."""
    spec: FleetSpec = item.document.spec
    clusters = []
    for provider in spec.providers:
        for region in provider.regions:
            for datacenter in region.datacenters:
                for one in datacenter.clusters:
                    levels = (provider, region, datacenter, one)
                    clusters.append(
                        ClusterEntry(
                            name=ClusterName(one.name),
                            provider=ProviderName(provider.name),
                            region=RegionName(region.name),
                            datacenter=DatacenterName(datacenter.name),
                            ipv4=tuple(one.endpoint.ipv4),
                            ipv6=tuple(one.endpoint.ipv6),
                            hostname=one.endpoint.hostname or "",
                            access=ClusterAccess(
                                kubeconfig=path_of(item, one.access.kubeconfig),
                                context=one.access.context,
                                in_cluster=one.access.in_cluster,
                                exec_allowed=tuple(one.access.exec_allowed),
                            ),
                            fence=FenceMode(one.fence or "best-effort"),
                            data_probe=_probe(item, one.probe),
                            heartbeat_sha256=one.heartbeat_sha256 or "",
                            labels=cast(Any, inherited(level.labels for level in levels)),
                            price=cast(Any, inherited(level.price for level in levels)),
                            assumed_free=assumed_of(one.assumed_free),
                        )
                    )
    return Fleet(
        name=item.document.metadata.name,
        clusters=tuple(clusters),
        vantages=tuple(_vantage(one) for one in spec.vantages),
        timing=timing_of(spec),
        probe_allow_cidrs=tuple(spec.probes.allow_cidrs),
        headroom_percent=float(spec.headroom),
    )


def path_of(item: Parsed, text: str) -> str:
    """Absolute, from the folder of the file that names it; `~` is a home directory (where there is none, lint says so)."""
    if not text:
        return ""
    try:
        return str(item.folder / Path(text).expanduser())
    except RuntimeError:
        return str(item.folder / text)


def _probe(item: Parsed, probe: Probe) -> DataProbe:
    return DataProbe(
        probe=ProbeKind(probe.kind),
        port=probe.port,
        server_name=probe.server_name or "",
        host=probe.host or "",
        path=probe.path,
        statuses=tuple(probe.statuses),
        body_contains=probe.body_contains,
        ca_file=path_of(item, probe.ca_file),
    )


def _vantage(one: Any) -> VantageEntry:
    return VantageEntry(
        name=VantageName(one.name),
        region=one.region or "",
        controller=one.controller,
        token_sha256=one.token_sha256 or "",
        references=tuple(
            Reference(
                name=reference.name,
                address=reference.address,
                port=reference.port,
                region=reference.region or "",
                probe=ProbeKind(reference.kind),
            )
            for reference in one.references
        ),
    )


def _zone(item: Parsed, apexes: Counter[str]) -> Zone:
    spec = item.document.spec
    alone = apexes[absolute(spec.apex)] == 1
    return Zone(
        name=ZoneName(item.document.metadata.name),
        apex=absolute(spec.apex),
        provider=spec.provider,
        primary=_name_server(spec.primary) if spec.primary is not None else None,
        authoritative=tuple(_name_server(one) for one in spec.authoritative),
        tsig_key_file=path_of(item, spec.tsig_key_file),
        adopt=spec.adopt,
        timeout_s=spec.timeout,
        hosted_zone=spec.hosted_zone or spec.managed_zone,
        project=spec.project,
        credentials_file=path_of(item, spec.credentials_file),
        profile=spec.profile,
        endpoint=spec.endpoint,
        requests_per_s=spec.requests_per_second,
        resolvers=tuple(_name_server(one) for one in spec.resolvers),
        repair=spec.repair,
        prepare=spec.prepare,
        credentials_expire=spec.credentials_expire,
        patience_s=spec.patience or (ZONE_PATIENCE_S if alone else ZONE_PATIENCE_BESIDE_S),
    )


def _name_server(one: NameServerDocument) -> NameServer:
    return NameServer(address=one.address, port=one.port)


def absolute(name: str) -> str:
    """Lower case, with the final dot."""
    return name.rstrip(".").lower() + "."


def _application(item: Parsed, fleet: Fleet) -> Application:
    spec = item.document.spec
    workloads = tuple(one for document in spec.workloads for one in workloads_of(fleet, document))
    placed = tuple(dict.fromkeys(rule.cluster for workload in workloads for rule in workload.placement))
    return Application(
        name=ApplicationName(item.document.metadata.name),
        mode=Mode(spec.mode),
        workloads=workloads,
        dns=tuple(name for one in spec.dns for name in _dns(one, placed)),
        floor=spec.floor,
        on_shortage=OnShortage(spec.on_shortage),
        traffic=TrafficOrder(spec.traffic),
        data_probe=_probe(item, spec.probe) if spec.probe is not None else None,
        failback_steps=tuple(spec.failback_steps),
        tier=spec.tier,
        survives=DomainKind(spec.survives) if spec.survives else None,
        windows=tuple(window_of(fleet, one) for one in spec.windows),
    )


def zones_of(one: DNSDocument) -> list[str]:
    """The zones that a record set is published in, as written."""
    return [*([one.zone] if one.zone is not None else []), *one.zones]


def _dns(one: DNSDocument, placed: tuple[ClusterName, ...]) -> list[DNSName]:
    """The record set at each provider: each is changed, fenced and read back by itself."""
    return [
        DNSName(
            name=absolute(one.name),
            zone=ZoneName(zone),
            record_type=RecordType(one.type),
            ttl=int(one.ttl),
            publish=Publish(one.publish),
            clusters=tuple(ClusterName(name) for name in one.clusters) or placed,
            weighted=one.weights,
        )
        for zone in zones_of(one)
    ]


def _guards(found: list[Parsed], profile: Profile) -> GuardSettings:
    if not found:
        return GuardSettings(changes_per_second=VELOCITY[profile])
    spec = found[0].document.spec
    return GuardSettings(
        regions_at_once=spec.regions_at_once,
        per_hour=spec.per_hour,
        per_day=spec.per_day,
        correlated_limit=spec.correlated_limit,
        changes_per_second=spec.changes_per_second or VELOCITY[profile],
        share_per_step=spec.share_per_step,
        parallel_per_cluster=spec.parallel_per_cluster,
        rebalance_moves=spec.rebalance_moves,
    )


def _schedule(item: Parsed) -> Schedule:
    spec = item.document.spec
    return Schedule(
        name=ScheduleName(item.document.metadata.name),
        cron=spec.cron,
        timezone=spec.timezone,
        jitter_s=spec.jitter,
        job=JobKind(spec.job),
        domain=spec.domain,
        reason=spec.reason,
        suspended=spec.suspended,
    )
