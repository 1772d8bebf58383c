"""The tiers of tests that need a real server: whether each can run here, and how to get it where it cannot.

A tier that cannot run is skipped with one sentence; under FAILOVER_REQUIRE_SERVERS=1 it is a failure.
"""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import observers
from .bind import find_named
from .kubernetes.build import KUBERNETES_VERSION, find_programs
from .pairs import missing_knot, missing_powerdns

REQUIRE = "FAILOVER_REQUIRE_SERVERS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """`problem`: None where the tier can run, else the sentence that says what is missing and how to get it."""

    name: str
    title: str
    problem: Callable[[], str | None]


def servers_required(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a tier that cannot run is a failure."""
    return environment.get(REQUIRE, "") not in ("", "0")


def bind_problem() -> str | None:
    """What keeps the BIND tier from running."""
    if find_named() is not None:
        return None
    return "The BIND tier needs `named`: run `apt-get install bind9` as root, or `make test` as root, which does it."


def knot_problem() -> str | None:
    """What keeps the Knot tier from running."""
    if not missing_knot():
        return None
    return "The Knot tier needs `knotd`: run `apt-get install knot` as root, or `make test` as root, which does it."


def powerdns_problem() -> str | None:
    """What keeps the PowerDNS tier from running: the server itself, or its Knot secondary."""
    if missing_powerdns():
        return (
            "The PowerDNS tier needs `pdns_server` and its SQLite backend: run `apt-get install pdns-server "
            "pdns-backend-sqlite3` as root, or `make test` as root, which does it."
        )
    return knot_problem()


def lmdb_problem() -> str | None:
    """What keeps PowerDNS from keeping its zones in LMDB."""
    if missing_powerdns("lmdb"):
        return (
            "The tier of PowerDNS with LMDB needs `pdns_server` and that backend: run `apt-get install pdns-server "
            "pdns-backend-lmdb` as root, or `make test` as root, which does it."
        )
    return knot_problem()


def observers_problem() -> str | None:
    """What keeps the outside observers from looking."""
    missing = tuple(name for name in ("nsupdate", "kdig") if shutil.which(name) is None)
    if not missing:
        return None
    return f"The outside observers need {_listed(missing)}: run `apt-get install bind9-dnsutils knot-dnsutils` as root."


def others_problem() -> str | None:
    """What keeps octoDNS and ministack from running."""
    if not observers.missing():
        return None
    return (
        "octoDNS and ministack are not installed: `make test` installs them once into a cache of their own."
    )


def kubernetes_problem() -> str | None:
    """What keeps the Kubernetes tier from running."""
    _, missing = find_programs()
    if not missing:
        return None
    return (
        f"The Kubernetes tier needs {_listed(missing)} of Kubernetes {KUBERNETES_VERSION}: run `make kube-servers`, "
        "which builds them once into a cache."
    )


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


BIND = Tier(name="bind", title="BIND 9, primary and secondary", problem=bind_problem)
KUBERNETES = Tier(
    name="kubernetes", title=f"Kubernetes {KUBERNETES_VERSION} control planes", problem=kubernetes_problem
)
KNOT = Tier(
    name="knot", title="Knot, primary and secondary, and BIND with a Knot secondary", problem=knot_problem
)
POWERDNS = Tier(name="powerdns", title="PowerDNS with a Knot secondary", problem=powerdns_problem)
LMDB = Tier(name="lmdb", title="PowerDNS on LMDB with a Knot secondary", problem=lmdb_problem)
OBSERVERS = Tier(name="observers", title="nsupdate and kdig", problem=observers_problem)
OTHERS = Tier(
    name="others", title="octoDNS as a differ, ministack as another Route 53", problem=others_problem
)
DNS_TIERS: tuple[Tier, ...] = (BIND, KNOT, POWERDNS, LMDB, OBSERVERS)
TIERS: tuple[Tier, ...] = (*DNS_TIERS, OTHERS, KUBERNETES)
