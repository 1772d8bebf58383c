"""Which clusters the placement of a workload means, one rule a cluster; windows and prices alike."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from failover.model.ids import ClusterName, Domain, DomainKind
from failover.model.policy import (
    ClusterEntry,
    Fleet,
    PlacementRule,
    Spread,
    Strategy,
    WhenUnsatisfiable,
    Window,
    Workload,
    WorkloadRef,
    Writers,
)
from failover.model.resources import Resources
from failover.policy.documents import PlacementDocument, WindowDocument, WorkloadDocument
from failover.policy.fields import smallest_units

GIB = 1 << 30


def named(fleet: Fleet, text: str) -> Domain | None:
    """The one domain that `region/eu-west` or an unambiguous `eu-west` means; None for none and for several."""
    found = fleet.find_domains(text)
    return found[0] if len(found) == 1 else None


def clusters_of(fleet: Fleet, document: PlacementDocument) -> tuple[ClusterEntry, ...]:
    """What one entry of a placement means, in the fleet's order. Names that there are not mean nothing (lint says so)."""
    if document.cluster is not None:
        return tuple(entry for entry in fleet.clusters if entry.name == document.cluster)
    if document.domain is not None:
        domain = named(fleet, document.domain)
        return fleet.clusters_in(domain) if domain is not None else ()
    wanted = set((document.labels or {}).items())
    return tuple(entry for entry in fleet.clusters if wanted and wanted <= set(entry.labels))


def excluded(fleet: Fleet, document: WorkloadDocument) -> frozenset[ClusterName]:
    """Clusters that never run it."""
    domains = [domain for text in document.exclude if (domain := named(fleet, text)) is not None]
    return frozenset(entry.name for domain in domains for entry in fleet.clusters_in(domain))


def rules_of(fleet: Fleet, document: WorkloadDocument) -> tuple[PlacementRule, ...]:
    """One rule a cluster: the first entry that names it counts."""
    rules: dict[ClusterName, PlacementRule] = {}
    never = excluded(fleet, document)
    for item in document.placement:
        for entry in clusters_of(fleet, item):
            if entry.name not in never and entry.name not in rules:
                rules[entry.name] = PlacementRule(
                    cluster=entry.name,
                    weight=item.weight,
                    min_replicas=item.min,
                    max_replicas=item.max,
                    group=item.group,
                )
    return tuple(rules.values())


def workloads_of(fleet: Fleet, document: WorkloadDocument) -> list[Workload]:
    """One workload for each name."""
    default = Writers.SINGLE if document.kind == "StatefulSet" else Writers.MANY
    names = [*([document.name] if document.name else []), *document.names]
    rules = rules_of(fleet, document)
    return [
        Workload(
            ref=WorkloadRef(object_kind=document.kind, namespace=document.namespace, name=name),
            placement=rules,
            writers=Writers(document.writers) if document.writers else default,
            requests=requests_of(document.requests),
            spread=tuple(
                Spread(
                    over=DomainKind(one.over),
                    at_least=one.at_least,
                    at_most_percent=one.at_most,
                    when=WhenUnsatisfiable(one.when_unsatisfiable),
                )
                for one in document.spread
            ),
            strategy=Strategy(document.strategy),
            standby=document.standby,
        )
        for name in names
    ]


def requests_of(amounts: Mapping[str, Decimal]) -> Resources | None:
    """Requests of one replica: one pod, and what is named."""
    if not amounts:
        return None
    return Resources.of({"pods": 1, **{name: smallest_units(name, value) for name, value in amounts.items()}})


def assumed_of(amounts: Mapping[str, Decimal]) -> Resources | None:
    """Room that is taken for granted."""
    if not amounts:
        return None
    return Resources.of({name: smallest_units(name, value) for name, value in amounts.items()})


def inherited(levels: Iterable[Mapping[str, object]]) -> tuple[tuple[str, object], ...]:
    """Facts of a cluster: what is said nearest to it counts. `levels`: widest first."""
    merged: dict[str, object] = {}
    for level in levels:
        merged |= level
    return tuple(sorted(merged.items()))


def window_of(fleet: Fleet, document: WindowDocument) -> Window:
    """The window with its domains as clusters; what is said of the smaller domain counts."""
    return Window(
        name=document.name,
        cron=document.cron,
        timezone=document.timezone,
        duration_s=document.duration,
        weights=_by_cluster(fleet, document.weights),
        groups=_by_cluster(fleet, document.groups),
    )


def _by_cluster(fleet: Fleet, told: Mapping[str, int]) -> tuple[tuple[ClusterName, int], ...]:
    levels = list(DomainKind)
    domains = [(domain, value) for text, value in told.items() if (domain := named(fleet, text)) is not None]
    domains.sort(key=lambda pair: (levels.index(pair[0].kind), pair[0].name))
    found = {entry.name: value for domain, value in domains for entry in fleet.clusters_in(domain)}
    return tuple(sorted(found.items()))
