"""Shedding: a demand that finds no room takes that of lower tiers, from the lowest upward, and of no more than it needs.

First the demand is placed as if the victims' room were free; then each site that gave too much takes it back from its
victims, those furthest above their minimum first. What the victims lost is placed again in their own tier's turn.
"""

from dataclasses import dataclass

import numpy as np

from failover.planner.joint.arrays import Ints
from failover.planner.joint.phases import Plan, place_tier
from failover.planner.joint.problem import Shed
from failover.planner.joint.repair import SiteIndex
from failover.planner.joint.state import State, places_in, rows_of_demands, segment_sums


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
    for lowest in [int(value) for value in np.unique(prepared.tier)[::-1] if value > tier]:
        waiting = demands[(state.missing[demands] > 0) & prepared.may_shed[demands]]
        if not len(waiting):
            break
        rows, _ = rows_of_demands(prepared, waiting)
        sites = np.unique(prepared.site[rows][state.room(rows) > 0])
        victims = np.concatenate([index.at(int(site)) for site in sites]) if len(sites) else rows[:0]
        of = prepared.demand[victims]
        victims = victims[(prepared.tier[of] >= lowest) & prepared.gives[of] & (state.held[victims] > 0)]
        if not len(victims):
            continue
        trial = state.copy()
        room = prepared.request[prepared.demand[victims]] * state.held[victims].astype(np.int64)[:, None]
        np.add.at(trial.free, prepared.site[victims], room)
        place_tier(Plan(trial, plan.spreads, plan.weight, plan.priced, plan.order), waiting)
        added = (trial.held[rows] - state.held[rows]).astype(np.int64)
        took = added > 0
        _apply(state, rows[took], added[took])
        given += _take_back(state, victims, rows[took], added[took])
    return given


def _apply(state: State, rows: Ints, added: Ints) -> None:
    state.take_away(rows, -added)


def _take_back(state: State, victims: Ints, takers: Ints, added: Ints) -> list[Given]:
    """Victims give up what their site is short of."""
    prepared = state.prepared
    of = prepared.demand[victims]
    affected = np.unique(of).astype(np.int64)
    rows, offset = rows_of_demands(prepared, affected)
    above = segment_sums(np.maximum(state.held[rows] - prepared.minimum[rows], 0), offset)
    excess = above[np.searchsorted(affected, of)]
    order = np.lexsort((prepared.luck[of], -excess, -prepared.tier[of], prepared.site[victims]))
    victims = victims[order]
    first = np.searchsorted(prepared.site[victims], np.arange(len(prepared.sites) + 1))
    given: list[Given] = []
    for site in np.flatnonzero((state.free < 0).any(axis=1)).tolist():
        here = np.flatnonzero(prepared.site[takers] == site)
        if len(here):
            taken = _take_at(state, site, victims[first[site] : first[site + 1]])
            given += _match(state, taken, takers[here], added[here])
    return given


def _take_at(state: State, site: int, victims: Ints) -> list[tuple[int, int]]:
    """(row, replicas) in the order of the victims until nothing is short; what was too much goes back, last first."""
    prepared = state.prepared
    free = [int(value) for value in state.free[site]]
    taken: list[tuple[int, int]] = []
    for row in victims.tolist():
        request = prepared.request[prepared.demand[row]].tolist()
        needs = [-(value // asked) for value, asked in zip(free, request, strict=True) if value < 0 < asked]
        if not needs:
            if min(free) >= 0:
                break
            continue
        number = min(int(state.held[row]), max(needs))
        free = [value + number * asked for value, asked in zip(free, request, strict=True)]
        taken.append((row, number))
    kept: list[tuple[int, int]] = []
    for row, number in reversed(taken):
        request = prepared.request[prepared.demand[row]].tolist()
        back = min(
            [number, *(value // asked for value, asked in zip(free, request, strict=True) if asked > 0)]
        )
        back = max(0, back)
        free = [value - back * asked for value, asked in zip(free, request, strict=True)]
        if number > back:
            state.put(row, -(number - back))
            kept.append((row, number - back))
    return kept[::-1]


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
    for item in sorted(given, key=lambda item: int(prepared.demand[item.row])):
        demand, site = int(prepared.demand[item.row]), int(prepared.site[item.row])
        fits = int(places_in(state.free[site : site + 1], prepared.request[demand : demand + 1])[0])
        back = min(item.replicas, int(state.missing[demand]), fits)
        if back > 0 and state.takes[site]:
            state.put(item.row, back)
            item.replicas -= back


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
