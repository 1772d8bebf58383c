"""One vantage's view of one signal of one subject: consecutive successes and failures, and the vote they make.

Idempotent by boot id and sequence; `local` neither extends nor breaks a series; a gap longer than evidence lasts starts
it anew, because what lies before the gap proves nothing (I1).
"""

from dataclasses import dataclass, replace

from failover.model.observation import Outcome, Received
from failover.model.policy import Timing
from failover.model.verdict import Vote

BOOTS_REMEMBERED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """`failures` / `successes`: consecutive; `down_since`: measured time of the `fall`-th failure in a row.

    `up`: the vote was up and no `fall` failures have passed since. `count`: samples since warm-up `warm_id` began.
    """

    boot_id: str
    sequence: int
    old_boots: tuple[str, ...] = ()
    outcome: Outcome | None = None
    observation: str = ""
    measured_mono: float = float("-inf")
    failures: int = 0
    successes: int = 0
    first_failure: float | None = None
    down_since: float | None = None
    last_success: float | None = None
    up: bool = False
    warm_id: int = 0
    count: int = 0

    def fresh(self, now_mono: float, timing: Timing) -> bool:
        """Whether the latest sample still says anything."""
        return self.outcome is not None and now_mono - self.measured_mono <= timing.evidence_max_age_s

    def vote(self, now_mono: float, timing: Timing) -> Vote:
        """Down after `fall` failures in a row, up after `rise` successes; a success ends down at once."""
        if not self.fresh(now_mono, timing):
            return Vote.UNKNOWN
        if self.failures >= timing.fall:
            return Vote.DOWN
        return Vote.UP if self.up else Vote.UNKNOWN


def extend(
    series: Series | None, received: Received, timing: Timing, warm_id: int, *, excused: bool
) -> Series:
    """The series with one more observation. `excused`: its vantage suspects itself, so a failure counts as local."""
    observation = received.observation
    if series is None:
        series = Series(boot_id=observation.boot_id, sequence=-1)
    if observation.boot_id != series.boot_id:
        if observation.boot_id in series.old_boots:
            return series
        boots = (*series.old_boots, series.boot_id)[-BOOTS_REMEMBERED:]
        series = replace(series, boot_id=observation.boot_id, sequence=-1, old_boots=boots)
    if observation.sequence <= series.sequence:
        return series
    series = replace(series, sequence=observation.sequence)
    if received.measured_mono < series.measured_mono:
        return series
    outcome = observation.outcome
    if outcome is Outcome.LOCAL or (excused and outcome.counts_as_failure):
        return series
    if received.measured_mono - series.measured_mono > timing.evidence_max_age_s:
        series = replace(series, failures=0, successes=0, first_failure=None, down_since=None, up=False)
    count = series.count + 1 if series.warm_id == warm_id else 1
    series = replace(
        series,
        outcome=outcome,
        observation=observation.id,
        measured_mono=received.measured_mono,
        warm_id=warm_id,
        count=count,
    )
    return _with_success(series, timing) if outcome.is_success else _with_failure(series, timing)


def _with_success(series: Series, timing: Timing) -> Series:
    successes = series.successes + 1
    return replace(
        series,
        failures=0,
        successes=successes,
        first_failure=None,
        down_since=None,
        last_success=series.measured_mono,
        up=series.up or successes >= timing.rise,
    )


def _with_failure(series: Series, timing: Timing) -> Series:
    failures = series.failures + 1
    down = failures >= timing.fall
    return replace(
        series,
        failures=failures,
        successes=0,
        first_failure=series.measured_mono if series.first_failure is None else series.first_failure,
        down_since=series.measured_mono if down and series.down_since is None else series.down_since,
        up=series.up and not down,
    )


def forgive(series: Series) -> Series:
    """Without its failures: the vantage has just found that it is itself the problem."""
    return replace(series, failures=0, first_failure=None, down_since=None)
