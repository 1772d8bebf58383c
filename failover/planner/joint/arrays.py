"""The problem as arrays: demands by tier and hash, and one row for every (demand, site) that the rules allow (CSR).

Shapes: D demands, S sites, R resources, P rows. Rows of demand d are `start[d]:start[d + 1]`, by site. Sites are in the
order of their domains and names, demands by tier, then by a hash of the key, so the order of the input is nothing to
the answer and no workload is first in every queue.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain, repeat
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from failover.model.policy import OnShortage
from failover.planner.joint.problem import Choice, Demand, Problem, Site, Strategy

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int32]

PRICE_MAX = 1e100
"""A price above it counts as this: sums over any request are still numbers."""
NO_MAXIMUM = np.iinfo(np.int32).max
STRATEGIES = tuple(Strategy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything about a problem that no plan changes.

    Sites: `free` [S, R] after the headroom, `capacity` [S, R], `largest` [S, R] (of one node), `loose` [S, R]
    (most of each that is free on one node), `price` [S, R],
    `idle` [S] (1 - utilisation), `takes` [S] (open and of known capacity). Demands: `tier`, `levels` (the tiers that there
    are), `replicas`, `luck`
    (0 to 1, from the key), `strategy` (index of STRATEGIES), `whole`, `standby`, `may_shed`, `hold`, `gives` (may be shed),
    `request` [D, R] and, by resource, `asks` [R][D] (a column at a time is read faster so), `freed` [D, R] (by one replica that
    is shed), `with_minimum` (any row has one), `first_group`,
    `last_group` (of its rows; 0 without any).
    Rows: `site`, `demand`, `weight`, `minimum`, `maximum` (of the rules), `aided` (where others make room),
    `group`, `current`, `named` (by the rules), and `fits`: the site takes replicas, the rules name it, and one replica is no larger than its largest node.
    """

    problem: Problem
    sites: tuple[Site, ...]
    demands: tuple[Demand, ...]
    resources: tuple[str, ...]
    site_index: dict[str, int]
    demand_index: dict[str, int]
    free: Ints
    capacity: Ints
    largest: Ints
    loose: Ints
    price: Floats
    idle: Floats
    takes: Bools
    tier: Ints
    levels: Ints
    replicas: Ints
    luck: Floats
    strategy: npt.NDArray[np.int8]
    whole: Bools
    standby: Ints
    may_shed: Bools
    hold: Bools
    gives: Bools
    request: Ints
    asks: tuple[Ints, ...]
    freed: Ints
    with_minimum: Bools
    first_group: npt.NDArray[np.int8]
    last_group: npt.NDArray[np.int8]
    start: Ints
    site: Rows
    demand: Rows
    weight: npt.NDArray[np.float32]
    minimum: Rows
    maximum: Rows
    aided: Rows
    group: npt.NDArray[np.int8]
    current: Rows
    named: Bools
    fits: Bools

    def rows_of(self, demand: int) -> slice:
        """The rows of one demand."""
        return slice(int(self.start[demand]), int(self.start[demand + 1]))

    def row(self, demand: int, site: int) -> int | None:
        """The row of one demand at one site; None where the rules do not name it."""
        rows = self.rows_of(demand)
        at = int(np.searchsorted(self.site[rows], site)) + rows.start
        return at if at < rows.stop and self.site[at] == site else None


def prepare(problem: Problem) -> Prepared:
    """Reads every object once. Sites that the rules name and the problem does not hold are left out."""
    sites = tuple(sorted(problem.sites, key=lambda site: (sorted(site.domains.items()), site.name)))
    site_index = {site.name: index for index, site in enumerate(sites)}
    chance = lucks(demand.key for demand in problem.demands)
    tiers = np.array([demand.tier for demand in problem.demands], dtype=np.int64)
    order = np.lexsort((chance, tiers))
    demands = tuple([problem.demands[at] for at in order.tolist()])
    resources = _resources(sites, demands)
    rows = _gather_rows(demands, site_index)
    request = _table([demand.request for demand in demands], resources)
    loose = np.full((len(sites), len(resources)), np.iinfo(np.int64).max)
    largest = loose.copy()
    for index, site in enumerate(sites):
        whole = site.largest_free_node if site.largest_node is None else site.largest_node
        if site.largest_free_node is not None:
            loose[index] = [site.largest_free_node.get(resource, 0) for resource in resources]
        if whole is not None:
            largest[index] = [whole.get(resource, 0) for resource in resources]
    takes = np.array([site.open and site.free is not None for site in sites], dtype=bool)
    fits = takes[rows.site] & (request.sum(axis=1) > 0)[rows.demand] & rows.named
    for index in range(len(resources)):
        if len(request) and request[:, index].max() > largest[:, index].min():
            fits &= request[:, index][rows.demand] <= largest[:, index][rows.site]
    free = np.maximum(_table([site.free or {} for site in sites], resources), 0)
    capacity = _table([site.capacity or site.free or {} for site in sites], resources)
    rules = [demand.rules for demand in demands]
    return Prepared(
        problem=problem,
        sites=sites,
        demands=demands,
        resources=resources,
        site_index=site_index,
        demand_index={demand.key: index for index, demand in enumerate(demands)},
        free=np.floor(free * (1 - problem.headroom)).astype(np.int64),
        capacity=capacity,
        largest=largest,
        loose=loose,
        price=_prices(sites, resources),
        idle=np.array(
            [1.0 if site.utilisation is None else min(1.0, max(0.0, 1 - site.utilisation)) for site in sites]
        ),
        takes=takes,
        tier=tiers[order],
        levels=np.unique(tiers),
        replicas=np.array([max(0, demand.replicas) for demand in demands], dtype=np.int64),
        luck=chance[order],
        strategy=np.array([STRATEGIES.index(rule.strategy) for rule in rules], dtype=np.int8),
        whole=np.array([rule.whole for rule in rules], dtype=bool),
        standby=np.array([rule.standby for rule in rules], dtype=np.int64),
        may_shed=np.array([rule.on_shortage is OnShortage.SHED for rule in rules], dtype=bool),
        hold=np.array([rule.on_shortage is OnShortage.HOLD for rule in rules], dtype=bool),
        gives=np.array([demand.may_give_up and not demand.rules.whole for demand in demands], dtype=bool),
        request=request,
        asks=tuple(np.ascontiguousarray(column) for column in request.T),
        freed=_freed(demands, request, resources),
        with_minimum=_of_demands(np.maximum, rows.minimum, rows.start) > 0,
        first_group=_of_demands(np.minimum, rows.group, rows.start),
        last_group=_of_demands(np.maximum, rows.group, rows.start),
        start=rows.start,
        site=rows.site,
        demand=rows.demand,
        weight=rows.weight,
        minimum=rows.minimum,
        maximum=rows.maximum,
        aided=rows.aided,
        group=rows.group,
        current=rows.current,
        named=rows.named,
        fits=fits,
    )


def lucks(keys: Iterable[str]) -> Floats:
    """Between 0 and 1, the same for the same key: who is first among equals, and where a rounding begins."""
    digests = b"".join([blake2b(key.encode(), digest_size=8).digest() for key in keys])
    return np.frombuffer(digests, dtype=">u8").astype(np.float64) / 2**64


def _of_demands(ufunc: np.ufunc, values: npt.NDArray[Any], start: Ints) -> npt.NDArray[Any]:
    """[D]: the least or the greatest of each demand's rows; 0 without any."""
    found = np.zeros(len(start) - 1, dtype=values.dtype)
    some = np.flatnonzero(start[1:] > start[:-1])
    if len(some):
        found[some] = ufunc.reduceat(values, start[some])
    return found


def _resources(sites: Iterable[Site], demands: Iterable[Demand]) -> tuple[str, ...]:
    names: set[str] = set()
    for demand in demands:
        names.update(demand.request)
    return tuple(sorted(names)) or tuple(sorted({name for site in sites for name in site.free or {}}))


def _table(quantities: Sequence[Mapping[str, int]], resources: tuple[str, ...]) -> Ints:
    """Column by column: a list of lists would be a hundred thousand objects to collect."""
    columns = [np.array([quantity.get(name, 0) for quantity in quantities]) for name in resources]
    return np.array(columns, dtype=np.int64).reshape(len(resources), len(quantities)).T.copy()


def _freed(demands: Sequence[Demand], request: Ints, resources: tuple[str, ...]) -> Ints:
    """Never more than the request: what is put back where it was finds its room again."""
    if all(demand.freed is None for demand in demands):
        return request
    return np.minimum(
        request,
        _table([demand.request if demand.freed is None else demand.freed for demand in demands], resources),
    )


def _prices(sites: Sequence[Site], resources: tuple[str, ...]) -> Floats:
    """A price that is none (negative, infinite) counts as 0; `findings` says so."""
    table = np.array([[site.price.get(name, 0.0) for name in resources] for site in sites], dtype=np.float64)
    table = table.reshape(len(sites), len(resources))
    return np.where(np.isfinite(table) & (table > 0), np.minimum(table, PRICE_MAX), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gathered:
    """Rows by demand and site; `named`: the rules name the site (others are there for what runs there)."""

    start: Ints
    site: Rows
    demand: Rows
    weight: npt.NDArray[np.float32]
    minimum: Rows
    maximum: Rows
    aided: Rows
    group: npt.NDArray[np.int8]
    current: Rows
    named: Bools


class _Lines:
    """Names as indices. Many lines of rules share a tuple of names, so each tuple is looked up once, by its identity."""

    def __init__(self, choices: list[Choice], site_index: Mapping[str, int]) -> None:
        identity = np.array([id(choice.sites) for choice in choices], dtype=np.uint64)
        _, first, self._kind = np.unique(identity, return_index=True, return_inverse=True)
        sites: list[Rows] = []
        for at in first.tolist():
            known = {site_index[name] for name in choices[at].sites if name in site_index}
            sites.append(np.array(sorted(known), dtype=np.int32))
        self._sites = np.concatenate([*sites, np.zeros(0, dtype=np.int32)])
        length = np.array([len(one) for one in sites], dtype=np.int64)
        self._begin = np.cumsum(length) - length
        self.length: Ints = length[self._kind]
        self.first: Ints = np.array([one[0] if len(one) else -1 for one in sites], dtype=np.int64)[self._kind]

    def joined(self, order: Ints) -> Rows:
        """The sites of the lines, one line after the other."""
        length = self.length[order]
        offset = np.cumsum(length) - length
        at = np.repeat((self._begin[self._kind[order]] - offset).astype(np.int32), length)
        at += np.arange(len(at), dtype=np.int32)
        found: Rows = self._sites[at]
        return found


def _gather_rows(demands: tuple[Demand, ...], site_index: Mapping[str, int]) -> _Gathered:
    """Lines of a demand come by their first site, so that rows are nearly in order already."""
    choices = [choice for demand in demands for choice in demand.rules.choices]
    number = np.array([len(demand.rules.choices) for demand in demands], dtype=np.int64)
    owner = np.repeat(np.arange(len(demands)), number)
    lines = _Lines(choices, site_index)
    order = np.lexsort((lines.first, owner))
    length = lines.length[order]
    maximum = np.array(
        [NO_MAXIMUM if choice.maximum is None else choice.maximum for choice in choices], dtype=np.int32
    )
    aided = np.array([choice.aided or 0 for choice in choices], dtype=np.int32)
    columns = (
        np.repeat(_each(choices, "weight", np.float32)[order], length),
        np.repeat(_each(choices, "minimum", np.int32)[order], length),
        np.repeat(maximum[order], length),
        np.repeat(_each(choices, "group", np.int8)[order], length),
        np.repeat(np.maximum(aided, maximum)[order], length) if (aided > maximum).any() else None,
    )
    demand, site = np.repeat(owner[order].astype(np.int32), length), lines.joined(order)
    if not _in_order(demand, site):
        key = demand.astype(np.int64) * len(site_index) + site
        # Lines are in the order of the rules in `choices`: the first one wins.
        by_key = np.lexsort((np.repeat(order, length), key))
        by_key = by_key[np.concatenate(([True], np.diff(key[by_key]) > 0))]
        demand, site = demand[by_key], site[by_key]
        columns = (
            columns[0][by_key],
            columns[1][by_key],
            columns[2][by_key],
            columns[3][by_key],
            None if columns[4] is None else columns[4][by_key],
        )
    return _with_current(demands, site_index, demand, site, columns)


def _each(choices: list[Choice], name: str, kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """One field of every line."""
    return np.fromiter(map(attrgetter(name), choices), dtype=kind, count=len(choices))


def _in_order(demand: Rows, site: Rows) -> bool:
    """By demand (which they are) and then by site, none twice."""
    return bool(((site[1:] > site[:-1]) | (demand[1:] != demand[:-1])).all())


_Columns = tuple[npt.NDArray[np.float32], Rows, Rows, npt.NDArray[np.int8], Rows | None]
"""`weight`, `minimum`, `maximum`, `group`, and `aided` where any differs from `maximum`."""


def _running(demands: tuple[Demand, ...], site_index: Mapping[str, int]) -> tuple[Ints, Ints, Ints]:
    """(demand, site, replicas) of everything that runs at a site of the problem; flat, for a big fleet has millions."""
    counts = [len(one.current) for one in demands]
    total = sum(counts)
    owner = np.repeat(np.arange(len(demands)), counts)
    names = chain.from_iterable(one.current for one in demands)
    where = np.fromiter(map(site_index.get, names, repeat(-1)), dtype=np.int64, count=total)
    numbers = chain.from_iterable(one.current.values() for one in demands)
    number_of = np.fromiter(numbers, dtype=np.int64, count=total)
    real = (number_of > 0) & (where >= 0)
    return owner[real], where[real], number_of[real]


def _with_current(
    demands: tuple[Demand, ...], site_index: Mapping[str, int], demand: Rows, site: Rows, columns: _Columns
) -> _Gathered:
    """What runs; where no line of the rules names its site, that gets a row too."""
    weight, minimum, maximum, group, aided = columns
    named, current = np.ones(len(site), dtype=bool), np.zeros(len(site), dtype=np.int32)
    owner, where, number_of = _running(demands, site_index)
    if len(owner):
        sites = len(site_index)
        key = demand.astype(np.int64) * sites + site
        running_key = owner * sites + where
        # Not by setdiff1d: it would hash millions of keys that are in order already.
        at = np.minimum(np.searchsorted(key, running_key), max(0, len(key) - 1))
        missing = np.sort(running_key[key[at] != running_key] if len(key) else running_key)
        if len(missing):
            at = np.searchsorted(key, missing)
            key = np.insert(key, at, missing)
            demand, site = (key // sites).astype(np.int32), (key % sites).astype(np.int32)
            named, current = np.insert(named, at, False), np.insert(current, at, 0)
            weight, group = np.insert(weight, at, 0), np.insert(group, at, 0)
            minimum, maximum = np.insert(minimum, at, 0), np.insert(maximum, at, 0)
            aided = None if aided is None else np.insert(aided, at, 0)
        current[np.searchsorted(key, running_key)] = number_of
    return _Gathered(
        start=np.concatenate(([0], np.cumsum(np.bincount(demand, minlength=len(demands))))).astype(np.int64),
        site=site,
        demand=demand,
        weight=weight,
        minimum=minimum,
        maximum=maximum,
        aided=maximum if aided is None else aided,
        group=group,
        current=current,
        named=named,
    )
