"""Placing one tier by the linear program: whole replicas near its fractions, so that what it gives to others stays free.

A site's *budget* is what is free less what the program gives there to demands that are still to come. Each demand first
gives its own part back to the budgets, then takes whole replicas, rounded up where that hurts a budget least. So
the error of one demand is made good by the next, and a site is off by about one replica, not by the root of their number.
What no budget allows waits, and the program is solved again for it.
"""

import numpy as np

from failover.planner.joint import program
from failover.planner.joint.arrays import STRATEGIES, Floats, Ints
from failover.planner.joint.phases import Plan, place_first, place_tier
from failover.planner.joint.problem import Strategy
from failover.planner.joint.spread import Spreads
from failover.planner.joint.state import State

PACK = STRATEGIES.index(Strategy.PACK)
ROUNDS = 4
WORTHWHILE = 0.5
"""Another round is worth its program while one leaves no more than this part of what it found missing."""
OVER_MAX = 0.3
"""A replica may be so much of itself above a site's budget."""
SLACK = 2 / program.GRAIN
EPSILON = 1e-9

Domains = list[tuple[Ints, Ints]]


def place_guided(plan: Plan, demands: Ints, size: Floats) -> None:
    """Place what these demands (of one tier) miss, and leave to later tiers what the program gives to them."""
    state, prepared = plan.state, plan.state.prepared
    at_once = prepared.whole | plan.spreads.with_hard | (prepared.strategy == PACK)
    later = np.flatnonzero((prepared.tier >= prepared.tier[demands[0]]) & (state.missing > 0))
    place_first(plan, demands[~at_once[demands]])
    for number in range(ROUNDS):
        missing = int(state.missing[demands].sum())
        asked = program.read(state, plan.spreads, plan.weight, later[state.missing[later] > 0])
        if not missing or asked is None:
            break
        parts = program.solve(asked)
        plan.priced[:] = EPSILON * plan.weight
        plan.priced[asked.rows] += parts
        if number == 0:
            place_tier(plan, demands[at_once[demands]])
        _round(plan, asked, parts, demands[~at_once[demands]], size)
        if state.missing[demands].sum() > WORTHWHILE * missing:
            break
    place_tier(plan, demands)


def _round(plan: Plan, asked: program.Program, parts: Floats, demands: Ints, size: Floats) -> None:
    """The largest first: the small ones find a place in what those leave."""
    state, prepared = plan.state, plan.state.prepared
    budget = state.free.astype(np.float64)
    of = prepared.demand[asked.rows]
    np.subtract.at(budget, prepared.site[asked.rows], parts[:, None] * prepared.request[of])
    first = np.searchsorted(of, np.arange(len(prepared.demands) + 1))
    for demand in demands[np.argsort(-size[demands], kind="stable")].tolist():
        inside = slice(first[demand], first[demand + 1])
        if inside.start < inside.stop:
            rows = asked.rows[inside]
            domains = _domains(state, plan.spreads, rows, parts[inside])
            _round_one(state, rows, parts[inside], budget, domains)


def _domains(state: State, spreads: Spreads, rows: Ints, parts: Floats) -> Domains:
    """For each spread of this demand: the domain of each row, and what may still be placed in each."""
    if not spreads.with_any[state.prepared.demand[rows[0]]]:
        return []
    found: Domains = []
    for table in spreads.tables:
        slot = table.slot[rows]
        if (slot < 0).any():
            continue
        domains, of = np.unique(slot, return_inverse=True)
        left = table.bound[domains] - table.held(state)[domains]
        given = np.ceil(np.bincount(of, weights=parts) - SLACK).astype(np.int64)
        found.append((of, np.maximum(left, given)))
    return found


def _round_one(state: State, rows: Ints, parts: Floats, budget: Floats, domains: Domains) -> None:
    """Place one demand's `parts` at `rows` in whole replicas; changes `budget` [S, R]."""
    prepared = state.prepared
    demand, site = int(prepared.demand[rows[0]]), prepared.site[rows]
    request = prepared.request[demand]
    budget[site] += parts[:, None] * request
    holds = (budget[site] / np.maximum(request, EPSILON)).min(axis=1)
    bound = np.minimum(state.places(rows), state.room(rows))
    wanted = min(int(state.missing[demand]), int(parts.sum() + 0.5))
    numbers = np.minimum(np.floor(parts + SLACK), np.maximum(np.floor(holds + SLACK), 0))
    numbers = np.minimum(numbers, bound).astype(np.int64)
    while numbers.sum() > wanted:
        numbers[np.argmax(numbers - parts)] -= 1
    while numbers.sum() < wanted:
        over = numbers + 1 - holds
        score = np.maximum(over, 0.0) + np.maximum(numbers + 1 - parts, 0.0)
        shut = (numbers >= bound) | (over > OVER_MAX)
        for of, most in domains:
            shut |= (np.bincount(of, weights=numbers) >= most)[of]
        score[shut] = np.inf
        if shut.all():
            break
        # Many at once where they are nearly alike, each row once; one at a time where domains are counted.
        alike = 1 if domains else int((score <= score.min() + 0.5).sum())
        number = min(wanted - int(numbers.sum()), alike)
        numbers[np.argsort(score, kind="stable")[:number]] += 1
    budget[site] -= numbers[:, None] * request
    took = numbers > 0
    state.take_away(rows[took], -numbers[took])
