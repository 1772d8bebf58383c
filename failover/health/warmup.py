"""Warm-up (I7): no automatic change until the detectors of a quorum of vantages have seen `rise` intervals since the cause.

A vantage is ready when every series that it is feeding has seen `rise` observations measured since the cause, and at least
one of them as many that count: otherwise the first vote would fall while others are still forming, and an empty sight would
look like a fleet gone dark.
"""

from collections.abc import Iterator
from dataclasses import replace

from failover.health.series import Series
from failover.health.state import HealthState
from failover.model.ids import VantageName
from failover.model.observation import Signal
from failover.model.policy import Policy
from failover.model.time import Now
from failover.model.verdict import WarmUp

JUDGED_SIGNALS = (Signal.DATA_PLANE.value, Signal.CONTROL_PLANE.value)


def restart(state: HealthState, now: Now, cause: str) -> HealthState:
    """Begin a new warm-up: what was counted before does not count. The confirm clocks begin anew, now."""
    return replace(
        state,
        warm_since_mono=now.mono,
        warm_cause=cause,
        warm_id=state.warm_id + 1,
        judged_mono=now.mono,
        clocks={},
        judged={},
    )


def finish(state: HealthState, policy: Policy, now: Now) -> HealthState:
    """End the warm-up once a quorum of vantages is ready and the time itself has passed."""
    if state.warm_cause is None:
        return state
    timing = policy.fleet.timing
    least_s = timing.rise * timing.interval_s * (1 - timing.jitter)
    if now.mono - state.warm_since_mono < least_s or _ready(state, policy, now) < policy.fleet.quorum:
        return state
    return replace(state, warm_cause=None)


def describe(state: HealthState, policy: Policy, now: Now) -> WarmUp | None:
    """What holds automation back, or None once warm."""
    if state.warm_cause is None:
        return None
    return WarmUp(
        since=state.wall(state.warm_since_mono),
        cause=state.warm_cause,
        vantages_ready=_ready(state, policy, now),
        quorum=policy.fleet.quorum,
    )


def _ready(state: HealthState, policy: Policy, now: Now) -> int:
    timing = policy.fleet.timing
    ready = 0
    for vantage in policy.fleet.vantages:
        fed = [
            series
            for series in _series_of(state, vantage.name)
            if now.mono - series.heard_mono <= timing.evidence_max_age_s
        ]
        counts = [series for series in fed if series.warm_id == state.warm_id and series.seen >= timing.rise]
        if fed and len(counts) == len(fed) and any(series.counted >= timing.rise for series in fed):
            ready += 1
    return ready


def _series_of(state: HealthState, vantage: VantageName) -> Iterator[Series]:
    for key, by_vantage in state.series.items():
        found = by_vantage.get(vantage)
        if found is not None and key[2] in JUDGED_SIGNALS:
            yield found
