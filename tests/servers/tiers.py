"""The tiers of tests that need a real server: whether each can run here, and how to get it where it cannot.

A tier that cannot run is skipped with one sentence; under FAILOVER_REQUIRE_SERVERS=1 it is a failure.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .bind import find_named
from .kubernetes.build import KUBERNETES_VERSION, find_programs

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
TIERS: tuple[Tier, ...] = (BIND, KUBERNETES)
