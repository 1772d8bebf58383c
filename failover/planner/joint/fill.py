"""Filling sites by vectorised rounds: all demands ask at once, sites give what they have, the rest asks elsewhere.

A demand's missing replicas are shared over its open rows by weight (as far as they are below their part of the total),
rounded by dithered cumulative sums: with few replicas over many sites, largest remainder would give every replica to the
heaviest weights and none to the light ones; a systematic sample with a random start (a hash of the key) gives
every row its exact part on average.
"""

from dataclasses import dataclass

import numpy as np

from failover.planner.joint.arrays import STRATEGIES, Bools, Floats, Ints, Rows
from failover.planner.joint.problem import Strategy
from failover.planner.joint.state import State, rows_of_demands

ROUNDS_MAX = 60
GOLDEN = 0.6180339887498949
EDGE = 1e-6
PACK = STRATEGIES.index(Strategy.PACK)
COST = STRATEGIES.index(Strategy.COST)


@dataclass(slots=True, kw_only=True)
class Ask:
    """What is to be placed in one call: `demands` [n] in order, `quota` [n] replicas of each, at most `cap` [m] more
    at each of their `rows` [m] (`offset` [n + 1]), by `weight` [m]. `limits`: more bounds (spread).
    `order` [n]: who goes first where room is short (None: by hash).
    `single` [n]: everything on one row, which a lot by weight names, or, where `best` [n], the one of most weight.
    """

    demands: Ints
    quota: Ints
    rows: Ints
    offset: Ints
    cap: Ints
    weight: Floats
    single: Bools
    best: Bools
    limits: "Limits | None" = None
    order: Floats | None = None

    def owner(self, at: Ints) -> Ints:
        """Which demand each of these rows is of."""
        found: Ints = np.searchsorted(self.offset, at, side="right") - 1
        return found

    def narrowed(self, rows: Bools) -> "Ask":
        """Only those rows, and the demands that still have any."""
        at = np.flatnonzero(rows)
        number = np.diff(np.searchsorted(at, self.offset))
        has = number > 0
        return Ask(
            demands=self.demands[has],
            quota=self.quota[has],
            rows=self.rows.take(at),
            offset=np.concatenate(([0], np.cumsum(number[has]))),
            cap=self.cap.take(at),
            weight=self.weight.take(at),
            single=self.single[has],
            best=self.best[has],
            limits=self.limits,
            order=None if self.order is None else self.order[has],
        )


class Limits:
    """Bounds on groups of rows: `slot` [P] names the group of a row (-1: none), `left` what each may still take."""

    def __init__(self, tables: list[tuple[Rows, Ints]]) -> None:
        self.tables = tables

    def clip(self, rows: Ints, numbers: Ints) -> Ints:
        """At most what is left of each group, first rows first."""
        for slot, left in self.tables:
            of = slot[rows]
            bound = np.flatnonzero((of >= 0) & (numbers > 0))
            if not len(bound):
                continue
            order = bound[np.argsort(of[bound], kind="stable")]
            wanted = numbers[order]
            group = of[order]
            first = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
            before = np.cumsum(wanted) - wanted
            before -= np.repeat(before[first], np.diff(np.concatenate((first, [len(group)]))))
            numbers = numbers.copy()
            numbers[order] = np.clip(left[group] - before, 0, wanted)
        return numbers

    def open(self, rows: Ints) -> Bools:
        """Rows whose groups all may still take one."""
        result = np.ones(len(rows), dtype=bool)
        for slot, left in self.tables:
            of = slot.take(rows)
            result &= (of < 0) | (left.take(of, mode="wrap") > 0)
        return result

    def took(self, rows: Ints, numbers: Ints) -> None:
        for slot, left in self.tables:
            of = slot[rows]
            inside = of >= 0
            np.subtract.at(left, of[inside], numbers[inside])


def ask_for(
    state: State,
    demands: Ints,
    quota: Ints,
    weight: Floats,
    *,
    limits: Limits | None = None,
    order: Floats | None = None,
) -> Ask:
    """All rows of these demands. `weight` [P] is over all rows, `order` [D] over all demands."""
    demands, quota = demands[quota > 0], quota[quota > 0]
    rows, offset = rows_of_demands(state.prepared, demands)
    strategy = state.prepared.strategy[demands]
    return Ask(
        demands=demands,
        quota=quota,
        rows=rows,
        offset=offset,
        cap=state.room(rows),
        weight=weight.take(rows),
        single=state.prepared.whole[demands] | (strategy == PACK),
        best=(strategy == PACK) | (strategy == COST),
        limits=limits,
        order=None if order is None else order[demands],
    )


def fill(state: State, ask: Ask, *, fresh: bool = False, rounds_max: int = ROUNDS_MAX) -> None:
    """Place what fits. `fresh`: what a row holds already is nothing to its share. Changes `state`.

    A row that is closed stays so, as nobody gives anything back meanwhile. Every round with a proposal places at least one
    replica of it or closes what it asked for, so it ends.
    """
    for number in range(rounds_max):
        open_ = _open(state, ask)
        if not open_.all():
            ask = ask.narrowed(open_)
        if not len(ask.rows):
            return
        proposal = _propose(state, ask, fresh, number)
        asked = np.flatnonzero(proposal)
        if not len(asked):
            continue
        rows, numbers = ask.rows[asked], proposal[asked]
        placed = state.accept(rows, numbers, None if ask.order is None else ask.order[ask.owner(asked)])
        if ask.limits is not None:
            ask.limits.took(rows, placed)
        ask.cap[asked] -= placed
        owner = ask.owner(asked)
        ask.quota -= np.bincount(owner, weights=placed, minlength=len(ask.quota)).astype(np.int64)
        if ask.single[owner].any():
            refused = (placed == 0) & ask.single[owner]
            ask.cap[asked[refused]] = 0


def _open(state: State, ask: Ask) -> Bools:
    """Rows that may take one more replica (of a `whole` demand: all that it asks for) of a demand that still asks."""
    prepared = state.prepared
    length = np.diff(ask.offset)
    result = (ask.cap > 0) & (ask.weight > 0)
    if not (live := ask.quota > 0).all():
        result &= np.repeat(live, length)
    whole = prepared.whole[ask.demands]
    times = np.where(whole, ask.quota, 1) if whole.any() else 1
    site = prepared.site.take(ask.rows).astype(np.int64)
    for index, asks in enumerate(prepared.asks):
        request, free = asks.take(ask.demands) * times, state.free[:, index].copy()
        if len(request) and request.max() > free.min():
            result &= free.take(site) >= np.repeat(request, length)
    if ask.limits is not None:
        result &= ask.limits.open(ask.rows)
    return result


def _propose(state: State, ask: Ask, fresh: bool, number: int) -> Ints:
    """Replicas that each row asks for in this round; every row is open."""
    prepared = state.prepared
    held: Rows | None = None
    if not fresh:
        # Minimums count towards no weight, as in `divide`.
        held = state.held.take(ask.rows)
        held -= prepared.minimum.take(ask.rows)
        np.maximum(held, 0, out=held)
    share = _shares(ask.weight, ask.quota.astype(np.float64), ask.offset, held)
    luck = prepared.luck[ask.demands]
    if ask.single.any():
        share = _on_one_row(ask, share, number, luck)
    proposal = np.minimum(dither(share, ask.offset, luck, number), ask.cap)
    return proposal if ask.limits is None else ask.limits.clip(ask.rows, proposal)


def _shares(weight: Floats, quota: Floats, offset: Ints, held: Rows | None) -> Floats:
    """[m]: each row's part of its demand's quota by what it is below its part of everything. `held` None: nothing counts."""
    length, first = np.diff(offset), offset[:-1]
    total = np.add.reduceat(weight, first)
    if held is None or not held.any():
        share = weight * np.repeat(quota / total, length)
    else:
        share = weight * np.repeat((np.add.reduceat(held, first) + quota) / total, length)
        share -= held
        np.maximum(share, 0.0, out=share)
    short = np.add.reduceat(share, first)
    share *= np.repeat(quota / np.where(short > 0, short, 1.0), length)
    return share


def dither(share: Floats, offset: Ints, luck: Floats, number: int) -> Ints:
    """Whole parts of `share` by cumulative sums with a start between 0 and 1 from `luck` and the round's `number`.

    Each part differs from its share by less than one, the sum from its share's by rounding only, and over many
    demands every part has its share on average.
    """
    total = np.cumsum(share)
    first = offset[:-1]
    start = EDGE + (1 - 2 * EDGE) * ((luck + number * GOLDEN) % 1.0)
    start -= np.concatenate(([0.0], total))[first]
    total += np.repeat(start, np.diff(offset))
    np.floor(total, out=total)
    parts = np.empty(len(share), dtype=np.int64)
    np.subtract(total[1:], total[:-1], out=parts[1:], casting="unsafe")
    parts[first] = total[first]
    return np.maximum(parts, 0, out=parts)


def _on_one_row(ask: Ask, share: Floats, number: int, luck: Floats) -> Floats:
    """For `single` demands everything on one row: where a lot by weight falls, or the first of most weight."""
    owner = np.repeat(np.arange(len(ask.demands)), np.diff(ask.offset))
    single, weight = ask.single[owner], ask.weight
    total = np.cumsum(weight)
    before = np.concatenate(([0.0], total))[ask.offset[:-1]]
    end = total[ask.offset[1:] - 1]
    mark = (before + (end - before) * ((luck + number * GOLDEN) % 1.0))[owner]
    hit = single & (total > mark) & (total - weight <= mark)
    if ask.best.any():
        best = ask.best[owner]
        top = weight == np.maximum.reduceat(weight, ask.offset[:-1])[owner]
        order = np.cumsum(top)
        earlier = np.concatenate(([0], order))[ask.offset[:-1]][owner]
        hit = np.where(best, single & top & (order - earlier == 1), hit)
    return np.where(single, np.where(hit, ask.quota[owner], 0), share)
