"""Pure planning: placement, record sets, what-if. `plan(snapshot, policy, request) -> Plan`.

No clock, no random, no I/O, no await: the same input gives the same bytes. Guards live in `execution`, not here:
the planner leaves an application out only where its own part cannot be planned safely.
"""

from failover.planner.assumptions import check_assumptions
from failover.planner.explain import blast_radius, explain_placement
from failover.planner.make import plan, what_if
from failover.planner.survive import Survivability, survivability
from failover.planner.widen import widen

__all__ = [
    "Survivability",
    "blast_radius",
    "check_assumptions",
    "explain_placement",
    "plan",
    "survivability",
    "what_if",
    "widen",
]
