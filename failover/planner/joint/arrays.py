"""The problem as arrays: demands by tier and hash, and one row for every (demand, site) that the rules allow (CSR).

Shapes: D demands, S sites, R resources, P rows. Rows of demand d are `start[d]:start[d + 1]`, by site. Sites are in the
order of their domains and names, demands by tier, then by a hash of the key, so the order of the input is nothing to
the answer and no workload is first in every queue.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from failover.model.policy import OnShortage
from failover.planner.joint.problem import Choice, Demand, Problem, Rules, Site, Strategy

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int32]

NO_MAXIMUM = np.iinfo(np.int32).max
STRATEGIES = tuple(Strategy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Everything about a problem that no plan changes.

    Sites: `free` [S, R] after the headroom, `capacity` [S, R], `largest` [S, R] (of one node), `price` [S, R],
    `idle` [S] (1 - utilisation), `takes` [S] (open and of known capacity). Demands: `tier`, `replicas`, `luck`
    (0 to 1, from the key), `strategy` (index of STRATEGIES), `whole`, `standby`, `may_shed`, `hold`, `request` [D, R].
    Rows: `site`, `demand`, `weight`, `minimum`, `maximum` (of the rules), `group`, `current`, and `fits`: the site
    takes replicas, the rules name it, and one replica is no larger than its largest node.
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
    price: Floats
    idle: Floats
    takes: Bools
    tier: Ints
    replicas: Ints
    luck: Floats
    strategy: npt.NDArray[np.int8]
    whole: Bools
    standby: Ints
    may_shed: Bools
    hold: Bools
    request: Ints
    start: Ints
    site: Rows
    demand: Rows
    weight: npt.NDArray[np.float32]
    minimum: Rows
    maximum: Rows
    group: npt.NDArray[np.int8]
    current: Rows
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
    luck_of = {demand.key: luck(demand.key) for demand in problem.demands}
    demands = tuple(
        sorted(problem.demands, key=lambda demand: (demand.tier, luck_of[demand.key], demand.key))
    )
    resources = _resources(sites, demands)
    rows = _gather_rows(demands, site_index)
    request = _table((demand.request for demand in demands), resources)
    largest = _table(
        (site.largest_free_node or {} for site in sites), resources, missing=np.iinfo(np.int64).max
    )
    for index, site in enumerate(sites):
        if site.largest_free_node is not None:
            largest[index] = [site.largest_free_node.get(resource, 0) for resource in resources]
    takes = np.array([site.open and site.free is not None for site in sites], dtype=bool)
    fits = takes[rows.site] & (request.sum(axis=1) > 0)[rows.demand] & rows.named
    for index in range(len(resources)):
        fits &= request[rows.demand, index] <= largest[rows.site, index]
    free = np.maximum(_table((site.free or {} for site in sites), resources), 0)
    capacity = _table((site.capacity or site.free or {} for site in sites), resources)
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
        price=np.array(
            [[site.price.get(name, 0.0) for name in resources] for site in sites], dtype=np.float64
        ).reshape(len(sites), len(resources)),
        idle=np.array(
            [1.0 if site.utilisation is None else max(0.0, 1 - site.utilisation) for site in sites]
        ),
        takes=takes,
        tier=np.array([demand.tier for demand in demands], dtype=np.int64),
        replicas=np.array([max(0, demand.replicas) for demand in demands], dtype=np.int64),
        luck=np.array([luck_of[demand.key] for demand in demands], dtype=np.float64),
        strategy=np.array([STRATEGIES.index(rule.strategy) for rule in rules], dtype=np.int8),
        whole=np.array([rule.whole for rule in rules], dtype=bool),
        standby=np.array([rule.standby for rule in rules], dtype=np.int64),
        may_shed=np.array([rule.on_shortage is OnShortage.SHED for rule in rules], dtype=bool),
        hold=np.array([rule.on_shortage is OnShortage.HOLD for rule in rules], dtype=bool),
        request=request,
        start=rows.start,
        site=rows.site,
        demand=rows.demand,
        weight=rows.weight,
        minimum=rows.minimum,
        maximum=rows.maximum,
        group=rows.group,
        current=rows.current,
        fits=fits,
    )


def luck(key: str) -> float:
    """Between 0 and 1, the same for the same key: who is first among equals, and where a rounding begins."""
    return (int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") + 0.5) / 2**64


def _resources(sites: Iterable[Site], demands: Iterable[Demand]) -> tuple[str, ...]:
    names: set[str] = set()
    for demand in demands:
        names.update(demand.request)
    return tuple(sorted(names)) or tuple(sorted({name for site in sites for name in site.free or {}}))


def _table(quantities: Iterable[Mapping[str, int]], resources: tuple[str, ...], missing: int = 0) -> Ints:
    rows = [[quantity.get(name, missing) for name in resources] for quantity in quantities]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(resources))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gathered:
    """Rows by demand and site; `named`: the rules name the site (others are there for what runs there)."""

    start: Ints
    site: Rows
    demand: Rows
    weight: npt.NDArray[np.float32]
    minimum: Rows
    maximum: Rows
    group: npt.NDArray[np.int8]
    current: Rows
    named: Bools


@dataclass(frozen=True, slots=True)
class _Line:
    """One choice with the indices of its sites, by index. The choice is kept so that its id stays its own."""

    choice: Choice
    sites: Rows

    @property
    def first(self) -> int:
        return int(self.sites[0])


class _Lines:
    """Choices as indices. Demands share rules and rules share tuples of names, so each is looked up once."""

    def __init__(self, site_index: Mapping[str, int]) -> None:
        self._site_index = site_index
        self._sites: dict[int, Rows] = {}
        self._rules: dict[int, list[tuple[int, _Line]]] = {}

    def of(self, rules: Rules) -> list[tuple[int, _Line]]:
        """(ordinal, line) by the first site, so that rows are nearly sorted; lines without a known site are left out."""
        found = self._rules.get(id(rules))
        if found is None:
            lines = [
                (ordinal, _Line(choice, sites))
                for ordinal, choice in enumerate(rules.choices)
                if len(sites := self._indices(choice.sites))
            ]
            found = self._rules[id(rules)] = sorted(lines, key=lambda line: line[1].first)
        return found

    def _indices(self, names: tuple[str, ...]) -> Rows:
        found = self._sites.get(id(names))
        if found is None:
            known = {self._site_index[name] for name in names if name in self._site_index}
            found = self._sites[id(names)] = np.array(sorted(known), dtype=np.int32)
        return found


def _gather_rows(demands: tuple[Demand, ...], site_index: Mapping[str, int]) -> _Gathered:
    lines = _Lines(site_index)
    parts: list[Rows] = []
    facts: list[tuple[int, int, float, int, int, int, int]] = []
    held: list[tuple[int, int, int]] = []
    for index, demand in enumerate(demands):
        for ordinal, line in lines.of(demand.rules):
            choice = line.choice
            parts.append(line.sites)
            upper = NO_MAXIMUM if choice.maximum is None else choice.maximum
            facts.append(
                (index, len(line.sites), choice.weight, choice.minimum, upper, choice.group, ordinal)
            )
        if demand.current:
            held.extend(
                (index, site_index[name], number)
                for name, number in demand.current.items()
                if number > 0 and name in site_index
            )
    return _join(len(demands), len(site_index), parts, facts, held)


def _join(
    demands: int,
    sites: int,
    parts: list[Rows],
    facts: list[tuple[int, int, float, int, int, int, int]],
    held: list[tuple[int, int, int]],
) -> _Gathered:
    """One row for each demand and site: the first line of the rules wins; what runs where no line names gets a row."""
    table = np.array(facts, dtype=np.float64).reshape(len(facts), 7)
    line = np.repeat(np.arange(len(facts)), table[:, 1].astype(np.int64))
    site = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
    running = np.array(held, dtype=np.int64).reshape(len(held), 3)
    running_key = running[:, 0] * sites + running[:, 1]
    key = table[line, 0].astype(np.int64) * sites + site
    if len(key) and not (np.diff(key) > 0).all():
        order = np.lexsort((table[line, 6], key))
        order = order[np.concatenate(([True], np.diff(key[order]) > 0))]
        key, line = key[order], line[order]
    named = np.ones(len(key), dtype=bool)
    missing = np.setdiff1d(running_key, key) if len(running_key) else running_key
    if len(missing):
        key = np.concatenate((key, missing))
        order = np.argsort(key, kind="stable")
        line = np.concatenate((line, np.full(len(missing), -1)))[order]
        named = np.concatenate((named, np.zeros(len(missing), dtype=bool)))[order]
        key = key[order]
        table = np.concatenate((table, np.array([[0, 0, 0, 0, 0, 0, 0]], dtype=np.float64)))
    current = np.zeros(len(key), dtype=np.int32)
    current[np.searchsorted(key, running_key)] = running[:, 2]
    demand, site_of = np.divmod(key, max(1, sites))
    return _Gathered(
        start=np.searchsorted(demand, np.arange(demands + 1)).astype(np.int64),
        site=site_of.astype(np.int32),
        demand=demand.astype(np.int32),
        weight=table[line, 2].astype(np.float32) if len(table) else np.zeros(0, dtype=np.float32),
        minimum=table[line, 3].astype(np.int32) if len(table) else np.zeros(0, dtype=np.int32),
        maximum=table[line, 4].astype(np.int32) if len(table) else np.zeros(0, dtype=np.int32),
        group=table[line, 5].astype(np.int8) if len(table) else np.zeros(0, dtype=np.int8),
        current=current,
        named=named,
    )
