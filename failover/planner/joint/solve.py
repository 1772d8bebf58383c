"""`solve`: the phases of one plan in their order."""

import numpy as np

from failover.planner.joint.arrays import Prepared, prepare
from failover.planner.joint.phases import Plan, place_tier, strategy_weights, set_prices
from failover.planner.joint.prices import shadow_prices, sizes
from failover.planner.joint.problem import Problem
from failover.planner.joint.repair import Repair
from failover.planner.joint.spread import find_spreads
from failover.planner.joint.state import State

ITERATIONS = 18
AGAIN = 5
ATTEMPTS = 3000
DEPTH = 2


def place(prepared: Prepared) -> State:
    state = State.begin(prepared)
    weight = strategy_weights(state)
    plan = Plan(state, find_spreads(prepared), weight, weight.copy())
    prices, repair = None, None
    for tier in np.unique(prepared.tier):
        demands = np.flatnonzero(prepared.tier == tier)
        later = np.flatnonzero(prepared.tier >= tier)
        n = int(np.clip(1_500_000 // max(1,len(prepared.site)), 1, 6))
        prices = shadow_prices(state, weight, later, n*(ITERATIONS if prices is None else AGAIN), prices)
        set_prices(plan, demands, prices)
        before = state.copy()
        wanted = state.missing[demands].sum()
        place_tier(plan, demands)
        if state.missing[demands].sum() > 0.005 * wanted:
            greedy = state.copy()
            state.become(before)
            plan.order = sizes(prepared)
            place_tier(plan, demands)
            plan.order = None
            if greedy.missing[demands].sum() < state.missing[demands].sum():
                state.become(greedy)
        if state.missing[demands].any() and ATTEMPTS:
            repair = repair or Repair.begin(state, plan.spreads, ATTEMPTS)
            repair.place(demands, DEPTH)
            repair.exchange(demands)
            repair.place(demands, DEPTH)
    return state
