"""Oracles: one small class an invariant. They see the trace as it comes, and judge it by the world's truth.

To add one: subclass `Oracle`, name its invariant, and put it into `ORACLES`. An oracle that no mutant breaks proves nothing
(`mutants`).
"""

from .base import Oracle, Violation
from .dns import DNS
from .evidence import EVIDENCE
from .execution import EXECUTION
from .people import PEOPLE
from .planned import PLANNED
from .radius import RADIUS

ORACLES: tuple[type[Oracle], ...] = (*EVIDENCE, *RADIUS, *PLANNED, *DNS, *EXECUTION, *PEOPLE)

__all__ = ["ORACLES", "Oracle", "Violation"]
