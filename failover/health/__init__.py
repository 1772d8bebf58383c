"""Pure: votes, quorum, verdicts, flap damping, warm-up, freeze. `judge(state, inputs, now) -> (state, Judgement)`.

Lives here: what observations mean. May not live here: a clock, I/O, randomness, what to do about a verdict (planner,
execution). All times inside are the controller's monotonic seconds; what must outlive a restart is wall time.
"""

from failover.health.detector import (
    initial_state,
    judge,
    lift_freeze,
    release_hold_down,
    restart_warm_up,
)
from failover.health.durable import DurableHealth, durable, restore
from failover.health.expectation import expected
from failover.health.intake import Inputs
from failover.health.state import HealthState
from failover.health.suspicion import suspect_regions

__all__ = [
    "DurableHealth",
    "HealthState",
    "Inputs",
    "durable",
    "expected",
    "initial_state",
    "judge",
    "lift_freeze",
    "release_hold_down",
    "restart_warm_up",
    "restore",
    "suspect_regions",
]
