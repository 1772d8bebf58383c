"""Verdicts: the fleet's view of one subject, with everything that led to it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from failover.model.ids import ClusterName, RegionName, Subject, VantageName
from failover.model.observation import Outcome, Signal


class Vote(StrEnum):
    """One vantage's view of one signal. Abstaining is `unknown`."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


class SignalState(StrEnum):
    """The quorum's view of one signal (DESIGN section 4)."""

    UP = "up"
    DOWN = "down"
    SPLIT = "split"
    UNKNOWN = "unknown"


class VerdictKind(StrEnum):
    """The verdict table's names."""

    HEALTHY = "HEALTHY"
    CONTROL_PLANE_DOWN = "CONTROL_PLANE_DOWN"
    CONTROL_PLANE_UNKNOWN = "CONTROL_PLANE_UNKNOWN"
    DATA_PLANE_DOWN = "DATA_PLANE_DOWN"
    DOWN = "DOWN"
    ISOLATED = "ISOLATED"
    PATH_PROBLEM = "PATH_PROBLEM"
    DEGRADED = "DEGRADED"
    UNKNOWN = "UNKNOWN"

    @property
    def no_longer_serves(self) -> bool:
        """The data plane is down by quorum: automation may steer, or evacuate where it is DOWN."""
        return self in (VerdictKind.DATA_PLANE_DOWN, VerdictKind.DOWN, VerdictKind.ISOLATED)

    @property
    def serves(self) -> bool:
        """A quorum says that clients are served (I4)."""
        return self in (
            VerdictKind.HEALTHY,
            VerdictKind.CONTROL_PLANE_DOWN,
            VerdictKind.CONTROL_PLANE_UNKNOWN,
            VerdictKind.DEGRADED,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteView:
    """One vantage's vote and its ground. `measured_mono`: its latest sample, by the controller's monotonic clock (None: never
    seen). `reason` for unknown.
    """

    vantage: VantageName
    vote: Vote
    outcome: Outcome | None = None
    measured_mono: float | None = None
    failures: int = 0
    successes: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalView:
    """One signal of one subject. `quorum` of `configured` vantages that may vote on it."""

    signal: Signal
    state: SignalState
    votes: tuple[VoteView, ...] = ()
    quorum: int
    configured: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One observation that a decision cites (I2). `measured_mono`: controller's monotonic seconds."""

    observation: str
    vantage: VantageName
    signal: Signal
    outcome: Outcome
    measured_mono: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The fleet's view of one subject.

    `confirmed`: the quorum has held for `confirm_needed_s`, without an outside success. `confirming_s`: how long so far
    (None: the clock is not running). `first_failure_mono`: of the present unbroken series over all vantages;
    `last_success_mono`: latest outside success (proof of life). `hold_down_until`: not eligible before (wall).
    `dissent_possible`: at least quorum + 1 outside vantages have a fresh vote. `data_confirmed`: the data plane alone has
    held so long, which is enough to steer, even where DOWN still waits for its control plane. `missed_percent`: of the
    outside probes of late, those that missed the objective (0 where fewer than a quorum saw any).
    """

    subject: Subject
    kind: VerdictKind
    since: datetime
    sentence: str
    data: SignalView
    control: SignalView
    confirmed: bool = False
    confirming_s: float | None = None
    confirm_needed_s: float = 0.0
    first_failure_mono: float | None = None
    last_success_mono: float | None = None
    evidence: tuple[Evidence, ...] = ()
    hold_down_until: datetime | None = None
    dissent_possible: bool = True
    data_confirmed: bool = False
    missed_percent: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """All automation stops: too much looks wrong at once (I6)."""

    since: datetime
    regions: tuple[RegionName, ...]
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """No automatic change yet (I7). `cause`: start, leadership, clock-jump, un-freeze, policy. `vantages_ready` of `quorum`."""

    since: datetime
    cause: str
    vantages_ready: int
    quorum: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something that a person should know. `code` is stable; `page`: wake somebody."""

    code: str
    sentence: str
    subject: str = ""
    since: datetime
    page: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What `health.judge` returns: every verdict, and what holds automation back."""

    verdicts: tuple[Verdict, ...]
    freeze: Freeze | None = None
    warm_up: WarmUp | None = None
    suspect_vantages: tuple[VantageName, ...] = ()
    silent_vantages: tuple[VantageName, ...] = ()
    alerts: tuple[Alert, ...] = ()

    def of(self, subject: Subject) -> Verdict | None:
        """The verdict of a subject, or None where it is not judged."""
        return next((verdict for verdict in self.verdicts if verdict.subject == subject), None)

    def of_cluster(self, cluster: ClusterName) -> Verdict | None:
        """The verdict of a cluster as a whole."""
        return self.of(Subject(cluster=cluster))
