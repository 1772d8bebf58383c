"""The exact answer where it is cheap: one or two sites, few replicas (dynamic programming over what is left free).

Demands are taken by tier; a state is what both sites have left, and of the states with the same rest the one with the
most replicas counts. At the end of a tier only states with its most replicas go on: that is the lexicographic order.
"""

from itertools import groupby, product

import numpy as np

from failover.planner.joint.arrays import Prepared
from failover.planner.joint.state import State

SITES_MAX = 2
STATES_MAX = 1500
OPTIONS_MAX = 300

Rest = tuple[int, ...]
Choice = tuple[tuple[int, int], ...]


def may_apply(state: State) -> bool:
    """Nothing but capacity, names and maximums decides."""
    prepared = state.prepared
    return bool(
        0 < state.takes.sum() <= SITES_MAX
        and not prepared.minimum.any()
        and not prepared.whole.any()
        and not prepared.hold.any()
        and not any(demand.rules.spread for demand in prepared.demands)
    )


def place_exactly(state: State, before: State) -> None:
    """Replace what was placed since `before` by the best, where it is better and the search stays small."""
    prepared = state.prepared
    sites = np.flatnonzero(before.takes).tolist()
    start: Rest = tuple(int(value) for site in sites for value in before.free[site])
    best: dict[Rest, tuple[int, Choice]] = {start: (0, ())}
    demands = np.flatnonzero(before.missing > 0).tolist()
    for _, tier in groupby(demands, key=lambda demand: int(prepared.tier[demand])):
        for demand in tier:
            found = _with_demand(before, sites, demand, best)
            if found is None:
                return
            best = found
        most = max(placed for placed, _ in best.values())
        best = {rest: (0, choice) for rest, (placed, choice) in best.items() if placed == most}
    _, choice = min(best.values())
    if _by_tier(prepared, choice) > _by_tier(prepared, _placed(state, before)):
        state.become(before)
        for row, number in choice:
            state.put(row, number)


def _with_demand(
    before: State, sites: list[int], demand: int, best: dict[Rest, tuple[int, Choice]]
) -> dict[Rest, tuple[int, Choice]] | None:
    """All states after this demand; None where they become too many."""
    prepared = before.prepared
    missing = int(before.missing[demand])
    request = [int(value) for value in prepared.request[demand]]
    width = len(request)
    rows = [prepared.row(demand, site) for site in sites]
    most = [
        0 if row is None or prepared.weight[row] <= 0 else int(before.room(np.array([row]))[0])
        for row in rows
    ]
    found: dict[Rest, tuple[int, Choice]] = {}
    for rest, (placed, choice) in best.items():
        fit = [
            min(
                [
                    missing,
                    most[at],
                    *(rest[at * width + r] // need for r, need in enumerate(request) if need > 0),
                ]
            )
            for at in range(len(sites))
        ]
        most_there = fit[1] if len(fit) > 1 else 0
        if (fit[0] + 1) * (most_there + 1) > OPTIONS_MAX:
            return None
        for numbers in product(range(fit[0] + 1), range(most_there + 1)):
            if sum(numbers) > missing:
                continue
            left = tuple(
                rest[at * width + r] - numbers[at] * need
                for at in range(len(sites))
                for r, need in enumerate(request)
            )
            total = placed + sum(numbers)
            if left not in found or found[left][0] < total:
                added = tuple(
                    (row, number)
                    for row, number in zip(rows, numbers, strict=False)
                    if row is not None and number
                )
                found[left] = (total, choice + added)
        if len(found) > STATES_MAX:
            return None
    return found


def _placed(state: State, before: State) -> Choice:
    rows = np.flatnonzero(state.held != before.held)
    return tuple((row, int(state.held[row] - before.held[row])) for row in rows.tolist())


def _by_tier(prepared: Prepared, choice: Choice) -> list[int]:
    """Replicas by tier, the first tier first."""
    tiers = np.unique(prepared.tier).tolist()
    sums = dict.fromkeys(tiers, 0)
    for row, number in choice:
        sums[int(prepared.tier[prepared.demand[row]])] += number
    return [sums[tier] for tier in tiers]
