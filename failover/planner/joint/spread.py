"""Spread over failure domains: at most a percentage of what is placed in one, at least so many that hold a replica.

The percentage becomes, for the demand's wanted replicas, a bound on the rows of each domain while they are filled; a
plan that places fewer is cut back afterwards where the limit must hold (`DoNotSchedule`), and said where it may not.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

import numpy as np

from failover.planner.joint.arrays import Bools, Floats, Ints, Prepared, Rows
from failover.planner.joint.fill import Limits
from failover.planner.joint.problem import Spread, Unsatisfiable
from failover.planner.joint.state import State, rows_of_demands

CLUSTER = "cluster"
NO_BOUND = 2**31


@dataclass(frozen=True, slots=True)
class SpreadTable:
    """All spreads at one place in the demands' lists. `slot` [P]: the (demand, domain) group of a row, -1: none.
    `inside`: the rows that have one.

    Groups: `of` the demand, `bound` (for its wanted replicas), `hard` (DoNotSchedule).
    """

    slot: Rows
    inside: Ints
    of: Ints
    bound: Ints
    hard: Bools

    def held(self, state: State, rows: Ints | None = None) -> Ints:
        """Replicas in each group. With `rows`, all those of some demands, only their groups are right."""
        rows = self.inside if rows is None else rows[self.slot[rows] >= 0]
        weights = state.held[rows]
        return np.bincount(self.slot[rows], weights=weights, minlength=len(self.of)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Spreads:
    """`with_any`, `with_soft`, `with_hard`, `with_seeds` [D]: demands with a spread, with a bound that may be left, with
    one that must hold, with a number of domains.
    """

    tables: tuple[SpreadTable, ...]
    with_any: Bools
    with_soft: Bools
    with_hard: Bools
    with_seeds: Bools

    def limits(self, state: State, demands: Ints, *, hard_only: bool) -> Limits | None:
        """The bounds of these demands less what they hold; None where nobody has any."""
        rows, _ = rows_of_demands(state.prepared, demands[self.with_any[demands]])
        tables = []
        for table in self.tables:
            held = table.held(state, rows)
            bound = np.where(table.hard, table.bound, NO_BOUND) if hard_only else table.bound
            tables.append((table.slot, np.maximum(bound - held, 0)))
        return Limits(tables) if tables else None


def percent_of(percent: float, replicas: int) -> int:
    """`percent` of `replicas`, rounded up, exactly."""
    return ceil(Fraction(str(percent)) * replicas / 100)


def domain_at(prepared: Prepared, site: int, kind: str) -> str:
    """The domain of this kind that a site lies in; a site without one is a domain of its own."""
    found = prepared.sites[site]
    return found.name if kind == CLUSTER else found.domains.get(kind, f"({found.name})")


def domain_indices(prepared: Prepared, kind: str) -> Ints:
    """[S]: a number for the domain of each site."""
    names: dict[str, int] = {}
    return np.array(
        [
            names.setdefault(domain_at(prepared, site, kind), len(names))
            for site in range(len(prepared.sites))
        ],
        dtype=np.int64,
    )


def find_spreads(prepared: Prepared) -> Spreads:
    """Reads the spreads of all demands."""
    with_any = np.zeros(len(prepared.demands), dtype=bool)
    with_soft, with_hard, with_seeds = with_any.copy(), with_any.copy(), with_any.copy()
    places: list[list[tuple[int, Spread]]] = []
    having = [
        (index, demand.rules.spread) for index, demand in enumerate(prepared.demands) if demand.rules.spread
    ]
    for index, spreads in having:
        for place, spread in enumerate(spreads):
            if place == len(places):
                places.append([])
            places[place].append((index, spread))
            with_any[index] = True
            with_seeds[index] |= spread.at_least is not None
            hard = spread.when_unsatisfiable is Unsatisfiable.DO_NOT_SCHEDULE
            with_hard[index] |= hard
            with_soft[index] |= spread.at_most_percent is not None and not hard
    kinds = sorted({spread.kind for place in places for _, spread in place})
    domains = {kind: domain_indices(prepared, kind) for kind in kinds}
    tables = tuple(_table(prepared, place, domains) for place in places)
    return Spreads(tables, with_any, with_soft, with_hard, with_seeds)


def _table(prepared: Prepared, place: list[tuple[int, Spread]], domains: dict[str, Ints]) -> SpreadTable:
    demands = np.array([index for index, _ in place], dtype=np.int64)
    kinds = sorted(domains)
    kind = np.array([kinds.index(spread.kind) for _, spread in place])
    rows, offset = rows_of_demands(prepared, demands)
    owner = np.repeat(np.arange(len(place)), np.diff(offset))
    sites = len(prepared.sites)
    domain = np.stack([domains[name] for name in kinds])[kind[owner], prepared.site[rows]]
    groups, inverse = np.unique(owner * sites + domain, return_inverse=True)
    of_place = groups // max(1, sites)
    bound = [
        NO_BOUND
        if spread.at_most_percent is None
        else percent_of(spread.at_most_percent, int(prepared.replicas[index]))
        for index, spread in place
    ]
    hard = [spread.when_unsatisfiable is Unsatisfiable.DO_NOT_SCHEDULE for _, spread in place]
    slot = np.full(len(prepared.site), -1, dtype=np.int32)
    slot[rows] = inverse
    return SpreadTable(
        slot,
        np.flatnonzero(slot >= 0),
        demands[of_place],
        np.array(bound, dtype=np.int64)[of_place],
        np.array(hard, dtype=bool)[of_place],
    )


def seed_domains(
    state: State,
    spreads: Spreads,
    demands: Ints,
    weight: Floats,
    limits: Limits | None,
    *,
    hard_only: bool = False,
) -> None:
    """One replica in each of `at_least` domains before the rest of the tier is placed: where a minimum asks for one, then by group,
    then the heaviest first. `hard_only`: for the spreads that must hold.
    """
    prepared = state.prepared
    demands = demands[spreads.with_seeds[demands] & ~prepared.whole[demands]]
    for place, table in enumerate(spreads.tables):
        wanted = np.array(
            [_at_least(prepared.demands[index].rules.spread, place, hard_only) for index in demands]
        )
        rows, offset = rows_of_demands(prepared, demands)
        owner = np.repeat(np.arange(len(demands)), np.diff(offset))
        slot = table.slot[rows]
        ready = (state.room(rows) > 0) & (weight[rows] > 0) & (slot >= 0)
        for _ in range(int(wanted.max(initial=0))):
            held = table.held(state, rows)
            domains = np.bincount(table.of[held > 0], minlength=len(prepared.demands))[demands]
            lacks = (domains < wanted) & (state.missing[demands] > 0)
            open_ = ready & lacks[owner] & (held[slot] == 0) & state.holds_one(rows)
            if limits is not None:
                open_ &= limits.open(rows)
            if not open_.any():
                break
            able = rows[open_]
            owed = state.held[able] < prepared.minimum[able]
            best = np.lexsort((-weight[able], prepared.group[able], ~owed, owner[open_]))
            chosen = np.flatnonzero(open_)[best]
            chosen = chosen[np.concatenate(([True], owner[chosen][1:] != owner[chosen][:-1]))]
            placed = state.accept(rows[chosen], np.ones(len(chosen), dtype=np.int64))
            if limits is not None:
                limits.took(rows[chosen], placed)
            ready[chosen[placed == 0]] = False


def _at_least(spreads: tuple[Spread, ...], place: int, hard_only: bool) -> int:
    if place >= len(spreads):
        return 0
    spread = spreads[place]
    if hard_only and spread.when_unsatisfiable is not Unsatisfiable.DO_NOT_SCHEDULE:
        return 0
    return spread.at_least or 0


def cut_back(state: State, spreads: Spreads, demands: Ints) -> None:
    """Take away what a spread that must hold does not allow for what was placed; what ran before stays."""
    for index in demands[spreads.with_hard[demands]]:
        _cut_back_one(state, spreads, int(index))


def _cut_back_one(state: State, spreads: Spreads, index: int) -> None:
    prepared = state.prepared
    rows = np.arange(prepared.start[index], prepared.start[index + 1])
    hard = [
        (spread, spreads.tables[place].slot[rows])
        for place, spread in enumerate(prepared.demands[index].rules.spread)
        if spread.when_unsatisfiable is Unsatisfiable.DO_NOT_SCHEDULE
    ]
    if not hard:
        return
    group, minimum = prepared.group[rows].astype(np.int64), prepared.minimum[rows].astype(np.int64)
    while True:
        held = state.held[rows].astype(np.int64)
        # From what is above a minimum first, from later groups before earlier, from the fullest.
        above = held - minimum
        order = np.lexsort((-above, -group, above <= 0))
        # A victim of shedding holds less than it kept: it has nothing loose, and nothing more is taken from it here.
        loose = np.maximum(held - state.kept[rows], 0)
        excess = _excess(hard, held, loose, order)
        if excess is None:
            return
        state.put(int(rows[excess]), -1)


def _excess(hard: list[tuple[Spread, Rows]], held: Ints, loose: Ints, order: Ints) -> int | None:
    """A row that must give up a replica for a limit to hold, the first in `order` of the fullest offending domain; None: all
    hold.
    """
    total = int(held.sum())
    for spread, slot in hard:
        group = slot - slot.min()
        sums = np.bincount(group, weights=held).astype(np.int64)
        if spread.at_least is not None and 0 < int((sums > 0).sum()) < spread.at_least and loose.any():
            return int(order[np.argmax(loose[order] > 0)])
        if spread.at_most_percent is None:
            continue
        over = np.flatnonzero(sums > percent_of(spread.at_most_percent, total))
        for domain in over[np.argsort(-sums[over], kind="stable")]:
            inside = (group == domain) & (loose > 0)
            if inside.any():
                return int(order[np.argmax(inside[order])])
    return None
