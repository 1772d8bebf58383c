"""Room by moving others: where a demand finds no room, another that has some elsewhere goes there (ejection chains).

The chain `d into s, e from s to t, f from t to u` is tried to a given depth. Everything that moves stays placed, so no
tier loses; only replicas that this plan placed itself move, unless the problem allows others to (`moves`). Where
a tier does not fit, one large replica may also give way to several small ones of its own tier: each counts alike.
"""

from dataclasses import dataclass, field

import numpy as np

from failover.planner.joint.arrays import Floats, Ints, Prepared
from failover.planner.joint.spread import Spreads
from failover.planner.joint.state import State, places_in

TRIED_ROWS = 24
"""Rows of one site that are looked at for one replica: those that give most room for the fewest moved."""


@dataclass(frozen=True, slots=True)
class SiteIndex:
    """Rows by site: those of site s are `rows[start[s]:start[s + 1]]`."""

    rows: Ints
    start: Ints

    @classmethod
    def of(cls, prepared: Prepared) -> "SiteIndex":
        site = prepared.site.astype(np.uint16) if len(prepared.sites) < 2**16 else prepared.site
        counts = np.bincount(prepared.site, minlength=len(prepared.sites))
        return cls(np.argsort(site, kind="stable"), np.concatenate(([0], np.cumsum(counts))))

    def at(self, site: int) -> Ints:
        return self.rows[self.start[site] : self.start[site + 1]]


@dataclass(slots=True, kw_only=True)
class Repair:
    """`size` [D]: a replica's part of the fleet's free room. `attempts`: rooms that may still be looked for; the
    same number for the same problem, so it bounds the time and the answer stays the same.
    """

    state: State
    spreads: Spreads
    index: SiteIndex
    size: Floats
    attempts: int
    done: list[tuple[int, int]] = field(default_factory=list)

    def place(self, demands: Ints, depth: int) -> None:
        """Try to place what these demands miss, one replica after another, the small ones first."""
        state = self.state
        waiting = self._waiting(demands)
        for demand in waiting[np.argsort(self.size[waiting], kind="stable")].tolist():
            while state.missing[demand] > 0 and self.attempts > 0:
                if not self._place_one(demand, depth):
                    break

    def _waiting(self, demands: Ints) -> Ints:
        """Those that miss some; a whole one, and one whose spread must hold, only fits as its phase placed it."""
        fixed = self.state.prepared.whole[demands] | self.spreads.with_hard[demands]
        return demands[(self.state.missing[demands] > 0) & ~fixed]

    def _place_one(self, demand: int, depth: int) -> bool:
        state, prepared = self.state, self.state.prepared
        rows = self._open_rows(demand)
        if not len(rows):
            return False
        request = prepared.request[demand]
        short = np.maximum(request - state.free[prepared.site[rows]], 0)
        order = np.argsort((short / np.maximum(request, 1)).max(axis=1), kind="stable")
        for deep in range(1, depth + 1):
            for row in rows[order].tolist():
                if self._free_up(int(prepared.site[row]), request, deep, (demand,)):
                    state.put(row, 1)
                    return True
                if self.attempts <= 0:
                    return False
        return False

    def _open_rows(self, demand: int) -> Ints:
        """Rows of a demand that its rules let take one more, room or not."""
        state, prepared = self.state, self.state.prepared
        rows = np.arange(prepared.start[demand], prepared.start[demand + 1])
        found: Ints = rows[(state.room(rows) > 0) & (prepared.weight[rows] > 0)]
        return found

    def _free_up(self, site: int, need: Ints, depth: int, chain: tuple[int, ...]) -> bool:
        """Move one demand's replicas from `site` until `need` is free there. Leaves everything as it was on failure."""
        state, prepared = self.state, self.state.prepared
        short = np.maximum(need - state.free[site], 0)
        if not short.any():
            return True
        self.attempts -= 1
        rows, numbers = self._movable(site, short, chain)
        for row, number in zip(rows.tolist(), numbers.tolist(), strict=True):
            demand = int(prepared.demand[row])
            others = self._open_rows(demand)
            others = others[(prepared.site[others] != site) & (state.room(others) >= number)]
            if not len(others):
                continue
            request = prepared.request[demand] * number
            fits = (state.free[prepared.site[others]] >= request).all(axis=1)
            if fits.any():
                best = others[fits]
                self._move(row, int(best[np.argmax(prepared.weight[best])]), number)
                return True
            if depth > 1:
                for other in others.tolist():
                    if self.attempts <= 0:
                        return False
                    mark = len(self.done)
                    if self._free_up(int(prepared.site[other]), request, depth - 1, (*chain, demand)):
                        # The chain may have come back to where it began and used the room there.
                        if (state.free[prepared.site[other]] >= request).all():
                            self._move(row, other, number)
                            if not (need - state.free[site] > 0).any():
                                return True
                        self._undo(mark)
        return False

    def _movable(self, site: int, short: Ints, chain: tuple[int, ...]) -> tuple[Ints, Ints]:
        """Rows at a site whose demands could give up enough, and how many replicas that takes; the lightest first."""
        state, prepared = self.state, self.state.prepared
        rows = self.index.at(site)
        loose = state.held[rows] - state.kept[rows]
        rows, loose = rows[loose > 0], loose[loose > 0]
        demand = prepared.demand[rows]
        request = prepared.request[demand]
        numbers = np.zeros(len(rows), dtype=np.int64)
        for index in np.flatnonzero(short):
            asked = request[:, index]
            numbers = np.maximum(
                numbers, np.where(asked > 0, -(-int(short[index]) // np.maximum(asked, 1)), 2**31)
            )
        ready = (numbers <= loose) & ~np.isin(demand, chain)
        ready &= ~prepared.whole[demand] & ~self.spreads.with_hard[demand]
        ready &= state.held[rows] - numbers >= np.minimum(prepared.minimum[rows], state.held[rows])
        rows, numbers = rows[ready], numbers[ready]
        order = np.argsort(numbers * self.size[prepared.demand[rows]], kind="stable")[:TRIED_ROWS]
        return rows[order], numbers[order]

    def _move(self, row: int, other: int, number: int) -> None:
        self.state.put(row, -number)
        self.state.put(other, number)
        self.done.append((row, number))
        self.done.append((other, -number))

    def _undo(self, mark: int) -> None:
        while len(self.done) > mark:
            row, number = self.done.pop()
            self.state.put(row, number)

    def exchange(self, demands: Ints) -> None:
        """Inside a tier that does not fit: a large replica gives way where more small ones take its room."""
        state = self.state
        waiting = self._waiting(demands)
        for demand in waiting[np.argsort(self.size[waiting], kind="stable")].tolist():
            while state.missing[demand] > 0 and self.attempts > 0 and self._exchange_one(demand, demands):
                pass

    def _exchange_one(self, demand: int, tier: Ints) -> bool:
        state, prepared = self.state, self.state.prepared
        request = prepared.request[demand]
        first, last = int(tier[0]), int(tier[-1])
        for row in self._open_rows(demand).tolist():
            self.attempts -= 1
            site = int(prepared.site[row])
            rows = self.index.at(site)
            of = prepared.demand[rows]
            loose = (state.held[rows] - np.maximum(state.kept[rows], prepared.minimum[rows]) > 0) & (
                of >= first
            )
            rows = rows[loose & (of <= last) & (of != demand)]
            if not len(rows):
                continue
            of = prepared.demand[rows]
            gain = places_in(
                state.free[site] + prepared.request[of], np.broadcast_to(request, (len(rows), len(request)))
            )
            gain = np.minimum(gain, min(int(state.missing[demand]), int(state.room(np.array([row]))[0])))
            gain[prepared.whole[of] | self.spreads.with_hard[of]] = 0
            if gain.max() < 2:
                continue
            at = int(np.lexsort((self.size[of], -gain))[0])
            state.put(int(rows[at]), -1)
            state.put(row, int(gain[at]))
            return True
        return False
