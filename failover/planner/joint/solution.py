"""The answer of the joint engine: what is placed where, what is not, what was given up for it; reasons on request."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from failover.planner.joint.arrays import Prepared
from failover.planner.joint.problem import Finding, Placed, Shed, Why
from failover.planner.joint.reasons import Binding, Codes, Reasons
from failover.planner.joint.shed import Given, as_sheds
from failover.planner.joint.shortfalls import shortfalls
from failover.planner.joint.spread import Spreads
from failover.planner.joint.state import State


@dataclass(frozen=True)
class Placement:
    """Answers are made from arrays when they are asked for: a plan of millions of pairs costs no sentences."""

    prepared: Prepared
    spreads: Spreads
    state: State
    given: tuple[Given, ...]
    checked: tuple[Finding, ...]

    @cached_property
    def unplaced(self) -> Mapping[str, int]:
        """Replicas without a place by demand; only those that have some."""
        missing = self.state.missing
        return {
            self.prepared.demands[index].key: int(missing[index])
            for index in np.flatnonzero(missing).tolist()
        }

    @cached_property
    def shed(self) -> tuple[Shed, ...]:
        """Who gave up how many replicas where, and for whom."""
        return as_sheds(self.state, list(self.given))

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """What could not be taken as it was, and preferences that could not be kept (a minimum, a spread)."""
        return self.checked + shortfalls(self.state)

    def placed(self, demand: str) -> Mapping[str, int]:
        """Replicas by site after the plan, without zeros. A demand that there is not has none."""
        index = self.prepared.demand_index.get(demand)
        if index is None:
            return {}
        rows = self.prepared.rows_of(index)
        held = self.state.held[rows]
        return {
            self.prepared.sites[site].name: int(number)
            for site, number in zip(self.prepared.site[rows].tolist(), held.tolist(), strict=True)
            if number
        }

    def changes(self) -> Iterator[Placed]:
        """Every pair whose number changes, by demand in the order of the problem, then by site's name."""
        prepared, state = self.prepared, self.state
        changed: dict[int, list[Placed]] = {}
        for row in np.flatnonzero(state.held != prepared.current).tolist():
            demand = int(prepared.demand[row])
            changed.setdefault(demand, []).append(
                Placed(
                    demand=prepared.demands[demand].key,
                    site=prepared.sites[prepared.site[row]].name,
                    before=int(prepared.current[row]),
                    after=int(state.held[row]),
                )
            )
        for asked in prepared.problem.demands:
            rows = changed.get(prepared.demand_index[asked.key], [])
            yield from sorted(rows, key=lambda placed: placed.site)

    def rules(self) -> Codes:
        """[P]: for every row which rule bound it (an index of `reasons.RULES`)."""
        return self._binding.all()

    def why(self, demand: str, site: str) -> Why:
        """Why it got that number there; said once, however often this answer is given (`again.py`)."""
        if (found := self._whys.get((demand, site))) is None:
            found = self._whys[demand, site] = self._reasons.why(demand, site)
        return found

    def whys(self, demand: str) -> tuple[Why, ...]:
        """One for every site that its rules name or that it runs at, by name."""
        index = self.prepared.demand_index.get(demand)
        if index is None:
            return ()
        sites = [
            self.prepared.sites[at].name for at in self.prepared.site[self.prepared.rows_of(index)].tolist()
        ]
        return tuple(self.why(demand, site) for site in sorted(sites))

    @cached_property
    def _whys(self) -> dict[tuple[str, str], Why]:
        return {}

    @cached_property
    def _binding(self) -> Binding:
        return Binding(self.state, self.spreads, [item.row for item in self.given if item.replicas])

    @cached_property
    def _reasons(self) -> Reasons:
        return Reasons(self.state, self.spreads, self._binding, self.shed)
