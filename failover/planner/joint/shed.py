"""Shedding: a demand that finds no room takes that of lower tiers, from the lowest upward, and of no more than it needs.

First the demand is placed as if the victims' room were free; then each site that gave too much takes it back from its
victims: inside a tier one replica after another from whoever is furthest above its minimum by then, and below a minimum only
when nobody of that tier is above any. What the victims lost is placed again in their own tier's turn.
"""

from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np

from failover.planner.joint.arrays import Bools, Ints
from failover.planner.joint.phases import Plan, place_tier
from failover.planner.joint.problem import Shed
from failover.planner.joint.repair import SiteIndex
from failover.planner.joint.state import State, places_in, rows_of_demands


@dataclass(slots=True)
class Given:
    """`replicas` given up at `row` for the demand of the row `taker`."""

    row: int
    replicas: int
    taker: int


def shed_for(plan: Plan, index: SiteIndex, demands: Ints) -> list[Given]:
    """Place what these demands (of one tier) miss at the expense of lower tiers. Changes the plan's state."""
    state, prepared = plan.state, plan.state.prepared
    given: list[Given] = []
    tier = int(prepared.tier[demands[0]])
    for lowest in [int(value) for value in prepared.levels[::-1] if value > tier]:
        waiting = demands[(state.missing[demands] > 0) & prepared.may_shed[demands]]
        if not len(waiting):
            break
        rows, _ = rows_of_demands(prepared, waiting)
        state.most = prepared.aided
        sites = np.unique(prepared.site[rows][state.room(rows) > 0])
        state.most = prepared.maximum
        victims = np.concatenate([index.at(int(site)) for site in sites]) if len(sites) else rows[:0]
        of = prepared.demand[victims]
        victims = victims[(prepared.tier[of] >= lowest) & prepared.gives[of] & (state.held[victims] > 0)]
        if not len(victims):
            continue
        pieces = _in_pieces(state, rows)
        added = _tried(plan, waiting, rows, victims, pieces)
        # Where a spread must hold, the better plan may hold fewer here and there than the one before it.
        changed, took = added != 0, added > 0
        state.free[pieces & np.isin(np.arange(len(pieces)), prepared.site[rows[took]])[:, None]] = 0
        state.take_away(rows[changed], -added[changed])
        given += _take_back(state, victims, rows[took], added[took])
    return given


def _tried(plan: Plan, waiting: Ints, rows: Ints, victims: Ints, pieces: Bools) -> Ints:
    """What these demands would hold more (or less) at their rows if the victims' room were free. Leaves the state as it was."""
    state, prepared = plan.state, plan.state.prepared
    before = state.mark(waiting)
    state.free[pieces] = 0
    room = prepared.freed[prepared.demand[victims]] * state.held[victims].astype(np.int64)[:, None]
    np.add.at(state.free, prepared.site[victims], room)
    state.most = prepared.aided
    place_tier(plan, waiting)
    state.most = prepared.maximum
    added: Ints = (state.held[rows] - before.held).astype(np.int64)
    state.back_to(before)
    return added


def _in_pieces(state: State, rows: Ints) -> Bools:
    """[S, R]: what is free, and no node has enough of for one more replica of a row that holds all that fits as it stands:
    it makes no room together with what others give up either. Where each node lacks something else, that is everything.
    """
    prepared = state.prepared
    at_bound = (state.held[rows] >= prepared.maximum[rows]) & (prepared.aided[rows] > state.held[rows])
    site = prepared.site[rows[at_bound]]
    lacks = prepared.request[prepared.demand[rows[at_bound]]] > prepared.loose[site]
    lacks[~lacks.any(axis=1)] = True
    result = np.zeros(state.free.shape, dtype=bool)
    np.logical_or.at(result, site, lacks)
    return result


def _take_back(state: State, victims: Ints, takers: Ints, added: Ints) -> list[Given]:
    """Victims give up what their site is short of."""
    prepared = state.prepared
    ladder = _Ladder.of(state, victims)
    of = prepared.demand[victims]
    victims = victims[np.lexsort((prepared.luck[of], -prepared.tier[of], prepared.site[victims]))]
    first = np.searchsorted(prepared.site[victims], np.arange(len(prepared.sites) + 1))
    given: list[Given] = []
    for site in np.flatnonzero((state.free < 0).any(axis=1)).tolist():
        here = np.flatnonzero(prepared.site[takers] == site)
        if len(here):
            taken = _take_at(state, ladder, site, victims[first[site] : first[site + 1]])
            given += _match(state, taken, takers[here], added[here])
    return given


@dataclass(slots=True)
class _Ladder:
    """How far each demand is above its minimums ([D], over all sites), and how far below; changes with what is taken."""

    state: State
    above: Ints
    below: Ints

    @classmethod
    def of(cls, state: State, victims: Ints) -> "_Ladder":
        prepared = state.prepared
        rows, _ = rows_of_demands(prepared, np.unique(prepared.demand[victims]).astype(np.int64))
        distance = (state.held[rows] - prepared.minimum[rows]).astype(np.int64)
        of, number = prepared.demand[rows], len(prepared.demands)
        return cls(
            state,
            np.bincount(of, weights=np.maximum(distance, 0), minlength=number).astype(np.int64),
            np.bincount(of, weights=np.maximum(-distance, 0), minlength=number).astype(np.int64),
        )

    def give(self, row: int, number: int) -> None:
        """So many replicas are given up at a row; negative: they come back."""
        prepared = self.state.prepared
        demand, before = prepared.demand[row], int(self.state.held[row] - prepared.minimum[row])
        after = before - number
        self.above[demand] += max(after, 0) - max(before, 0)
        self.below[demand] += max(-after, 0) - max(-before, 0)
        _give(self.state, row, number)


def _take_at(state: State, ladder: _Ladder, site: int, victims: Ints) -> list[tuple[int, int]]:
    """(row, replicas) that this site's victims give until nothing is short there; what was too much goes back, last first."""
    prepared = state.prepared
    free = [int(value) for value in state.free[site]]
    taken: list[tuple[int, int]] = []
    ends = np.flatnonzero(np.diff(prepared.tier[prepared.demand[victims]])) + 1
    for tier in np.split(victims, ends):
        for spare in (True, False):
            if min(free) < 0:
                _descend(state, ladder, free, tier, taken, spare=spare)
    kept: dict[int, int] = {}
    for row, number in reversed(taken):
        freed = prepared.freed[prepared.demand[row]].tolist()
        fits = [value // each for value, each in zip(free, freed, strict=True) if each > 0]
        back = max(0, min([number, *fits]))
        for index, each in enumerate(freed):
            free[index] -= back * each
        ladder.give(row, -back)
        if number > back:
            kept[row] = kept.get(row, 0) + number - back
    return [*kept.items()][::-1]


def _descend(
    state: State,
    ladder: _Ladder,
    free: list[int],
    rows: Ints,
    taken: list[tuple[int, int]],
    *,
    spare: bool,
) -> None:
    """Rows of one tier and site give replicas, always the one of the demand that is furthest above its minimums (`spare`),
    or least below them. Changes `free` and `taken`.
    """
    prepared = state.prepared
    more = state.held[rows] - (prepared.minimum[rows] if spare else 0)
    rows, more = rows[more > 0], more[more > 0]
    of = prepared.demand[rows]
    levels = -ladder.above[of] if spare else ladder.below[of]
    heap = list(zip(levels.tolist(), prepared.luck[of].tolist(), rows.tolist(), strict=True))
    left: dict[int, int] = dict(zip(rows.tolist(), more.tolist(), strict=True))
    heapify(heap)
    while heap and min(free) < 0:
        level, luck, row = heappop(heap)
        demand = int(prepared.demand[row])
        freed = prepared.freed[demand].tolist()
        needs = [-(value // each) for value, each in zip(free, freed, strict=True) if value < 0 < each]
        if not needs:
            continue  # nothing that it could give is short, and nothing becomes short again
        lead = max(1, heap[0][0] - level) if heap else left[row]
        number = min(left[row], max(needs), lead)
        for index, each in enumerate(freed):
            free[index] += number * each
        ladder.give(row, number)
        taken.append((row, number))
        left[row] -= number
        if left[row]:
            heappush(heap, (level + number, luck, row))


def _give(state: State, row: int, number: int) -> None:
    """A victim gives up so many replicas; negative: it has them back. They free what they ask for there, at least."""
    prepared = state.prepared
    demand = prepared.demand[row]
    state.held[row] -= number
    state.missing[demand] += number
    state.free[prepared.site[row]] += prepared.freed[demand] * number


def _match(state: State, taken: list[tuple[int, int]], takers: Ints, added: Ints) -> list[Given]:
    """Each victim with the demand whose part of the added room its own part falls into."""
    prepared = state.prepared
    scale = np.maximum(prepared.free.sum(axis=0), 1)
    weight = np.cumsum((prepared.request[prepared.demand[takers]] / scale).sum(axis=1) * added)
    victims = np.array([row for row, _ in taken], dtype=np.int64)
    numbers = np.array([number for _, number in taken], dtype=np.int64)
    part = (prepared.request[prepared.demand[victims]] / scale).sum(axis=1) * numbers
    middle = (np.cumsum(part) - part / 2) * (weight[-1] / max(part.sum(), 1e-300)) if len(part) else part
    at = np.minimum(np.searchsorted(weight, middle), len(takers) - 1)
    return [
        Given(row, number, int(takers[place]))
        for (row, number), place in zip(taken, at.tolist(), strict=True)
    ]


def give_back(state: State, given: list[Given]) -> None:
    """No victim that could be put back where it was stays away: the highest tier first."""
    prepared = state.prepared
    for item in _last_first(state, given):
        demand, site = int(prepared.demand[item.row]), int(prepared.site[item.row])
        fits = int(places_in(state.free[site : site + 1], prepared.freed[demand : demand + 1])[0])
        back = min(item.replicas, int(state.missing[demand]), fits)
        if back > 0 and state.takes[site]:
            _give(state, item.row, -back)
            item.replicas -= back


def _last_first(state: State, given: list[Given]) -> list[Given]:
    """The highest tier first, and inside it the last that gave."""
    prepared = state.prepared
    order = range(len(given) - 1, -1, -1)
    return [
        given[at] for at in sorted(order, key=lambda at: int(prepared.tier[prepared.demand[given[at].row]]))
    ]


def as_sheds(state: State, given: list[Given]) -> tuple[Shed, ...]:
    """For people: each victim and site with whom it made room for; what came back to the same site is not told."""
    prepared = state.prepared
    net: dict[int, int] = {}
    found: list[Shed] = []
    for item in given:
        row = item.row
        left = net.setdefault(row, max(0, int(prepared.current[row] - state.held[row])))
        number = min(left, item.replicas)
        if number > 0:
            net[row] = left - number
            found.append(
                Shed(
                    victim=prepared.demands[prepared.demand[row]].key,
                    site=prepared.sites[prepared.site[row]].name,
                    replicas=number,
                    made_room_for=prepared.demands[prepared.demand[item.taker]].key,
                )
            )
    return tuple(sorted(found, key=lambda shed: (shed.victim, shed.site, shed.made_room_for)))
