"""The order in which preferences are heard: minimums, spread, standby, groups by weight; then what may be left is left.

Tiers are placed one after another. Inside a tier the minimums of all its demands come first, and every replica counts
alike.
"""

from dataclasses import dataclass

import numpy as np

from failover.planner.joint.arrays import STRATEGIES, Floats, Ints, Prepared
from failover.planner.joint.fill import Limits, ask_for, fill
from failover.planner.joint.prices import EXPONENT_MAX, mix_of, row_prices
from failover.planner.joint.problem import Strategy
from failover.planner.joint.spread import Spreads, cut_back, seed_domains
from failover.planner.joint.state import State, rows_of_demands, segment_sums

MOST_FREE = STRATEGIES.index(Strategy.MOST_FREE)
PACK = STRATEGIES.index(Strategy.PACK)
COST = STRATEGIES.index(Strategy.COST)
LEAST_SHARE = 0.01
DEAREST = 40.0
"""The exponent of the cost strategy's weights: a site that is 10 % dearer gets e^-4 of the share."""
DEARNESS_MAX = 1e9
"""So many times as dear as the cheapest is as good as never."""


@dataclass(slots=True)
class Plan:
    """What the phases share. `weight` [P]: by strategy, without shadow prices; `priced` [P]: with them. `order` [D]: who
    goes first where room is short (None: by hash).
    """

    state: State
    spreads: Spreads
    weight: Floats
    priced: Floats
    order: Floats | None = None


def strategy_weights(state: State, sharpness: float = DEAREST) -> Floats:
    """[P]: each row's part by its demand's strategy, before any scarcity."""
    prepared = state.prepared
    weight = prepared.weight.astype(np.float64)
    strategy = prepared.strategy[prepared.demand]
    if (strategy == MOST_FREE).any():
        rows = np.flatnonzero(strategy == MOST_FREE)
        weight[rows] *= np.maximum(free_share(state), LEAST_SHARE)[prepared.site[rows]]
    if (strategy == PACK).any():
        rows = np.flatnonzero(strategy == PACK)
        fullest = 1.0 + 100.0 * (1 - free_share(state))[prepared.site[rows]]
        weight[rows] = np.where(weight[rows] > 0, fullest + 1e-6 * weight[rows], 0.0)
    if (strategy == COST).any():
        rows = np.flatnonzero(strategy == COST)
        dear = dearness(prepared, row_costs(prepared, rows), rows)
        weight[rows] = np.where(
            weight[rows] > 0, np.exp(-np.minimum(sharpness * dear, 2 * EXPONENT_MAX)), 0.0
        )
    return weight


def free_share(state: State) -> Floats:
    """[S]: the free share of the scarcest resource, or the idle share of the live load where that is smaller."""
    prepared = state.prepared
    share = np.where(
        prepared.capacity > 0,
        state.free / np.maximum(prepared.capacity, 1),
        np.where(state.free > 0, 1.0, 0.0),
    )
    used = prepared.capacity.sum(axis=0) > 0
    smallest = share[:, used].min(axis=1) if used.any() else np.ones(len(share))
    return np.clip(np.minimum(smallest, prepared.idle), 0.0, 1.0)


def row_costs(prepared: Prepared, rows: Ints) -> Floats:
    """The price of one replica at each row, an hour."""
    cost: Floats = np.einsum(
        "ij,ij->i",
        prepared.price[prepared.site[rows]],
        prepared.request[prepared.demand[rows]].astype(np.float64),
    )
    return cost


def dearness(prepared: Prepared, cost: Floats, rows: Ints) -> Floats:
    """By how much of its demand's cheapest site each row is dearer, 0 at the cheapest. `rows`: whole demands, in order."""
    demand = prepared.demand[rows]
    first = np.flatnonzero(np.concatenate(([True], demand[1:] != demand[:-1])))
    length = np.diff(np.concatenate((first, [len(demand)])))
    least = np.repeat(np.minimum.reduceat(cost, first), length)
    times = np.minimum(cost, least * DEARNESS_MAX) / np.where(least > 0, least, 1.0) - 1.0
    result: Floats = np.where(least > 0, times, np.minimum(cost, DEARNESS_MAX))
    return result


def set_prices(plan: Plan, demands: Ints, prices: Floats) -> None:
    """Weights after the shadow prices, for the rows of these demands."""
    prepared = plan.state.prepared
    rows, offset = rows_of_demands(prepared, demands)
    mix = mix_of(prepared, prepared.free, demands)
    price = row_prices(mix, np.diff(offset), prices, prepared.site[rows])
    plan.priced[rows] = plan.weight[rows] * np.exp(-price)


def place_tier(plan: Plan, demands: Ints) -> None:
    """Place what these demands (of one tier) miss."""
    state, spreads = plan.state, plan.spreads
    demands = demands[state.missing[demands] > 0]
    if not len(demands):
        return
    limits = place_first(plan, demands)
    _place_groups(plan, demands, limits)
    soft = demands[spreads.with_soft[demands] & (state.missing[demands] > 0)]
    if len(soft):
        _place_groups(plan, soft, spreads.limits(state, soft, hard_only=True))
    if limits is not None:
        cut_back(state, spreads, demands)


def place_first(plan: Plan, demands: Ints) -> Limits | None:
    """What comes before weights: minimums, one replica in each domain of a spread, standby. Returns the spreads' limits.

    Domains that there must be come before minimums: all replicas of a demand that has too few of them would be taken back.
    """
    state, spreads = plan.state, plan.spreads
    hard = spreads.limits(state, demands, hard_only=True) if spreads.with_any[demands].any() else None
    must = spreads.with_seeds & spreads.with_hard & state.prepared.with_minimum
    if must[demands].any():
        seed_domains(state, spreads, demands[must[demands]], plan.priced, hard, hard_only=True)
    _place_minimums(plan, demands, hard)
    limits = spreads.limits(state, demands, hard_only=False) if hard is not None else None
    if spreads.with_seeds[demands].any():
        seed_domains(state, spreads, demands, plan.priced, limits)
    _place_standby(plan, demands, limits)
    return limits


def _place_minimums(plan: Plan, demands: Ints, limits: Limits | None) -> None:
    """As far as they go: a minimum that finds no room is a shortfall, not a refusal. Where there are fewer replicas than
    minimums, those of earlier groups come first.
    """
    prepared = plan.state.prepared
    demands = demands[prepared.with_minimum[demands]]
    if not len(demands):
        return
    rows, offset = rows_of_demands(prepared, demands)
    owed = np.maximum(prepared.minimum[rows] - plan.state.held[rows], 0)
    sums = segment_sums(owed, offset)
    some = (sums > 0) & ~prepared.whole[demands]
    if not some.any():
        return
    too_many = some & (sums > plan.state.missing[demands])
    for group in np.unique(prepared.group[rows[owed > 0]]) if too_many.any() else ():
        _place_owed(plan, demands[too_many], limits, int(group))
    _place_owed(plan, demands[some & ~too_many], limits, None)


def _place_owed(plan: Plan, demands: Ints, limits: Limits | None, group: int | None) -> None:
    """What the rows of these demands (of one group of theirs) hold less than their minimums."""
    state = plan.state
    prepared = state.prepared
    rows, offset = rows_of_demands(prepared, demands)
    owed = np.maximum(prepared.minimum[rows] - state.held[rows], 0)
    if group is not None:
        owed[prepared.group[rows] != group] = 0
    quota = np.minimum(segment_sums(owed, offset), state.missing[demands])
    ask = ask_for(state, demands, quota, plan.priced, limits=limits)
    kept = np.repeat(quota > 0, np.diff(offset))
    ask.weight = owed[kept].astype(np.float64)
    ask.cap = np.minimum(ask.cap, ask.weight.astype(np.int64))
    ask.single = np.zeros(len(ask.demands), dtype=bool)
    fill(state, ask, fresh=True)


def _place_standby(plan: Plan, demands: Ints, limits: Limits | None) -> None:
    """Warm replicas in the groups after the first."""
    state = plan.state
    prepared = state.prepared
    waiting = demands[(prepared.standby[demands] > 0) & ~prepared.whole[demands]]
    if not len(waiting):
        return
    rows, offset = rows_of_demands(prepared, waiting)
    warm = segment_sums(state.held[rows] * (prepared.group[rows] > 0), offset)
    quota = np.minimum(np.maximum(prepared.standby[waiting] - warm, 0), state.missing[waiting])
    ask = ask_for(state, waiting, quota, plan.priced, limits=limits)
    ask.weight = np.where(prepared.group[ask.rows] > 0, ask.weight, 0.0)
    fill(state, ask, fresh=True)


def _place_groups(plan: Plan, demands: Ints, limits: Limits | None) -> None:
    """Group after group: a later one takes only what the earlier cannot."""
    state = plan.state
    prepared = state.prepared
    demands = demands[state.missing[demands] > 0]
    first, last = prepared.first_group[demands], prepared.last_group[demands]
    several = first < last
    rows, offset = rows_of_demands(prepared, demands[several])
    for group in np.union1d(np.unique(first), prepared.group[rows]).tolist():
        inside = first == group
        inside[several] = segment_sums(prepared.group[rows] == group, offset) > 0
        has = demands[inside]
        ask = ask_for(state, has, state.missing[has], plan.priced, limits=limits, order=plan.order)
        if several[inside].any():
            ask.weight = np.where(prepared.group[ask.rows] == group, ask.weight, 0.0)
        fill(state, ask)
