"""One vantage's view of one signal of one subject: consecutive successes and failures, and the vote they make.

Idempotent by boot id and sequence: what is not newer changes nothing. Only `measured_mono` decides freshness. `local`
neither extends nor breaks a series; a gap without any observation longer than evidence lasts starts it anew, because
what lies before the gap proves nothing (I1). The very first up vote needs `rise` successes like any other: warm-up
(I7) takes as long anyway.
"""

from typing import Any, NamedTuple

from failover.model.observation import Observation, Outcome
from failover.model.policy import Timing
from failover.model.verdict import Vote

NEVER = float("-inf")

LOCAL_BRIDGE = 3
"""Local faults hold a series together for at most this many evidence limits: a failure of an hour ago convicts nobody."""


class Series(NamedTuple):
    """All times are the controller's monotonic seconds at which a probe ended. (A tuple: every observation makes one, and a
    frozen dataclass takes four times as long to make.)

    `boot_id`, `sequence`: of the newest observation taken in. `definition`: hash of the probe that it comes from.
    `heard_mono`: newest of any outcome, `measured_mono`: newest that counts (`latest`); `failures`, `successes`:
    consecutive. `first_failure`, `down_since`: first and `fall`-th failure of the present row. `last_success`: newest
    ever; `broken_at`: first failure after it. `up`: `rise` successes came and not `fall` failures since; `up_ended`:
    when it last ceased to be so. `seen`, `counted`: observations, and those that count, since warm-up `warm_id` began.
    `began`: the first sample that counts since a gap; `bad`: those within the objective's window that missed it.
    """

    boot_id: str
    definition: str
    sequence: int = -1
    heard_mono: float = NEVER
    latest: Observation | None = None
    measured_mono: float = NEVER
    failures: int = 0
    successes: int = 0
    first_failure: float | None = None
    down_since: float | None = None
    last_success: float | None = None
    broken_at: float | None = None
    up: bool = False
    up_ended: float | None = None
    warm_id: int = 0
    seen: int = 0
    counted: int = 0
    began: float = NEVER
    bad: tuple[float, ...] = ()

    def fresh(self, now_mono: float, timing: Timing) -> bool:
        """Whether the latest sample still says anything."""
        return now_mono - self.measured_mono <= timing.evidence_max_age_s

    def vote(self, now_mono: float, timing: Timing) -> Vote:
        """Down after `fall` failures in a row, up after `rise` successes; the first success ends a down vote.

        An up vote needs a fresh success, not merely a fresh sample: a vantage whose failures are excused again and again
        must not dissent with what it saw minutes ago.
        """
        if not self.fresh(now_mono, timing):
            return Vote.UNKNOWN
        if self.failures >= timing.fall:
            return Vote.DOWN
        return Vote.UP if now_mono <= self.up_until(timing) else Vote.UNKNOWN

    def up_until(self, timing: Timing) -> float:
        """Until when it votes up if nothing more comes in; -inf where it does not."""
        if not self.up or self.last_success is None:
            return NEVER
        return self.last_success + timing.evidence_max_age_s

    def success_ended(self, timing: Timing) -> float:
        """When its newest success ceased to be its latest fresh observation (it may lie ahead; -inf: none ever)."""
        if self.last_success is None:
            return NEVER
        stale = self.last_success + timing.evidence_max_age_s
        return stale if self.broken_at is None or self.broken_at > stale else self.broken_at


def extend(
    series: Series | None,
    observation: Observation,
    measured_mono: float,
    timing: Timing,
    *,
    warm_id: int = 0,
    warm_since_mono: float = NEVER,
    excused: bool = False,
) -> Series:
    """The series with one more observation, or the same one where the observation is not newer.

    `excused`: the vantage suspects itself, so its failure counts as `local`; its success is one all the same.
    Boots are told apart before this is called: another boot id here is a newer one.
    """
    if series is None or series.definition != observation.definition:
        series = Series(boot_id=observation.boot_id, definition=observation.definition)
    elif series.boot_id == observation.boot_id and observation.sequence <= series.sequence:
        return series
    outcome = observation.outcome
    counts = outcome is not Outcome.LOCAL and not (excused and outcome.counts_as_failure)
    if counts and _broken_off(series, measured_mono, timing):
        series = _anew(series, timing)
    seen, counted = (series.seen, series.counted) if series.warm_id == warm_id else (0, 0)
    since_cause = measured_mono >= warm_since_mono
    changes: dict[str, Any] = {}
    if counts:
        row = _success if outcome is Outcome.OK else _failure
        changes = row(series, measured_mono, timing)
        changes |= _objective(series, observation, measured_mono, timing)
        changes["latest"], changes["measured_mono"] = observation, measured_mono
    return series._replace(
        boot_id=observation.boot_id,
        sequence=observation.sequence,
        heard_mono=max(series.heard_mono, measured_mono),
        warm_id=warm_id,
        seen=seen + since_cause,
        counted=counted + (since_cause and counts),
        **changes,
    )


def _objective(
    series: Series, observation: Observation, measured_mono: float, timing: Timing
) -> dict[str, Any]:
    """Counts the sample towards the objective: it misses it by failing, or by taking too long."""
    objective = timing.objective
    slow = objective.latency_ms is not None and observation.latency_ms > objective.latency_ms
    missed = slow or observation.partly or not observation.outcome.is_success
    began = measured_mono if series.began == NEVER else series.began
    if not missed and not series.bad:
        return {"began": began}
    bad = tuple(at for at in series.bad if at > measured_mono - objective.window_s)
    if missed:
        return {"began": began, "bad": (*bad, measured_mono)}
    # A row of failures that convicted was an outage: it had a verdict of its own, and does not linger as a share of errors.
    outage = min(len(bad), series.failures) if series.failures >= timing.fall else 0
    return {"began": began, "bad": bad[: len(bad) - outage]}


def forgive(series: Series) -> Series:
    """Without its present failures: the vantage has just found that it is itself the problem (I5)."""
    return series._replace(failures=0, first_failure=None, down_since=None, bad=())


def _broken_off(series: Series, measured_mono: float, timing: Timing) -> bool:
    """Whether too long a silence lies between this sample and the one before."""
    limit = timing.evidence_max_age_s
    return (
        measured_mono - series.heard_mono > limit
        or measured_mono - series.measured_mono > LOCAL_BRIDGE * limit
    )


def _anew(series: Series, timing: Timing) -> Series:
    return series._replace(
        failures=0,
        successes=0,
        first_failure=None,
        down_since=None,
        up=False,
        up_ended=series.up_until(timing) if series.up else series.up_ended,
        began=NEVER,
        bad=(),
    )


def _success(series: Series, measured_mono: float, timing: Timing) -> dict[str, Any]:
    successes = series.successes + 1
    last = series.last_success
    return {
        "failures": 0,
        "successes": successes,
        "first_failure": None,
        "down_since": None,
        "last_success": measured_mono if last is None else max(last, measured_mono),
        "broken_at": None,
        "up": series.up or successes >= timing.rise,
    }


def _failure(series: Series, measured_mono: float, timing: Timing) -> dict[str, Any]:
    failures = series.failures + 1
    down = failures >= timing.fall
    changes: dict[str, Any] = {
        "failures": failures,
        "successes": 0,
        "first_failure": measured_mono if series.first_failure is None else series.first_failure,
        "broken_at": measured_mono if series.broken_at is None else series.broken_at,
    }
    if down:
        changes["up"] = False
        if series.down_since is None:
            changes["down_since"] = measured_mono
        if series.up:
            changes["up_ended"] = min(measured_mono, series.up_until(timing))
    return changes
