"""What names there are, for the checks of everything that refers to them."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from failover.model.policy import Fleet
from failover.policy.compile import Parsed, absolute, compile_fleet


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """`there is no cluster "x"; did you mean "y"?`, or the names that there are."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f"there is no {what} {name!r}; did you mean {close[0]!r}?"
    return f"there is no {what} {name!r} (there are: {', '.join(names[:12]) or 'none'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """Names of the fleet and its zones. `zones`: zone name -> apex; `fences`: cluster -> what the file says, or None."""

    fleet: Fleet
    zones: dict[str, str] = field(default_factory=dict)
    fences: dict[str, str | None] = field(default_factory=dict)

    @classmethod
    def of(cls, fleet: Parsed, zones: Iterable[Parsed]) -> "Known":
        """Collected from the fleet and the zones."""
        return cls(
            fleet=compile_fleet(fleet),
            zones={item.document.metadata.name: absolute(item.document.spec.apex) for item in zones},
            fences={one.name: one.fence for _, one in clusters_with_paths(fleet)},
        )

    @property
    def clusters(self) -> list[str]:
        return [entry.name for entry in self.fleet.clusters]


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
