"""Packing some sites anew where replicas have no place although the linear program has room for them.

Where a site holds few replicas, the room that no whole one fills is what a plan loses, and no chain of moves changes the mix of
a whole site. So a few neighbouring sites give back what this plan placed there and are packed again one by one, each near the
program's fractions and as full as a beam search finds it; the program is solved again for those that are left. The better plan,
tier by tier, stays, and so does an equal one: from another mix the next sites may find more.

What ran stays, and so do minimums, standby, and demands that take all or nothing or whose spread must hold. Groups, weights and
spreads that may be left guide the program, as in `guided`. The sites follow from a fixed sequence and the work is
counted in programs, not in seconds: the same problem has the same answer.

Source: Shaw, "Using constraint programming and local search methods to solve vehicle routing problems" (1998).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from failover.planner.joint import program
from failover.planner.joint.arrays import STRATEGIES, Bools, Floats, Ints, Rows
from failover.planner.joint.problem import Strategy
from failover.planner.joint.repair import Repair, SiteIndex
from failover.planner.joint.spread import Spreads
from failover.planner.joint.state import State, missing_by_tier

PACK = STRATEGIES.index(Strategy.PACK)
WORK = 100_000_000
"""Multiplications in the programs' dense systems, with `WORK_EACH` for whatever else one takes: one or two seconds."""
WORK_EACH = 300_000
WORTHWHILE = 0.01
"""Nothing is searched unless the program places so much more, as a share of all replicas: most small fleets are nearer."""
SITES = (3, 13)
"""So many are packed anew at once, the last number not among them."""
NEARNESS = 0.3
"""The least part of what two sites have in common that always counts; chance decides on the rest."""
BEAM = 32
DEVIATIONS = (0.02, 0.15)
"""What one replica more or less than the program's part costs, of its own price: how far a site's mix may stray."""
LACKING = 1.5
"""Room that the demands still to come lack counts so much more than room left over, which others may fill."""
ATTEMPTS = 30
EDGE = 1e-9
ORDERS = 4


@dataclass(slots=True, kw_only=True)
class Repack:
    """One search. `weight` [P], `size` [D]: as in the plan. `movable` [D]: demands whose replicas may change places one by one."""

    state: State
    spreads: Spreads
    index: SiteIndex
    weight: Floats
    size: Floats
    movable: Bools = field(init=False)
    work: int = WORK
    _draw: Iterator[float] = field(init=False)

    def __post_init__(self) -> None:
        prepared = self.state.prepared
        fixed = prepared.whole | prepared.hold | (prepared.standby > 0) | (prepared.strategy == PACK)
        self.movable = ~(fixed | self.spreads.with_hard)
        self._draw = _numbers()

    def run(self) -> bool:
        """Place more where that is found; True where it was. Changes `state` only then. Ends with the work, or after as many
        tries in vain as there are sites.
        """
        state = self.state
        if not self._may_gain():
            return False
        begun, best = missing_by_tier(state), state.copy()
        missing, near, in_vain = begun, _neighbours(state, self.weight), 0
        while self.work > 0 and in_vain < len(near):
            waiting = np.flatnonzero((best.missing > 0) & self.movable)
            if not len(waiting):
                break
            tried = self._stripped(best, self._sites(near, waiting))
            self._pack(tried)
            if (found := missing_by_tier(tried)) > missing:
                tried.takes = state.takes
                self._mend(tried)
                found = missing_by_tier(tried)
            in_vain = 0 if found < missing else in_vain + 1
            if found <= missing:
                tried.takes = state.takes
                best, missing = tried, found
        if missing < begun:
            state.become(best)
        return missing < begun

    def _may_gain(self) -> bool:
        """The program finds room for more than a few, with everything that may move free to."""
        state = self.state
        if not ((state.missing > 0) & self.movable).any():
            return False
        whole = self._stripped(state, np.flatnonzero(state.takes))
        asked = self._read(whole)
        if asked is None:
            return False
        prepared, demands = state.prepared, self.movable
        parts = program.solve(asked)
        level = np.searchsorted(prepared.levels, prepared.tier)
        there = np.bincount(level[prepared.demand[asked.rows]], weights=parts, minlength=len(prepared.levels))
        placed = (whole.missing - state.missing)[demands]
        here = np.bincount(level[demands], weights=placed, minlength=len(prepared.levels))
        more = np.maximum(there - here, 0).sum()
        return bool(more >= max(1.0, WORTHWHILE * float(prepared.replicas.sum())))

    def _sites(self, near: Ints, waiting: Ints) -> Ints:
        """One where a replica without a place may stand, and some to which much of what it holds may go."""
        draw, prepared = self._draw, self.state.prepared
        demand = int(waiting[int(next(draw) * len(waiting))])
        rows = np.arange(prepared.start[demand], prepared.start[demand + 1])
        rows = rows[prepared.fits[rows] & self.state.takes[prepared.site[rows]]]
        if not len(rows):
            return rows
        first = int(prepared.site[rows[int(next(draw) * len(rows))]])
        number = int(SITES[0] + next(draw) * (SITES[1] - SITES[0]))
        score = near[first] * (NEARNESS + np.array([next(draw) for _ in range(len(near))]))
        score[first] = np.inf
        score[~self.state.takes] = 0
        order = np.argsort(-score, kind="stable")[:number]
        chosen: Ints = order[score[order] > 0]
        return chosen

    def _stripped(self, state: State, sites: Ints) -> State:
        """A copy that takes replicas at these sites only, without those that this plan put there and that may move."""
        prepared, stripped = state.prepared, state.copy()
        stripped.takes = np.zeros(len(prepared.sites), dtype=bool)
        stripped.takes[sites] = True
        loose = np.maximum(state.held - np.maximum(state.kept, prepared.minimum), 0).astype(np.int64)
        loose[~(self.movable[prepared.demand] & stripped.takes[prepared.site])] = 0
        rows = np.flatnonzero(loose)
        stripped.take_away(rows, loose[rows])
        return stripped

    def _read(self, state: State) -> program.Program | None:
        demands = np.flatnonzero((state.missing > 0) & self.movable)
        self.work -= len(demands) * (int(state.takes.sum()) * state.free.shape[1]) ** 2 + WORK_EACH
        return program.read(state, self.spreads, self.weight, demands)

    def _pack(self, state: State) -> None:
        """Site after site, until each that takes replicas had its turn."""
        prepared = state.prepared
        order, deviation = int(next(self._draw) * ORDERS), DEVIATIONS[int(next(self._draw) * len(DEVIATIONS))]
        todo = state.takes.copy()
        while (asked := self._read(state)) is not None:
            answer = program.answer(asked, state.free.size)
            site = prepared.site[asked.rows]
            open_ = np.unique(site[todo[site]])
            if not len(open_):
                return
            at = int(open_[np.argmin(_turn(answer, site, len(prepared.sites), order)[open_])])
            todo[at] = False
            inside = np.flatnonzero(site == at)
            rows = asked.rows[inside]
            mix = _Mix(
                parts=answer.parts[inside],
                asked=asked.asked[inside, : state.free.shape[1]],
                price=answer.price.reshape(-1, state.free.shape[1])[at],
                gain=answer.gain[inside],
                bound=asked.bound[inside].astype(np.int64),
                deviation=deviation,
            )
            state.accept(rows, _fill(mix))

    def _mend(self, state: State) -> None:
        """The last sites packed had to take what was left: what found no place there may find one by a move."""
        prepared = state.prepared
        repair = Repair(
            state=state, spreads=self.spreads, index=self.index, size=self.size, attempts=ATTEMPTS
        )
        for tier in prepared.levels.tolist():
            repair.place(np.flatnonzero((prepared.tier == tier) & (state.missing > 0) & self.movable), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mix:
    """What one site may hold: by row the program's `parts` [n], `asked` [n, R] of what is free, `gain` [n] (worth of a replica
    here beyond what it is worth elsewhere), `bound` [n]; `price` [R] of all that is free.
    """

    parts: Floats
    asked: Floats
    price: Floats
    gain: Floats
    bound: Ints
    deviation: float


def _fill(mix: _Mix) -> Ints:
    """[n]: whole replicas near `parts` that leave least of what is dear: a beam search, the largest replicas first."""
    order = np.argsort(-mix.asked.max(axis=1), kind="stable")
    parts = (mix.parts[:, None] * mix.asked)[order]
    to_come = np.concatenate((np.cumsum(parts[::-1], axis=0)[::-1][1:], np.zeros((1, parts.shape[1]))))
    left, lost = np.ones((1, len(mix.price))), np.zeros(1)
    numbers = np.zeros((1, len(order)), dtype=np.int64)
    paid = (mix.asked * mix.price).sum(axis=1)
    for place, at in enumerate(order.tolist()):
        whole = int(mix.parts[at] + EDGE)
        options = np.arange(max(0, whole - 1), min(int(mix.bound[at]), whole + 2) + 1)
        options = options if options[:1] == 0 else np.concatenate(([0], options))
        after = (left[:, None, :] - options[None, :, None] * mix.asked[at]).reshape(-1, len(mix.price))
        fits = np.flatnonzero((after >= -EDGE).all(axis=1))
        parent, chosen = fits // len(options), options[fits % len(options)]
        off = mix.deviation * paid[at] * np.abs(chosen - mix.parts[at])
        lost = lost[parent] + off + (paid[at] - mix.gain[at]) * chosen
        left, numbers = after[fits], numbers[parent]
        numbers[:, at] = chosen
        over = left - to_come[place]
        score = lost + (np.where(over >= 0, over, -LACKING * over) * mix.price).sum(axis=1)
        if len(score) > BEAM:
            keep = np.argsort(np.round(score * program.GRAIN), kind="stable")[:BEAM]
            left, numbers, lost = left[keep], numbers[keep], lost[keep]
    best: Ints = numbers[int(np.argmin(np.round((lost + (left * mix.price).sum(axis=1)) * program.GRAIN)))]
    return best


def _turn(answer: program.Answer, site: Ints | Rows, sites: int, order: int) -> Floats:
    """[S]: the site with the least goes first: by what it is to hold, few or many; by what the program cuts; the dearest."""
    if order == 3:
        dear: Floats = answer.price.reshape(sites, -1).sum(axis=1)
        return -dear
    parts = answer.parts
    if order == 2:
        parts = np.abs(parts - np.round(parts)) * answer.gain
    turn: Floats = np.bincount(site, weights=parts, minlength=sites).astype(np.float64)
    return -turn if order == 1 else turn


def _neighbours(state: State, weight: Floats) -> Ints:
    """[S, S]: how many demands may stand at both sites."""
    prepared = state.prepared
    may = np.zeros((len(prepared.demands), len(prepared.sites)), dtype=np.int64)
    rows = np.flatnonzero(prepared.fits & (weight > 0))
    may[prepared.demand[rows], prepared.site[rows]] = 1
    found: Ints = may.T @ may
    return found


def _numbers() -> Iterator[float]:
    """A fixed sequence between 0 and 1: what looks like chance is the same in every plan (Knuth's MMIX generator)."""
    number = 12345
    while True:
        number = (number * 6364136223846793005 + 1442695040888963407) % 2**64
        yield (number >> 33) / 2**31
