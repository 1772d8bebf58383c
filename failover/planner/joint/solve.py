"""`solve`: the steps of one plan in their order, tier by tier: prices, phases, repair, shedding, what must be held."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from failover.planner.joint import exact
from failover.planner.joint.arrays import Floats, Ints, Prepared, prepare
from failover.planner.joint.cheapen import cheapen
from failover.planner.joint.findings import check
from failover.planner.joint.guided import place_guided
from failover.planner.joint.phases import COST, Plan, place_tier, set_prices, strategy_weights
from failover.planner.joint.prices import shadow_prices, sizes
from failover.planner.joint.problem import Problem
from failover.planner.joint.program import affords
from failover.planner.joint.rebalance import move_survivors
from failover.planner.joint.repack import Repack
from failover.planner.joint.repair import Repair, SiteIndex
from failover.planner.joint.shed import Given, give_back, shed_for
from failover.planner.joint.solution import Placement
from failover.planner.joint.spread import Spreads, find_spreads
from failover.planner.joint.state import State, missing_by_tier, rows_of_demands

SMALL_ROWS = 250_000
MORE_ROUNDS = 6
"""A plan over fewer rows affords more rounds, up to so many times."""
DEPTH = 2
LITTLE = 0.03
"""A loss that asks for less than this part of what is free is first placed without prices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much work one plan is worth. `iterations`, `again`: rounds of price setting before the first tier and before each further
    one; up to `more` times as many over few rows. `tight`: a tier that misses more than this share is placed again with its small
    replicas first. `attempts`: of repair. `repacks`: sites may be packed anew.
    """

    iterations: int
    again: int
    more: int = MORE_ROUNDS
    tight: float
    attempts: int
    repacks: bool = True


PLAN = Effort(iterations=18, again=5, tight=0.005, attempts=400)
LOSS = Effort(iterations=8, again=0, tight=0.02, attempts=100, repacks=False)
"""One of a thousand that are asked for at once: what a loss leaves to be placed. What a second try at a tier that misses less
than two in a hundred would win, repair finds: over all regions of the big fleet none at 90 % load, one in a thousand at 97 %.
"""


@dataclass
class Engine:
    """What all plans for one problem share: the prepared arrays and what is derived from them once."""

    prepared: Prepared
    spreads: Spreads
    weight: Floats
    priced: Floats = field(init=False)
    _touched: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.priced = self.weight.copy()
        self._touched = np.zeros(0, dtype=np.int64)

    @cached_property
    def index(self) -> SiteIndex:
        """Rows by site; a plan that finds room for everything never asks."""
        return SiteIndex.of(self.prepared)

    @cached_property
    def size(self) -> Floats:
        """[D]: a replica's part of the fleet's free room."""
        return sizes(self.prepared)

    @classmethod
    def of(cls, problem: Problem) -> "Engine":
        prepared = prepare(problem)
        weight = strategy_weights(State.begin(prepared))
        return cls(prepared, find_spreads(prepared), weight)

    def solve(self) -> Placement:
        """Place everything that is missing; with a budget of moves, also move what runs where that is better."""
        state = State.begin(self.prepared)
        given = self._place(state, PLAN)
        if self.prepared.problem.moves:
            move_survivors(state, self._ideal(), self.prepared.problem.moves, self.spreads.with_hard)
        return Placement(self.prepared, self.spreads, state, tuple(given), check(self.prepared))

    def lose(self, sites: Iterable[str]) -> Placement:
        """The plan if these sites were gone: what they hold is placed on others; what runs elsewhere stays."""
        state = State.standing(self.prepared)
        self._take_sites(sites, state)
        return self._lost(state)

    def lose_in_passing(self, sites: Iterable[str]) -> Placement:
        """The same for a thousand losses one after the other: each writes over the one before, so that a big fleet's arrays are
        not made anew. Where little is lost and all of it fits by the weights alone, that is the answer: who finds no place, and
        what is left over fleet-wide, is what a plan with prices would say.
        """
        sites, state = tuple(sites), self._scratch
        self._restore()
        self._touched = self._take_sites(sites, state)
        if self._is_little(state):
            if self._fits_plainly(state):
                return Placement(self.prepared, self.spreads, state, (), ())
            self._restore()
            self._take_sites(sites, state)
        found = self._lost(state)
        of = self.prepared.demand[[item.row for item in found.given]].astype(np.int64)
        self._touched = np.union1d(self._touched, of)
        return found

    def _lost(self, state: State) -> Placement:
        # A thousand losses are asked for at once: here it is the fleet that must be small.
        given = self._place(state, replace(LOSS, more=more_rounds(len(self.prepared.site))))
        return Placement(self.prepared, self.spreads, state, tuple(given), ())

    def _is_little(self, state: State) -> bool:
        """What is missing is so little of what is free that the weights alone may well find room for it."""
        missing = np.flatnonzero(state.missing)
        asked = (self.prepared.request[missing] * state.missing[missing][:, None]).sum(axis=0)
        return bool((asked <= LITTLE * state.free.sum(axis=0)).all())

    def _fits_plainly(self, state: State) -> bool:
        """Place by the weights, tier after tier, until something finds no place."""
        plan = Plan(state, self.spreads, self.weight, self.weight)
        for begin, end in self._tiers:
            demands = begin + np.flatnonzero(state.missing[begin:end] > 0)
            place_tier(plan, demands)
            if state.missing[demands].any():
                return False
        return True

    @cached_property
    def _tiers(self) -> list[tuple[int, int]]:
        """Where each tier's demands begin and end."""
        tier, levels = self.prepared.tier, self.prepared.levels
        begins, ends = np.searchsorted(tier, levels), np.searchsorted(tier, levels, side="right")
        return list(zip(begins.tolist(), ends.tolist(), strict=True))

    @cached_property
    def _scratch(self) -> State:
        return State.standing(self.prepared)

    def _restore(self) -> None:
        """The scratch as nothing were lost: only demands that lost something, or gave something up, hold anything else."""
        state, prepared = self._scratch, self.prepared
        rows, _ = rows_of_demands(prepared, self._touched)
        state.held[rows] = state.kept[rows] = prepared.current[rows]
        np.copyto(state.free, prepared.free)
        np.copyto(state.takes, prepared.takes)
        state.missing[:] = 0

    def _take_sites(self, sites: Iterable[str], state: State) -> Ints:
        """Change a standing state into one without these sites. Returns the demands that lose replicas."""
        prepared = self.prepared
        gone = np.array(sorted(prepared.site_index[name] for name in sites), dtype=np.int64)
        rows = np.concatenate([self.index.at(int(site)) for site in gone]) if len(gone) else gone
        rows = rows[state.held[rows] > 0]
        np.add.at(state.missing, prepared.demand[rows], state.held[rows].astype(np.int64))
        state.held[rows] = 0
        state.kept[rows] = 0
        state.free[gone] = 0
        state.takes[gone] = False
        return np.flatnonzero(state.missing)

    def _ideal(self) -> State:
        """Everything placed from nothing, as if nothing ran: what survivors are moved towards."""
        state = State.begin(self.prepared)
        state.most = self.prepared.aided
        rows = np.flatnonzero(state.held > 0)
        state.take_away(rows, state.held[rows].astype(np.int64))
        state.kept[:] = 0
        self._place(state, PLAN)
        return state

    def _place(self, state: State, effort: Effort) -> list[Given]:
        """By shadow prices; where these leave replicas without a place, and the fleet is small, by the program too. Where that
        has room for more than was placed, some sites are packed anew.
        """
        begun = state.copy() if affords(state, np.flatnonzero(state.missing > 0)) else None
        given = self._place_tiers(state, self.weight, effort)
        if begun is None:
            return given
        guided = replace(effort, iterations=0)
        tries = [(self.weight, guided)]
        if (self.prepared.strategy == COST).any():
            # What is cheap may lead into a corner: no fewer are placed than by the weights of the rules alone.
            tries += [(self._balanced(), effort), (self._balanced(), guided)]
        for weight, one in tries:
            if not state.missing.any():
                break
            other = begun.copy()
            given_there = self._place_tiers(other, weight, one)
            if missing_by_tier(other) < missing_by_tier(state):
                state.become(other)
                given = given_there
        # Where somebody gave something up, every replica of that is told by its place: it stays as it is.
        if effort.repacks and not given and state.missing.any() and self._repack(state).run():
            self._cheapen(state)
        return given

    def _repack(self, state: State) -> Repack:
        return Repack(state=state, spreads=self.spreads, index=self.index, weight=self.weight, size=self.size)

    def _balanced(self) -> Floats:
        """[P]: the weights, with those of the rules for demands that go by cost."""
        by_cost = (self.prepared.strategy == COST)[self.prepared.demand]
        return np.where(by_cost, self.prepared.weight, self.weight)

    def _place_tiers(self, state: State, weight: Floats, effort: Effort) -> list[Given]:
        """Tier after tier; without a round of price setting, by the program."""
        plan = Plan(state, self.spreads, weight, self.priced)
        repair: Repair | None = None
        given: list[Given] = []
        begun = state.copy() if exact.may_apply(state) else None
        prices: Floats | None = None
        for begin, end in self._tiers:
            # Shedding makes demands of lower tiers miss some, so who misses any is asked anew for each tier.
            demands = begin + np.flatnonzero(state.missing[begin:end] > 0)
            if not len(demands):
                continue
            if not effort.iterations:
                place_guided(plan, demands, self.size)
            else:
                later = begin + np.flatnonzero(state.missing[begin:] > 0)
                rounds = effort.iterations if prices is None else effort.again
                if rounds or prices is None:
                    rounds *= self._affords(later, effort.more)
                    prices = shadow_prices(state, weight, later, rounds, prices)
                set_prices(plan, demands, prices)
                _place_best(plan, demands, self.size, effort.tight)
            if state.missing[demands].any():
                repair = repair or Repair(
                    state=state,
                    spreads=self.spreads,
                    index=self.index,
                    size=self.size,
                    attempts=effort.attempts,
                )
                repair.place(demands, DEPTH)
                repair.exchange(demands)
                repair.place(demands, DEPTH)
            if state.missing[demands].any():
                given += shed_for(plan, self.index, demands)
            _hold_back(plan, demands)
        give_back(state, given)
        if begun is not None and not given and state.missing.any():
            exact.place_exactly(state, begun)
        self._cheapen(state)
        return given

    def _cheapen(self, state: State) -> None:
        if (by_cost := np.flatnonzero(self.prepared.strategy == COST)).size:
            cheapen(state, self.spreads, self.index, by_cost)

    def _affords(self, demands: Ints, more: int) -> int:
        rows = int((self.prepared.start[demands + 1] - self.prepared.start[demands]).sum())
        return min(more_rounds(rows), more)


def more_rounds(rows: int) -> int:
    """How many times the rounds of a large plan one over so many rows affords."""
    return int(np.clip(SMALL_ROWS // max(1, rows), 1, MORE_ROUNDS))


def solve(problem: Problem) -> Placement:
    """One joint plan. The same problem gives the same answer, in whatever order its parts are."""
    return Engine.of(problem).solve()


def _place_best(plan: Plan, demands: Ints, size: Floats, tight: float) -> None:
    """By hash, and where that leaves more than this share without a place, small replicas first: the better of both."""
    state = plan.state
    wanted = int(state.missing[demands].sum())
    before = state.mark(demands)
    place_tier(plan, demands)
    if state.missing[demands].sum() <= tight * wanted:
        return
    first = state.mark(demands)
    state.back_to(before)
    plan.order = size
    place_tier(plan, demands)
    plan.order = None
    if first.missing.sum() <= state.missing[demands].sum():
        state.back_to(first)


def _hold_back(plan: Plan, demands: Ints) -> None:
    """`onShortage: hold`: a demand that does not fit as a whole takes nothing; others may have its room."""
    state, prepared = plan.state, plan.state.prepared
    held = demands[prepared.hold[demands] & (state.missing[demands] > 0)]
    if not len(held):
        return
    rows, _ = rows_of_demands(prepared, held)
    added = (state.held[rows] - state.kept[rows]).astype(np.int64)
    if not (added > 0).any():
        return
    state.take_away(rows[added > 0], added[added > 0])
    place_tier(plan, demands[~prepared.hold[demands]])
