"""The linear program of what is missing and what is free: where replicas would go if they could be cut.

    most  sum of worth[d] * x[d, s]   where   sum over s of x[d, s] <= missing[d],   0 <= x[d, s] <= room,
                                              sum over d of request[d, r] * x[d, s] <= free[s, r]

by an interior-point method. Of all optimal answers its path ends near the one that keeps weights best: the logarithmic
barrier of each row is weighed by the row's weight, so what capacity does not decide is shared in proportion. Demands are
eliminated first (their block is diagonal), which leaves one small dense system of sites times resources for each step:
it is for fleets of hundreds of workloads and tens of clusters, not for the largest.

Sources: Mehrotra, "On the implementation of a primal-dual interior point method" (1992), for the steps; the weighted
central path is that of Kojima, Megiddo, Noma and Yoshise (1991).
"""

from dataclasses import dataclass, replace

import numpy as np

from failover.planner.joint.arrays import Floats, Ints
from failover.planner.joint.prices import GROUP_PRICE
from failover.planner.joint.spread import NO_BOUND, Spreads
from failover.planner.joint.state import State, rows_of_demands

ROWS_MAX = 12_000
DENSE_MAX = 25_000_000
"""Demands times the square of (sites times resources): the multiplications of one step."""
STEPS_MAX = 60
WORTH_PER_TIER = 30.0
"""A replica counts as much as so many of the next tier. Higher tiers are placed first whatever this is; it says what they
leave to the lower ones."""
WORTH_OF_SPREAD = 0.05
"""What a replica above a spread that may be left costs, in replicas of the lowest tier."""
WEIGHT_LEAST = 1e-3
GAP = 0.1
"""The path ends this many replicas of the lowest tier below the optimum."""
INSIDE = 0.95
CENTRING_LEAST = 1e-4
GRAIN = 1024
"""Answers are whole multiples of 1/1024 of a replica, so that the last digit of a processor's arithmetic decides nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Rows that may take something, `rows` [p] of the problem, and after them one for each spread that may be left.

    `owner` [p + e]: an index of those that have any. `cell` [p + e, k]: what each row loads (site times R plus resource,
    a domain of a spread, or nothing: the last), by `asked` [p + e, k], of a whole. `wanted` [n], `bound`, `worth`,
    `weight` [p + e].
    """

    rows: Ints
    owner: Ints
    cell: Ints
    asked: Floats
    wanted: Floats
    bound: Floats
    worth: Floats
    weight: Floats
    cells: int


def affords(state: State, demands: Ints) -> bool:
    """The program of these demands is small enough to be solved again and again."""
    prepared = state.prepared
    rows = int((prepared.start[demands + 1] - prepared.start[demands]).sum())
    return rows <= ROWS_MAX and len(demands) * state.free.size**2 <= DENSE_MAX


def read(state: State, spreads: Spreads, weight: Floats, demands: Ints) -> Program | None:
    """The program of what these demands miss; None where nothing can be placed. `weight` [P]: without prices."""
    prepared = state.prepared
    rows, _ = rows_of_demands(prepared, demands)
    bound = np.minimum(state.room(rows), state.places(rows))
    bound = np.minimum(bound, state.missing[prepared.demand[rows]])
    open_ = (bound > 0) & (weight[rows] > 0)
    rows, bound = rows[open_], bound[open_]
    if not len(rows):
        return None
    demand, site = prepared.demand[rows], prepared.site[rows].astype(np.int64)
    resources = state.free.shape[1]
    first = np.flatnonzero(np.concatenate(([True], demand[1:] != demand[:-1])))
    length = np.diff(np.concatenate((first, [len(rows)])))
    tier = prepared.tier[demand]
    part = weight[rows] * np.exp(-GROUP_PRICE * np.minimum(prepared.group[rows], 4))
    part /= np.repeat(np.maximum.reduceat(part, first), length)
    program = Program(
        rows=rows,
        owner=np.repeat(np.arange(len(first)), length),
        cell=site[:, None] * resources + np.arange(resources),
        asked=prepared.request[demand] / np.maximum(state.free[site], 1),
        wanted=state.missing[demand[first]].astype(np.float64),
        bound=bound.astype(np.float64),
        worth=WORTH_PER_TIER ** (tier.max() - tier).astype(np.float64),
        weight=np.maximum(part, WEIGHT_LEAST),
        cells=state.free.size,
    )
    return _with_spreads(program, state, spreads)


def _with_spreads(program: Program, state: State, spreads: Spreads) -> Program:
    """One more column for each table of spreads; where a limit may be left, a row that buys what is above it."""
    cell, asked, cells = [program.cell], [program.asked], program.cells
    bought: list[tuple[int, float, float]] = []
    nothing = cells
    for table in spreads.tables:
        slot = table.slot[program.rows]
        left = np.maximum(table.bound - table.held(state), 0)
        bounded = (slot >= 0) & (left[slot] < NO_BOUND) & (table.bound[slot] < NO_BOUND)
        if not bounded.any():
            continue
        domains, column = np.unique(slot[bounded], return_inverse=True)
        of = np.full(len(slot), nothing)
        of[bounded] = nothing + 1 + column
        # A domain that is full already has a bound of next to nothing: the path must stay strictly inside.
        whole = np.maximum(left[domains], GAP / 10)
        share = np.zeros(len(slot))
        share[bounded] = 1.0 / whole[column]
        cell.append(of[:, None])
        asked.append(share[:, None])
        soft = ~table.hard[domains]
        most = state.missing[table.of[domains]]
        bought += [
            (nothing + 1 + at, 1.0 / float(whole[at]), float(most[at]))
            for at in np.flatnonzero(soft).tolist()
        ]
        nothing += 1 + len(domains)
    return _joined(program, np.hstack(cell), np.hstack(asked), nothing + 1, bought)


def _joined(
    program: Program, cell: Ints, asked: Floats, cells: int, bought: list[tuple[int, float, float]]
) -> Program:
    number, width = len(bought), cell.shape[1]
    more_cells = np.full((number, width), cells - 1)
    more_asked = np.zeros((number, width))
    more_cells[:, -1] = [column for column, _, _ in bought]
    more_asked[:, -1] = [-share for _, share, _ in bought]
    most = np.array([most for _, _, most in bought])
    return Program(
        rows=program.rows,
        owner=np.concatenate((program.owner, len(program.wanted) + np.arange(number))),
        cell=np.vstack((cell, more_cells)),
        asked=np.vstack((asked, more_asked)),
        wanted=np.concatenate((program.wanted, most)),
        bound=np.concatenate((program.bound, 2 * most)),
        worth=np.concatenate((program.worth, np.full(number, -WORTH_OF_SPREAD))),
        weight=np.concatenate((program.weight, np.full(number, WEIGHT_LEAST))),
        cells=cells,
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """`parts` [p]: replicas at each of `rows`, in fractions. `gain` [p]: what one is worth there beyond what it is worth to its
    demand elsewhere. `price` [S * R]: of all that is free of each site's resources.
    """

    parts: Floats
    gain: Floats
    price: Floats


def solve(program: Program) -> Floats:
    """[p]: replicas at each of `rows`, in fractions. Where numbers fail on the way, those reached so far: all are feasible."""
    return _grained(_walk(program).primal[: len(program.rows)])


def answer(program: Program, cells: int) -> Answer:
    """The same with its multipliers; the first `cells` are the sites' resources. Made for programs of few of a fleet's sites:
    what no row loads is left out of the dense system.
    """
    used, at = np.unique(program.cell, return_inverse=True)
    path = _walk(replace(program, cell=at.reshape(program.cell.shape), cells=len(used)))
    rows, (demand, capacity) = len(program.rows), path.multipliers()
    price = np.zeros(program.cells)
    price[used] = capacity
    return Answer(
        _grained(path.primal[:rows]),
        _grained((program.worth - demand[program.owner])[:rows]),
        _grained(price[:cells]),
    )


def _walk(program: Program) -> "_Path":
    path = _Path(program)
    for _ in range(STEPS_MAX):
        if path.gap() <= GAP or not path.step():
            break
    return path


def _grained(values: Floats) -> Floats:
    found: Floats = np.round(values * GRAIN) / GRAIN
    return found


@dataclass(frozen=True, slots=True)
class _Factors:
    """What both directions of one step share."""

    theta: Floats
    diagonal: Floats
    cross: Floats
    matrix: Floats


class _Path:
    """A point strictly inside, and steps along the weighted central path.

    `primal`: replicas by row, then what is left of demands, of capacity (as shares of the whole) and of bounds; `dual`: the
    multiplier of each, in the same order. Both stay positive and feasible, so `gap` is how far the optimum can be.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        rows, demands = len(program.owner), len(program.wanted)
        ends = np.cumsum([rows, demands, program.cells, rows]).tolist()
        self._parts = (
            slice(0, ends[0]),
            slice(ends[0], ends[1]),
            slice(ends[1], ends[2]),
            slice(ends[2], ends[3]),
        )
        width = program.cell.shape[1]
        self._pairs = (program.cell[:, :, None] * program.cells + program.cell[:, None, :]).ravel()
        self._products = (program.asked[:, :, None] * program.asked[:, None, :]).reshape(rows, width * width)
        self._weight = np.concatenate((program.weight, np.ones(ends[3] - rows)))
        begin = 0.5 * np.minimum(program.bound, (program.wanted / np.bincount(program.owner))[program.owner])
        x = begin / np.maximum(1.0, 2.0 * self._load(begin))[program.cell].max(axis=1)
        load = self._load(x)
        self.primal = np.concatenate((x, program.wanted - self._of_owner(x), 1.0 - load, program.bound - x))
        highest = float(program.worth.max())
        centre = highest * float(np.mean(x))
        capacity, bounds = centre / (1.0 - load), centre / (program.bound - x)
        below = np.zeros(demands)
        np.maximum.at(below, program.owner, -self._paid(below, capacity))
        demand = 2.0 * highest + below
        slack = self._paid(demand, capacity) + bounds - program.worth
        self.dual = np.concatenate((slack, demand, capacity, bounds))

    def multipliers(self) -> tuple[Floats, Floats]:
        """Of the demands and of the capacities."""
        _, demands, capacity, _ = self._parts
        return self.dual[demands], self.dual[capacity]

    def gap(self) -> float:
        """Between this point and the bound that its multipliers prove, in replicas of the lowest tier."""
        return float(self.primal @ self.dual)

    def step(self) -> bool:
        """Mehrotra's predictor and corrector. False, and nothing changed, where the numbers are too far apart for one."""
        measure = float(self._weight.sum())
        mean = self.gap() / measure
        factors = self._factors()
        product = self.primal * self.dual
        try:
            primal, dual = self._direction(factors, -product)
        except np.linalg.LinAlgError:
            return False
        reach, reach_dual = _longest(self.primal, primal), _longest(self.dual, dual)
        then = float((self.primal + reach * primal) @ (self.dual + reach_dual * dual)) / measure
        target = max((then / mean) ** 3, CENTRING_LEAST) * mean
        primal, dual = self._direction(factors, target * self._weight - product - primal * dual)
        primal = self.primal + INSIDE * _longest(self.primal, primal) * primal
        dual = self.dual + INSIDE * _longest(self.dual, dual) * dual
        if not (np.isfinite(primal).all() and np.isfinite(dual).all() and primal.min() > 0 < dual.min()):
            return False
        self.primal, self.dual = primal, dual
        return True

    def _of_owner(self, values: Floats) -> Floats:
        return np.bincount(self._program.owner, weights=values).astype(np.float64)

    def _load(self, x: Floats) -> Floats:
        program = self._program
        loads = (program.asked * x[:, None]).ravel()
        return np.bincount(program.cell.ravel(), weights=loads, minlength=program.cells).astype(np.float64)

    def _paid(self, demand: Floats, capacity: Floats) -> Floats:
        """What one replica of each row pays at these multipliers."""
        program = self._program
        paid: Floats = demand[program.owner] + (program.asked * capacity[program.cell]).sum(axis=1)
        return paid

    def _factors(self) -> _Factors:
        program, (rows, demands, capacity, bounds) = self._program, self._parts
        primal, dual = self.primal, self.dual
        theta = 1.0 / (dual[rows] / primal[rows] + dual[bounds] / primal[bounds])
        diagonal = primal[demands] / dual[demands] + self._of_owner(theta)
        cross = np.zeros((len(program.wanted), program.cells))
        np.add.at(cross, (program.owner[:, None], program.cell), program.asked * theta[:, None])
        products = (self._products * theta[:, None]).ravel()
        matrix = np.bincount(self._pairs, weights=products, minlength=program.cells**2).astype(np.float64)
        matrix = matrix.reshape(program.cells, program.cells)
        matrix -= (cross / diagonal[:, None]).T @ cross
        matrix[np.diag_indices(program.cells)] += primal[capacity] / dual[capacity]
        return _Factors(theta, diagonal, cross, matrix)

    def _direction(self, factors: _Factors, wanted: Floats) -> tuple[Floats, Floats]:
        """(primal, dual) changes after which each product of the two has changed by `wanted`, to first order."""
        rows, demands, capacity, bounds = self._parts
        primal, dual = self.primal, self.dual
        pull = wanted[rows] / primal[rows] - wanted[bounds] / primal[bounds]
        moved = factors.theta * pull
        of_demand = wanted[demands] / dual[demands] + self._of_owner(moved)
        of_capacity = wanted[capacity] / dual[capacity] + self._load(moved)
        priced = np.linalg.solve(
            factors.matrix, of_capacity - factors.cross.T @ (of_demand / factors.diagonal)
        )
        worth = (of_demand - factors.cross @ priced) / factors.diagonal
        paid = self._paid(worth, priced)
        x = factors.theta * (pull - paid)
        bound = (wanted[bounds] + dual[bounds] * x) / primal[bounds]
        return (
            np.concatenate((x, -self._of_owner(x), -self._load(x), -x)),
            np.concatenate((paid + bound, worth, priced, bound)),
        )


def _longest(values: Floats, change: Floats) -> float:
    """How far along `change`, at most all of it, the values stay positive."""
    return float(1.0 / max(1.0, float((-change / values).max())))
