"""The answer of the joint engine: what is placed where, what is not, what was given up for it; reasons on request."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from failover.planner.joint.problem import Finding, Placed, Shed, Why


class Solution(Protocol):
    """Answers are made from arrays when they are asked for, so that a plan of millions of pairs costs no sentences."""

    @property
    def unplaced(self) -> Mapping[str, int]:
        """Replicas without a place by demand; only those that have some."""

    @property
    def shed(self) -> tuple[Shed, ...]:
        """Who gave up how many replicas where, and for whom."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What could not be taken as it was, and preferences that could not be kept (a minimum, a spread)."""

    def placed(self, demand: str) -> Mapping[str, int]:
        """Replicas by site after the plan, without zeros."""

    def changes(self) -> Iterator[Placed]:
        """Every pair whose number changes, by demand in the order of the problem, then by site's name."""

    def why(self, demand: str, site: str) -> Why:
        """Why it got that number there."""

    def whys(self, demand: str) -> tuple[Why, ...]:
        """One for every site that its rules name, by name."""
