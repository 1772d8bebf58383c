"""`solve`: the phases of one plan in their order."""

import numpy as np

from failover.planner.joint.arrays import Prepared, prepare
from failover.planner.joint.phases import Plan, place_tier, strategy_weights, set_prices
from failover.planner.joint.prices import shadow_prices
from failover.planner.joint.problem import Problem
from failover.planner.joint.spread import find_spreads
from failover.planner.joint.state import State

ITERATIONS = 18
AGAIN = 5


def place(prepared: Prepared) -> State:
    state = State.begin(prepared)
    weight = strategy_weights(state)
    plan = Plan(state, find_spreads(prepared), weight, weight.copy())
    prices = None
    for tier in np.unique(prepared.tier):
        demands = np.flatnonzero(prepared.tier == tier)
        later = np.flatnonzero(prepared.tier >= tier)
        prices = shadow_prices(state, weight, later, ITERATIONS if prices is None else AGAIN, prices)
        set_prices(plan, demands, prices)
        place_tier(plan, demands)
    return state
