"""Could we fail over now? One plan for the loss of every domain, on the same prepared arrays."""

from collections.abc import Iterable

import numpy as np

from failover.planner.joint.arrays import Ints, Prepared
from failover.planner.joint.problem import Domain, Problem, Survival
from failover.planner.joint.solution import Placement
from failover.planner.joint.solve import Engine


def survivability(
    problem: Problem, domains: Iterable[Domain], *, losses: bool = False
) -> tuple[Survival, ...]:
    """One result for each domain, in their order. What runs now (`current`) is what would be lost. `losses`: told by demand."""
    engine = Engine.of(problem)
    return tuple([lose_domain(engine, domain, losses=losses) for domain in domains])


def lose_domain(engine: Engine, domain: Domain, *, losses: bool = False) -> Survival:
    """What the loss of this domain would mean. Sites that the problem does not hold count for nothing."""
    prepared = engine.prepared
    sites = [name for name in domain.sites if name in prepared.site_index]
    gone = [prepared.site_index[name] for name in sites]
    rows = np.concatenate([engine.index.at(at) for at in gone]) if gone else np.zeros(0, dtype=np.int64)
    lost = np.bincount(
        prepared.demand[rows], weights=prepared.current[rows], minlength=len(prepared.demands)
    ).astype(np.int64)
    placement = engine.lose_in_passing(sites)
    missing = placement.state.missing
    unplaced = np.minimum(missing, lost)
    shed = missing - unplaced
    tightest, headroom = _tightest(placement)
    return Survival(
        domain=domain,
        lost=int(lost.sum()),
        replaced=int((lost - unplaced).sum()),
        unplaced=int(unplaced.sum()),
        shed=int(shed.sum()),
        tightest=tightest,
        headroom=headroom,
        victims=_by_key(prepared, missing),
        losses=_by_key(prepared, lost) if losses else (),
    )


def _by_key(prepared: Prepared, replicas: Ints) -> tuple[tuple[str, int], ...]:
    """Those demands that have some, by key."""
    return tuple(
        sorted((prepared.demands[at].key, int(replicas[at])) for at in np.flatnonzero(replicas).tolist())
    )


def _tightest(placement: Placement) -> tuple[str, float]:
    """The resource with the least free share over the sites that take replicas; ("", 0) where none does."""
    state, prepared = placement.state, placement.prepared
    capacity = prepared.capacity[state.takes].sum(axis=0)
    if not capacity.any():
        return "", 0.0
    share = np.where(capacity > 0, state.free[state.takes].sum(axis=0) / np.maximum(capacity, 1), np.inf)
    at = int(np.argmin(share))
    return prepared.resources[at], float(np.clip(share[at], 0.0, 1.0))
