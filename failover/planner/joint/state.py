"""What is placed while a plan is made, and the one way in which replicas take room: never above what is free."""

from dataclasses import dataclass

import numpy as np

from failover.planner.joint.arrays import Bools, Floats, Ints, Prepared, Rows


@dataclass(frozen=True, slots=True)
class Mark:
    """What some demands hold and miss, and what is free."""

    demands: Ints
    rows: Ints
    held: Rows
    missing: Ints
    free: Ints


@dataclass(slots=True, kw_only=True)
class State:
    """Mutable, owned by one plan. `held` [P]: replicas by row. `kept` [P]: of them, those that ran before and may not
    be moved. `missing` [D]: wanted and not placed. `free` [S, R]: left over. `takes` [S]: sites that take replicas. `most` [P]:
    what a row may hold.
    """

    prepared: Prepared
    held: Rows
    kept: Rows
    missing: Ints
    free: Ints
    takes: Bools
    most: Rows

    @classmethod
    def begin(cls, prepared: Prepared) -> "State":
        """Everything that runs is kept; what is missing is still to be placed."""
        state = cls.standing(prepared)
        state.missing = np.maximum(0, prepared.replicas - segment_sums(state.held, prepared.start))
        return state

    @classmethod
    def standing(cls, prepared: Prepared) -> "State":
        """Everything that runs is kept; nothing is to be placed."""
        return cls(
            prepared=prepared,
            held=prepared.current.copy(),
            kept=prepared.current.copy(),
            missing=np.zeros(len(prepared.demands), dtype=np.int64),
            free=prepared.free.copy(),
            takes=prepared.takes.copy(),
            most=prepared.maximum,
        )

    def copy(self) -> "State":
        """The same, to try something on."""
        return State(
            prepared=self.prepared,
            held=self.held.copy(),
            kept=self.kept,
            missing=self.missing.copy(),
            free=self.free.copy(),
            takes=self.takes,
            most=self.most,
        )

    def mark(self, demands: Ints) -> "Mark":
        """What placing these demands may change."""
        rows, _ = rows_of_demands(self.prepared, demands)
        return Mark(demands, rows, self.held[rows], self.missing[demands], self.free.copy())

    def back_to(self, mark: "Mark") -> None:
        """As it was when `mark` was made, as long as only its demands were placed since."""
        self.held[mark.rows] = mark.held
        self.missing[mark.demands] = mark.missing
        self.free[:] = mark.free

    def become(self, other: "State") -> None:
        """Take over what was tried on a copy."""
        self.held[:] = other.held
        self.missing[:] = other.missing
        self.free[:] = other.free

    def room(self, rows: Ints) -> Ints:
        """How many more replicas each row may hold by its rules, whatever is free; 0 where its site takes none."""
        prepared = self.prepared
        left = self.most.take(rows)  # several times as fast as an index
        left -= self.held.take(rows)
        np.maximum(left, 0, out=left)
        left *= prepared.fits.take(rows)
        left *= self.takes.take(prepared.site.take(rows))
        return left.astype(np.int64)

    def holds_one(self, rows: Ints) -> Bools:
        """Each row's site has free resources for one more replica."""
        prepared = self.prepared
        # As 64 bits once, not by every look-up.
        demand, site = (of.take(rows).astype(np.int64) for of in (prepared.demand, prepared.site))
        result = np.ones(len(rows), dtype=bool)
        for index, asked in enumerate(prepared.asks):
            result &= asked.take(demand) <= self.free[:, index].take(site)
        return result

    def places(self, rows: Ints) -> Ints:
        """How many more replicas each row's site has free resources for."""
        prepared = self.prepared
        return places_in(self.free[prepared.site[rows]], prepared.request[prepared.demand[rows]])

    def put(self, row: int, number: int) -> None:
        """Place (or with a negative number take away) replicas at one row; the caller has checked that they fit."""
        prepared = self.prepared
        demand, site = prepared.demand[row], prepared.site[row]
        self.held[row] += number
        self.missing[demand] -= number
        self.free[site] -= prepared.request[demand] * number

    def take_away(self, rows: Ints, numbers: Ints) -> None:
        """Take `numbers` of replicas away at distinct rows."""
        prepared = self.prepared
        self.held[rows] -= numbers.astype(np.int32)
        np.add.at(self.missing, prepared.demand[rows], numbers)
        np.add.at(self.free, prepared.site[rows], prepared.request[prepared.demand[rows]] * numbers[:, None])

    def accept(self, rows: Ints, numbers: Ints, order: Floats | None = None) -> Ints:
        """Place as many of `numbers` as fit, site by site in the order of the rows (`order`: a sort key instead).

        Returns what was placed of each. Of a `whole` demand all or nothing is.
        """
        prepared = self.prepared
        site = prepared.site.take(rows)
        if order is None:
            by_site = np.argsort(_short(site), kind="stable")
        else:
            by_site = np.lexsort((order, site))
        site, rows, wanted = site.take(by_site), rows.take(by_site), numbers.take(by_site)
        demand = prepared.demand.take(rows)
        request = prepared.request.take(demand, axis=0)
        asked = request * wanted[:, None]
        before = np.cumsum(asked, axis=0) - asked
        first = np.flatnonzero(np.concatenate(([True], site[1:] != site[:-1])))
        spans = np.diff(np.concatenate((first, [len(site)])))
        before -= np.repeat(before[first], spans, axis=0)
        placed = np.minimum(np.maximum(places_in(self.free.take(site, axis=0) - before, request), 0), wanted)
        placed[prepared.whole[demand] & (placed < wanted)] = 0
        self.held[rows] += placed.astype(np.int32)
        self.free[site[first]] -= np.add.reduceat(request * placed[:, None], first, axis=0)
        if len(demand) < len(self.missing):
            np.subtract.at(self.missing, demand, placed)
        else:
            self.missing -= np.bincount(demand, weights=placed, minlength=len(self.missing)).astype(np.int64)
        result = np.empty_like(placed)
        result[by_site] = placed
        return result


def places_in(free: Ints, request: Ints) -> Ints:
    """Replicas of `request` [n, R] that `free` [n, R] holds, row by row; a resource not asked for bounds nothing."""
    result = np.full(len(request), np.iinfo(np.int64).max // 4, dtype=np.int64)
    for index in range(request.shape[1]):
        asked = request[:, index]
        np.minimum(result, np.where(asked > 0, free[:, index] // np.maximum(asked, 1), result), out=result)
    return np.maximum(result, 0)


def segment_sums(values: Rows | Ints | Floats | Bools, start: Ints) -> Ints:
    """Sums over `start[i]:start[i + 1]`, 0 for an empty one."""
    sums = np.zeros(len(start) - 1, dtype=np.int64)
    some = np.flatnonzero(start[1:] > start[:-1])
    if len(some):
        sums[some] = np.add.reduceat(values, start[some], dtype=np.int64)
    return sums


def missing_by_tier(state: State) -> list[int]:
    """Replicas without a place, the first tier first: of two plans the one whose list is less is better."""
    levels, of = np.unique(state.prepared.tier, return_inverse=True)
    sums: list[int] = np.bincount(of, weights=state.missing, minlength=len(levels)).astype(int).tolist()
    return sums


def rows_of_demands(prepared: Prepared, demands: Ints) -> tuple[Ints, Ints]:
    """All rows of these demands, and where each one's begin (length n + 1)."""
    begin = prepared.start[demands]
    length = prepared.start[demands + 1] - begin
    offset = np.concatenate(([0], np.cumsum(length)))
    rows = np.arange(offset[-1]) + np.repeat(begin - offset[:-1], length)
    return rows, offset


def _short(site: Rows) -> Rows | np.ndarray[tuple[int], np.dtype[np.uint16]]:
    """Sorted by radix where the numbers are small enough for 16 bits."""
    return site.astype(np.uint16) if len(site) and int(site.max()) < 2**16 else site
