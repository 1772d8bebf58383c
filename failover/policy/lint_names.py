"""What names there are, for the checks of everything that refers to them. A Fleet that is not valid still names clusters."""

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from failover.model.ids import Domain, DomainKind
from failover.model.policy import Fleet
from failover.policy.compile import Parsed, absolute, compile_fleet
from failover.policy.documents import KINDS
from failover.policy.fields import shown
from failover.policy.yaml_reader import Marked

LEVELS = (
    (DomainKind.PROVIDER, "providers"),
    (DomainKind.REGION, "regions"),
    (DomainKind.DATACENTER, "datacenters"),
    (DomainKind.CLUSTER, "clusters"),
)


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """`there is no cluster "x"; did you mean "y"?`, or the names that there are."""
    names = sorted(known)
    close = difflib.get_close_matches(name[:120], names, n=1, cutoff=0.6)
    if close:
        return f"there is no {what} {shown(name)}; did you mean {close[0]!r}?"
    return f"there is no {what} {shown(name)} (there are: {', '.join(names[:12]) or 'none'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Names of the fleet and its zones. `fleet`: only where its document is valid.

    `domains`: None where some may be missing, because the Fleet could not be read; then nobody is told that one is unknown.
    `zones`: zone name -> apex, "" where that is not valid; `all_zones`: no other document may be one; `providers`: of the
    valid ones. `fences`: cluster -> what the file says, or None.
    """

    fleet: Fleet | None
    domains: tuple[Domain, ...] | None
    clusters: frozenset[str] = frozenset()
    zones: dict[str, str] = field(default_factory=dict)
    all_zones: bool = True
    providers: dict[str, str] = field(default_factory=dict)
    fences: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, fleet: Parsed | None, zones: Iterable[Parsed], broken: Sequence[Marked]) -> "Known":
        """Collected from the valid documents, and from what the broken ones name."""
        domains, zones = _domains(fleet, broken), list(zones)
        named = [marked.get("metadata", "name") for marked in broken if marked.get("kind") == "DNSZone"]
        apexes = {name: "" for name in named if isinstance(name, str)}
        apexes |= {item.document.metadata.name: absolute(item.document.spec.apex) for item in zones}
        return cls(
            fleet=compile_fleet(fleet) if fleet is not None else None,
            domains=domains,
            clusters=frozenset(one.name for one in domains or () if one.kind is DomainKind.CLUSTER),
            zones=apexes,
            all_zones=all(isinstance(name, str) for name in named)
            and all(marked.get("kind") in tuple(KINDS) for marked in broken),
            providers={item.document.metadata.name: item.document.spec.provider for item in zones},
            fences={one.name: one.fence for _, one in clusters_with_paths(fleet)} if fleet else {},
        )

    def no_cluster(self, name: str) -> str:
        """What to say about a cluster's name, "" if it is known or nobody can tell."""
        told = self.domains is None or name in self.clusters
        return "" if told else unknown("cluster", name, self.clusters)

    def no_zone(self, name: str) -> str:
        """What to say about a zone's name, "" if it is known or nobody can tell."""
        told = not self.all_zones or name in self.zones
        return "" if told else unknown("zone", name, self.zones)


def _domains(fleet: Parsed | None, broken: Sequence[Marked]) -> tuple[Domain, ...] | None:
    """Every domain of the fleet, or None where one may be missing."""
    if fleet is not None:
        return tuple(compile_fleet(fleet).domains())
    roots = [marked.get("spec") for marked in broken if marked.get("kind") == "Fleet"]
    found = dict.fromkeys(_named(roots[0])) if roots else {None: None}
    named = tuple(domain for domain in found if domain is not None)
    return named if len(named) == len(found) else None


def _named(spec: Any) -> Iterator[Domain | None]:
    """The domains that a Fleet names, valid or not; None for a part that cannot be read."""
    nodes = [spec]
    for kind, key in LEVELS:
        below: list[Any] = []
        for node in nodes:
            items = node.get(key) if isinstance(node, dict) else None
            if not isinstance(items, list):
                yield None
                continue
            below += items
        for item in below:
            name = item.get("name") if isinstance(item, dict) else None
            yield Domain(kind=kind, name=name) if isinstance(name, str) else None
        nodes = below


def clusters_with_paths(item: Parsed) -> list[tuple[tuple[str | int, ...], Any]]:
    """Every cluster document of a fleet with the path at which it stands."""
    found: list[tuple[tuple[str | int, ...], Any]] = []
    for p, provider in enumerate(item.document.spec.providers):
        for r, region in enumerate(provider.regions):
            for d, datacenter in enumerate(region.datacenters):
                for c, one in enumerate(datacenter.clusters):
                    path = ("spec", "providers", p, "regions", r, "datacenters", d, "clusters", c)
                    found.append((path, one))
    return found
