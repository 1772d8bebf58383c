"""The last pass of the cost strategy: replicas that this plan placed go to a cheaper site where there is room, or change places.

A move needs room; an exchange of two demands' replicas needs the difference of their sizes only, and pays where the
one gains more than the other loses. What comes before the strategy stays as it is: minimums, and how many replicas each
ordered group holds (warm standby among them). A spread is left no worse: no domain goes above its bound, none is emptied.
"""

import numpy as np

from failover.planner.joint.arrays import Bools, Floats, Ints, Rows
from failover.planner.joint.repair import SiteIndex
from failover.planner.joint.spread import NO_BOUND, Spreads, SpreadTable, percent_of
from failover.planner.joint.state import State, rows_of_demands

SWEEPS = 20
"""With 6, sixty small fleets cost 2.0 % more than the least that is possible, with 20 they cost 1.7 %."""
EXCHANGES_ROWS_MAX = 60_000
"""Exchanges look at pairs of rows, so they are for fleets of this size; larger ones are even enough without."""
GAIN_MIN = 1e-9


def cheapen(state: State, spreads: Spreads, index: SiteIndex, demands: Ints) -> None:
    """Lower the cost of these demands; no replica loses its place."""
    prepared = state.prepared
    if not len(demands) or not (state.held > state.kept).any():
        return
    rows, _ = rows_of_demands(prepared, demands)
    cost = np.einsum("ij,ij->i", prepared.price[prepared.site[rows]], prepared.request[prepared.demand[rows]])
    table = np.full(len(prepared.site), np.inf)
    table[rows] = cost
    keeps = Keeps(state, spreads)
    narrow, wide = keeps.narrow(rows), keeps.wide(rows)
    for _ in range(SWEEPS):
        moved = _move_down(state, keeps, *narrow, table, crosses=False)
        moved += _move_down(state, keeps, *wide, table, crosses=True)
        if len(rows) <= EXCHANGES_ROWS_MAX:
            moved += _exchange(state, keeps, index, rows, table)
        if not moved:
            return


class Keeps:
    """What moves leave as it is."""

    def __init__(self, state: State, spreads: Spreads) -> None:
        self._state, self._spreads = state, spreads
        self._held: list[Ints] = [table.held(state) for table in spreads.tables]
        self._bound: list[Ints] = [_bounds(state, table, place) for place, table in enumerate(spreads.tables)]

    def narrow(self, rows: Ints) -> tuple[Ints, Ints]:
        """(rows, offset): those of demands with a spread, in parts of one group and one domain of every kind."""
        prepared = self._state.prepared
        rows = rows[self._spreads.with_any[prepared.demand[rows]]]
        return self._parts(rows, *(table.slot[rows] for table in self._spreads.tables))

    def wide(self, rows: Ints) -> tuple[Ints, Ints]:
        """(rows, offset): in parts of one group; those of demands whose spread must hold never leave a domain."""
        prepared = self._state.prepared
        return self._parts(rows[~self._spreads.with_hard[prepared.demand[rows]]])

    def _parts(self, rows: Ints, *domains: Rows) -> tuple[Ints, Ints]:
        prepared = self._state.prepared
        keys = [
            np.asarray(key, dtype=np.int64) for key in (*domains, prepared.group[rows], prepared.demand[rows])
        ]
        order = np.lexsort(keys)
        differs = np.zeros(max(0, len(rows) - 1), dtype=bool)
        for key in keys:
            differs |= np.diff(key[order]) != 0
        first = np.flatnonzero(np.concatenate(([len(rows) > 0], differs)))
        return rows[order], np.concatenate((first, [len(rows)])).astype(np.int64)

    def may_leave(self, rows: Ints) -> Bools:
        """Their domain keeps a replica without one of theirs, where a number of domains is asked for."""
        result = np.ones(len(rows), dtype=bool)
        seeded = self._spreads.with_seeds[self._state.prepared.demand[rows]]
        for table, held in zip(self._spreads.tables, self._held, strict=True):
            slot = table.slot[rows]
            result &= (slot < 0) | ~seeded | (held[slot] > 1)
        return result

    def may_enter(self, rows: Ints) -> Bools:
        """Their domain is below its bound."""
        result = np.ones(len(rows), dtype=bool)
        for table, held, bound in zip(self._spreads.tables, self._held, self._bound, strict=True):
            slot = table.slot[rows]
            result &= (slot < 0) | (held[slot] < bound[slot])
        return result

    def most(self, sources: Ints, targets: Ints) -> Ints:
        """How many replicas may go from each source row to its target row, of the same demand and group."""
        result = np.full(len(sources), NO_BOUND, dtype=np.int64)
        seeded = self._spreads.with_seeds[self._state.prepared.demand[sources]]
        for table, held, bound in zip(self._spreads.tables, self._held, self._bound, strict=True):
            out, into = table.slot[sources], table.slot[targets]
            leaves = (out >= 0) & (out != into)
            left = np.minimum(bound[into] - held[into], np.where(seeded, held[out] - 1, NO_BOUND))
            result = np.where(leaves, np.minimum(result, np.maximum(left, 0)), result)
        return result

    def allows(self, source: int, target: int) -> bool:
        """One replica may go there."""
        prepared = self._state.prepared
        if prepared.group[source] != prepared.group[target]:
            return False
        demand = prepared.demand[source]
        if not self._spreads.with_any[demand]:
            return True
        if self._spreads.with_hard[demand]:
            return all(table.slot[source] == table.slot[target] for table in self._spreads.tables)
        return bool(self.most(np.array([source]), np.array([target]))[0] > 0)

    def moved(self, sources: Ints, targets: Ints, numbers: Ints) -> None:
        """So many went."""
        for table, held in zip(self._spreads.tables, self._held, strict=True):
            inside = table.slot[sources] >= 0
            np.subtract.at(held, table.slot[sources[inside]], numbers[inside])
            np.add.at(held, table.slot[targets[inside]], numbers[inside])


def _bounds(state: State, table: SpreadTable, place: int) -> Ints:
    """The most in each domain, for what is placed and not for what was wanted."""
    prepared = state.prepared
    bound = table.bound.copy()
    short = (state.missing[table.of] > 0) & (bound < NO_BOUND)
    for slot in np.flatnonzero(short).tolist():
        demand = int(table.of[slot])
        percent = prepared.demands[demand].rules.spread[place].at_most_percent
        if percent is not None:
            bound[slot] = percent_of(percent, int(state.held[prepared.rows_of(demand)].sum()))
    return bound


def _move_down(state: State, keeps: Keeps, rows: Ints, offset: Ints, table: Floats, *, crosses: bool) -> int:
    """Every part's dearest loose replicas to its cheapest site with room, all parts at once, by what they gain.

    `crosses`: a move may leave a domain of a spread.
    """
    prepared = state.prepared
    total = 0
    if not len(rows):
        return total
    owner = np.repeat(np.arange(len(offset) - 1), np.diff(offset))
    first = offset[:-1]
    for _ in range(SWEEPS):
        loose = np.maximum(state.held[rows] - np.maximum(state.kept[rows], prepared.minimum[rows]), 0)
        loose[prepared.whole[prepared.demand[rows]]] = 0
        open_ = (state.room(rows) > 0) & (state.places(rows) > 0) & (prepared.weight[rows] > 0)
        if crosses:
            loose[~keeps.may_leave(rows)] = 0
            open_ &= keeps.may_enter(rows)
        dearest = np.maximum.reduceat(np.where(loose > 0, table[rows], -np.inf), first)
        cheapest = np.minimum.reduceat(np.where(open_, table[rows], np.inf), first)
        gains = np.flatnonzero(cheapest < dearest - GAIN_MIN)
        if not len(gains):
            return total
        source = _first_row(rows, owner, (loose > 0) & (table[rows] == dearest[owner]), gains)
        target = _first_row(rows, owner, open_ & (table[rows] == cheapest[owner]), gains)
        # One part of a demand at a time: two could fill the same domain.
        once = np.unique(prepared.demand[source], return_index=True)[1]
        source, target = source[once], target[once]
        number = np.minimum(
            state.held[source] - np.maximum(state.kept[source], prepared.minimum[source]), state.room(target)
        )
        number = np.minimum(number, keeps.most(source, target)).astype(np.int64)
        placed = state.accept(target, number, -(table[source] - table[target]))
        state.take_away(source, placed)
        keeps.moved(source, target, placed)
        moved = int(placed.sum())
        total += moved
        if not moved:
            return total
    return total


def _first_row(rows: Ints, owner: Ints, chosen: np.ndarray, owners: Ints) -> Ints:
    """For each of `owners` its first chosen row."""
    at = np.flatnonzero(chosen)
    found: Ints = rows[at[np.searchsorted(owner[at], owners)]]
    return found


def _exchange(state: State, keeps: Keeps, index: SiteIndex, rows: Ints, table: Floats) -> int:
    """One replica of a at s against one of b at t, where that is cheaper in sum and both sites have the room."""
    prepared = state.prepared
    site_row = {(int(prepared.demand[row]), int(prepared.site[row])): int(row) for row in rows.tolist()}
    costs = table.tolist()
    moved = 0
    loose = np.flatnonzero(state.held[rows] > np.maximum(state.kept[rows], prepared.minimum[rows]))
    regret = (
        table[rows]
        - np.minimum.reduceat(table, prepared.start[:-1][prepared.start[:-1] < len(table)])[
            prepared.demand[rows]
        ]
    )
    order = loose[np.argsort(-regret[loose], kind="stable")]
    for row in rows[order].tolist():
        demand, site = int(prepared.demand[row]), int(prepared.site[row])
        if prepared.whole[demand] or state.held[row] <= max(state.kept[row], prepared.minimum[row]):
            continue
        others = np.arange(prepared.start[demand], prepared.start[demand + 1])
        others = others[(table[others] < costs[row] - GAIN_MIN) & (state.room(others) > 0)]
        others = others[(prepared.group[others] == prepared.group[row]) & (prepared.weight[others] > 0)]
        for other in others[np.argsort(table[others], kind="stable")].tolist():
            if not keeps.allows(row, other):
                continue
            partner = _partner(state, keeps, index, site_row, costs, (demand, site, row, other))
            if partner is not None:
                back_from, back_to = partner
                state.put(row, -1)
                state.put(back_from, -1)
                state.put(other, 1)
                state.put(back_to, 1)
                keeps.moved(np.array([row, back_from]), np.array([other, back_to]), np.array([1, 1]))
                moved += 1
                break
    return moved


def _partner(
    state: State,
    keeps: Keeps,
    index: SiteIndex,
    site_row: dict[tuple[int, int], int],
    costs: list[float],
    asking: tuple[int, int, int, int],
) -> tuple[int, int] | None:
    """The row at the wanted site whose replica loses least by coming here, and its row here."""
    prepared = state.prepared
    demand, site, row, other = asking
    wanted = int(prepared.site[other])
    rows = index.at(wanted)
    rows = rows[
        (state.held[rows] > np.maximum(state.kept[rows], prepared.minimum[rows]))
        & (prepared.demand[rows] != demand)
    ]
    if not len(rows):
        return None
    of = prepared.demand[rows]
    request = prepared.request[demand]
    fits = (state.free[wanted] + prepared.request[of] >= request).all(axis=1)
    fits &= (state.free[site] + request >= prepared.request[of]).all(axis=1) & ~prepared.whole[of]
    best: tuple[float, int, int] | None = None
    for candidate in rows[fits].tolist():
        here = site_row.get((int(prepared.demand[candidate]), site))
        if here is None or not state.room(np.array([here]))[0] or prepared.weight[here] <= 0:
            continue
        gain = costs[row] - costs[other] + costs[candidate] - costs[here]
        if gain > GAIN_MIN and (best is None or gain > best[0]) and keeps.allows(candidate, here):
            best = (gain, candidate, here)
    return None if best is None else best[1:]
