"""Why a demand got its number at a site: one rule for every row, found for all rows at once; sentences one by one.

The first rule of `RULES` that holds is the one that bound it: what forbids comes before what is full, what is full
before what was merely preferred otherwise.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from failover.planner.joint.arrays import STRATEGIES, Bools, Floats, Ints, Prepared, Rows
from failover.planner.joint.problem import Shed, Strategy, Why
from failover.planner.joint.spread import Spreads, domain_at
from failover.planner.joint.state import State

RULES = (
    "weight",  # its part by its strategy
    "shed",
    "moved",
    "no-request",
    "not-named",
    "unknown-capacity",
    "closed",
    "node-too-small",
    "maximum",
    "weight-zero",
    "spread",
    "full",
    "pieces",
    "whole",
    "kept",
    "minimum",
    "group",
    "dearer",
    "made-room",
)
Codes = npt.NDArray[np.int8]
CODE = {rule: index for index, rule in enumerate(RULES)}
COST = STRATEGIES.index(Strategy.COST)
PART = 1 << 16
LEFT_SHARE = 0.75
"""Below this part of its share by weight (and more than one replica below), a row has left its weight for others."""


class Binding:
    """Which rule bound each row of one plan; what all rows share is found once."""

    def __init__(self, state: State, spreads: Spreads, gave: Sequence[int] = ()) -> None:
        """`gave`: rows that gave something up for others."""
        self._state, self._spreads = state, spreads
        prepared = state.prepared
        self._gave: Bools = np.zeros(len(prepared.site), dtype=bool)
        self._gave[list(gave)] = True
        weight = np.where(prepared.fits & (prepared.group == 0), prepared.weight, np.float32(0))
        total = np.bincount(prepared.demand, weights=weight, minlength=len(prepared.demands))
        self._per_weight: Floats = prepared.replicas / np.where(total > 0, total, 1.0)
        self._at_bound = [np.append(table.held(state) >= table.bound, False) for table in spreads.tables]

    def all(self) -> Codes:
        """[P]: an index of RULES for every row; part by part, so that what is looked at stays near the processor."""
        number = len(self._state.prepared.site)
        found = np.zeros(number, dtype=np.int8)
        for begin in range(0, number, PART):
            part = slice(begin, min(number, begin + PART))
            found[part] = self.of(part)
        return found

    def of(self, rows: Ints | slice) -> Codes:
        """The same for some rows; those of one demand may be given in part."""
        state, prepared = self._state, self._state.prepared
        demand, site = prepared.demand[rows], prepared.site[rows]
        held, kept = state.held[rows], state.kept[rows]
        minimum, aided = prepared.minimum[rows], prepared.aided[rows]
        no_weight, later = prepared.weight[rows] == 0, prepared.group[rows] > 0
        satisfied = (state.missing == 0)[demand]
        share = self.shares(rows)
        holds = {
            "no-request": (prepared.request.sum(axis=1) == 0)[demand],
            "not-named": no_weight & (minimum == 0) & (aided == 0),
            "unknown-capacity": _unknown(prepared)[site],
            "closed": ~state.takes[site],
            "node-too-small": ~prepared.fits[rows],
            "shed": (held < np.minimum(prepared.current[rows], kept)) & self._gave[rows],
            "moved": held < np.minimum(prepared.current[rows], kept),
            "maximum": held >= aided,
            "spread": self._spread_is_full(rows, len(demand)),
            "full": _full(state, demand, site) & (~satisfied | (held < share)),
            "pieces": (held >= prepared.maximum[rows]) & ~satisfied,
            "minimum": (held == minimum) & (held > 0),
            "weight-zero": no_weight,
            "whole": prepared.whole[demand],
            "kept": (held > 0) & (held == kept),
            "group": later & satisfied & (held == 0),
            "dearer": (prepared.strategy == COST)[demand] & (held == 0),
            "made-room": (held < LEFT_SHARE * share) & (held + 1 < share),
        }
        found = np.zeros(len(demand), dtype=np.int8)
        for rule in reversed(RULES[1:]):  # an earlier one is written over a later one
            found[holds[rule]] = CODE[rule]
        return found

    def shares(self, rows: Ints | slice) -> Floats:
        """What weights alone would give each row of what its demand wants, over the rows of its first group."""
        prepared = self._state.prepared
        counts = prepared.fits[rows] & (prepared.group[rows] == 0)
        share: Floats = prepared.weight[rows] * counts * self._per_weight[prepared.demand[rows]]
        return share

    def _spread_is_full(self, rows: Ints | slice, number: int) -> Bools:
        result = np.zeros(number, dtype=bool)
        for table, full in zip(self._spreads.tables, self._at_bound, strict=True):
            result |= full[table.slot[rows]]
        return result


def _unknown(prepared: Prepared) -> Bools:
    return np.array([site.free is None for site in prepared.sites], dtype=bool)


def _full(state: State, demand: Rows, site: Rows) -> Bools:
    """No room for one more replica there."""
    prepared = state.prepared
    result = np.zeros(len(demand), dtype=bool)
    for index in range(len(prepared.resources)):
        asked, free = prepared.request[:, index], state.free[:, index]
        if len(asked) and asked.max() > free.min(initial=0):
            result |= asked.copy()[demand] > free.copy()[site]
    return result


class Reasons:
    """Sentences for single rows of one plan."""

    def __init__(self, state: State, spreads: Spreads, binding: Binding, shed: Sequence[Shed]) -> None:
        self._state = state
        self._spreads = spreads
        self._binding = binding
        self._shed = shed

    def why(self, demand: str, site: str) -> Why:
        """Names that there are not get an answer too."""
        prepared = self._state.prepared
        index, at = prepared.demand_index.get(demand), prepared.site_index.get(site)
        if index is None or at is None:
            unknown = f"there is no workload {demand}" if index is None else f"there is no cluster {site}"
            return Why(demand=demand, site=site, replicas=0, rule="not-known", sentence=unknown)
        row = prepared.row(index, at)
        if row is None:
            return Why(
                demand=demand,
                site=site,
                replicas=0,
                rule="not-named",
                sentence=f"the rules of {demand} do not name {site}",
                would_change=f"name {site} in its placement",
            )
        rule = RULES[int(self._binding.of(np.array([row]))[0])]
        sentence, change = self._say(rule, row)
        return Why(
            demand=demand,
            site=site,
            replicas=int(self._state.held[row]),
            rule=rule,
            sentence=sentence,
            would_change=change,
        )

    def _say(self, rule: str, row: int) -> tuple[str, str]:
        prepared, state = self._state.prepared, self._state
        demand = prepared.demands[prepared.demand[row]]
        site = prepared.sites[prepared.site[row]]
        held, kept = int(state.held[row]), int(state.kept[row])
        lost = held == 0 < int(prepared.current[row]) and not state.takes[prepared.site[row]]
        share = float(self._binding.shares(np.array([row]))[0])
        weight = float(prepared.weight[row])
        said: dict[str, tuple[str, str]] = {
            "no-request": (f"{demand.key} names no resources of one replica", "give its containers requests"),
            "not-named": (
                f"keeps {held}: the rules do not name {site.name}",
                f"name {site.name} in its placement",
            ),
            "unknown-capacity": (
                f"keeps {held}: what is free in {site.name} is not known",
                "a fresh look at the cluster, or a default in the policy",
            ),
            "closed": (
                f"{site.name} is assumed lost"
                if lost
                else f"keeps {held}: {site.closed_because or 'it takes no replicas'}",
                f"{site.name} serving again" if lost else f"{site.name} taking replicas again",
            ),
            "node-too-small": (
                f"keeps {held}: one replica is larger than the largest free node of {site.name}",
                self._node_lacks(row),
            ),
            "shed": (self._shed_sentence(demand.key, site.name, kept - held), "more free capacity there"),
            "moved": self._moved(row, kept - held),
            "maximum": (f"holds {held}: its maximum there is reached", "a higher maximum"),
            "spread": (
                f"holds {held}: the spread over {self._spread_kinds(row)} is reached",
                "a wider spread limit",
            ),
            "full": (
                f"holds {held}: {site.name} has no room for one more ({self._scarce(row)})",
                self._lacks(row),
            ),
            "pieces": (
                f"holds {held}: no node of {site.name} has room for one more, and nobody makes room",
                "a node with room for one more replica there",
            ),
            "minimum": (f"holds {held}: its minimum there", "a higher minimum or weight"),
            "weight-zero": (f"holds {held}: weight 0 takes its minimum only", "a weight above 0"),
            "whole": (
                f"holds {held}: all of its replicas run at one cluster"
                + ("" if held else ", and not at this"),
                "`writers: many`",
            ),
            "kept": (f"keeps the {held} that run there", "`rebalance` with a budget of moves"),
            "group": (
                f"holds 0: the groups before group {prepared.group[row]} took everything",
                "less room in those",
            ),
            "dearer": (
                "holds 0: other clusters cost less",
                f"a lower price of {site.name}, or less room elsewhere",
            ),
            "made-room": (
                f"holds {held}, {share - held:.1f} fewer than weight {weight:g} gives, and so leaves room for others",
                "more free capacity there",
            ),
        }
        return said.get(rule) or self._by_strategy(row, held, kept)

    def _by_strategy(self, row: int, held: int, kept: int) -> tuple[str, str]:
        prepared = self._state.prepared
        strategy = prepared.demands[prepared.demand[row]].rules.strategy
        share, weight = float(self._binding.shares(np.array([row]))[0]), float(prepared.weight[row])
        how = (
            f"weight {weight:g}"
            if strategy is Strategy.BALANCE
            else f"strategy {strategy}, weight {weight:g}"
        )
        before = f"keeps {kept}, takes {held - kept}" if kept else f"takes {held}"
        return f"{before} by {how} (a share of {share:.1f})", "another weight"

    def _moved(self, row: int, number: int) -> tuple[str, str]:
        prepared = self._state.prepared
        most, site = int(prepared.aided[row]), prepared.sites[prepared.site[row]]
        if not self._state.takes[prepared.site[row]]:
            why = site.closed_because or f"{site.name} takes no replicas"
            return f"gives {number}: {why}", f"{site.name} taking replicas again"
        if int(self._state.kept[row]) > most:
            return f"gives {number}: its maximum there is {most}", "a higher maximum"
        return (
            f"gives {number} that its weights, groups or prices would rather have elsewhere",
            "other weights",
        )

    def _lack_of(self, row: int) -> list[tuple[str, int]]:
        prepared, state = self._state.prepared, self._state
        free, asked = state.free[prepared.site[row]], prepared.request[prepared.demand[row]]
        return [
            (name, int(need - have))
            for name, need, have in zip(prepared.resources, asked, free, strict=True)
            if need > have
        ]

    def _scarce(self, row: int) -> str:
        return ", ".join(name for name, _ in self._lack_of(row))

    def _lacks(self, row: int) -> str:
        return ", ".join(f"{amount} more {name} free there" for name, amount in self._lack_of(row))

    def _node_lacks(self, row: int) -> str:
        prepared = self._state.prepared
        largest, asked = prepared.largest[prepared.site[row]], prepared.request[prepared.demand[row]]
        lacks = [
            f"a node with {need} {name} free (the largest has {have})"
            for name, need, have in zip(prepared.resources, asked.tolist(), largest.tolist(), strict=True)
            if need > have
        ]
        return ", ".join(lacks)

    def _spread_kinds(self, row: int) -> str:
        prepared, state = self._state.prepared, self._state
        demand = prepared.demands[prepared.demand[row]]
        kinds = []
        for place, spread in enumerate(demand.rules.spread):
            table = self._spreads.tables[place]
            slot = int(table.slot[row])
            if slot >= 0 and table.held(state)[slot] >= table.bound[slot]:
                kinds.append(f"{spread.kind} {domain_at(prepared, int(prepared.site[row]), spread.kind)}")
        return ", ".join(kinds)

    def _shed_sentence(self, demand: str, site: str, number: int) -> str:
        takers = sorted(
            {shed.made_room_for for shed in self._shed if shed.victim == demand and shed.site == site}
        )
        return f"gave up {number} there for {', '.join(takers) or 'a higher tier'}"
