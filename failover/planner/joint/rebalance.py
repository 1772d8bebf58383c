"""Moving what runs: only under `rebalance`, only towards the plan from nothing, at most so many replicas."""

import numpy as np

from failover.planner.joint.arrays import Bools, Ints
from failover.planner.joint.state import State, places_in, segment_sums


def move_survivors(state: State, ideal: State, budget: int, together: Bools) -> None:
    """Move at most `budget` replicas that ran before to where `ideal` has more, furthest from it first.

    `together` [D]: demands whose spread must hold move all at once or not at all.

    Every move finds its room free before the old place is left (add before remove), and before any other move has left its own,
    so none depends on another.
    """
    prepared = state.prepared
    distance = segment_sums(np.maximum(state.held - ideal.held, 0), prepared.start)
    order = np.lexsort((prepared.luck, -distance / np.maximum(prepared.replicas, 1), prepared.tier))
    left, free = budget, state.free.copy()
    for demand in order[distance[order] > 0].tolist():
        if left <= 0:
            return
        left -= _move_one(state, ideal, free, demand, left, bool(together[demand]))


def _move_one(state: State, ideal: State, free: Ints, demand: int, budget: int, together: bool) -> int:
    """`free` [S, R]: what is free before anything has left its place; what is added takes of it."""
    prepared = state.prepared
    if prepared.whole[demand]:
        return 0
    rows: Ints = np.arange(prepared.start[demand], prepared.start[demand + 1])
    surplus = np.maximum(state.held[rows] - ideal.held[rows], 0).astype(np.int64)
    lack = np.minimum(np.maximum(ideal.held[rows] - state.held[rows], 0), state.room(rows))
    site = prepared.site[rows]
    request = np.broadcast_to(prepared.request[demand], (len(rows), free.shape[1]))
    lack = np.minimum(lack, places_in(free[site], request))
    number = min(int(surplus.sum()), int(lack.sum()), budget)
    if together and number < int(surplus.sum()):
        return 0
    added, removed = _first(lack, number), _first(surplus, number)
    free[site] -= request * added[:, None]
    for row, amount in zip(rows.tolist(), (added - removed).tolist(), strict=True):
        if amount:
            state.put(row, amount)
    return number


def _first(amounts: Ints, number: int) -> Ints:
    """The first `number` of these amounts, in order."""
    before = np.cumsum(amounts) - amounts
    found: Ints = np.clip(number - before, 0, amounts)
    return found
