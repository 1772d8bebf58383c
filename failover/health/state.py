"""The detector's memory, as frozen values; mappings inside are never changed in place. What is made anew many times a second
is a NamedTuple, which takes a quarter of the time of a frozen dataclass to make.

All times are the controller's monotonic seconds; `origin` turns them into wall time for people, so that a clock that
jumps moves what is shown and shortens nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from failover.health.quorum import Tally
from failover.health.series import Series
from failover.health.votes import Seat
from failover.model.ids import ClusterName, RegionName, Subject, VantageName
from failover.model.policy import Policy
from failover.model.time import Now
from failover.model.verdict import Freeze, Verdict, VerdictKind

SignalKey = tuple[str, str, str]
"""Cluster, application ("" for the cluster itself), signal: as `ProbeDefinition.key`."""


class Boots(NamedTuple):
    """The boot of a vantage that is listened to, with its newest observation, and earlier boots that are not heard."""

    current: str
    sequence: int
    newest_mono: float
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One subject's verdicts over time. `turns`: when it turned between serving and not serving.

    `serving` None: neither was ever seen. `hold_until`: end of its hold-down; `escalations`: hold-downs so far, one
    forgiven per quiet day since `last_hold`.
    """

    kind: VerdictKind
    since_mono: float
    serving: bool | None = None
    turns: tuple[float, ...] = ()
    hold_until: float | None = None
    escalations: int = 0
    last_hold: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One cluster and every subject that is judged there, the cluster's own first; `data_keys` belong to them, in order."""

    cluster: ClusterName
    region: RegionName
    subjects: tuple[Subject, ...]
    control_key: SignalKey
    data_keys: tuple[SignalKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Who is judged, worked out once for a policy and its probe definitions."""

    policy: Policy
    definitions: Mapping[SignalKey, str]
    clusters: tuple[Watched, ...]
    vantages: frozenset[VantageName]


class Judged(NamedTuple):
    """A verdict, which may be given again while nothing came in and nothing grew stale, and the counts that it rests on.

    `valid_until`: then it must be judged again.
    """

    verdict: Verdict
    data: Tally
    control: Tally
    valid_until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthState:
    """Everything that the next `judge` builds on.

    `origin`: wall time at monotonic second 0. `judged_mono`: last judgement. `clocks`: since when a signal's quorum has
    been down without an outside success (only where it is). `calm_since_mono`: since when a freeze has had no ground.
    `alert_since`: when each standing alert was raised, by code and subject. `heartbeats`: newest of each cluster that pushes
    them. `judged`: the last judgement of each subject, `{}` where all must be judged anew. `seats`: who votes on each region,
    `{}` where that must be asked anew.
    """

    origin: datetime
    judged_mono: float
    warm_since_mono: float
    warm_cause: str | None
    warm_id: int = 1
    layout: Layout | None = None
    series: Mapping[SignalKey, Mapping[VantageName, Series]] = field(default_factory=dict)
    boots: Mapping[VantageName, Boots] = field(default_factory=dict)
    suspects: Mapping[VantageName, str] = field(default_factory=dict)
    cordoned: frozenset[VantageName] = frozenset()
    heartbeats: Mapping[ClusterName, float] = field(default_factory=dict)
    seen: Mapping[VantageName, float] = field(default_factory=dict)
    clocks: Mapping[SignalKey, float] = field(default_factory=dict)
    histories: Mapping[Subject, History] = field(default_factory=dict)
    freeze: Freeze | None = None
    calm_since_mono: float | None = None
    alert_since: Mapping[tuple[str, str], float] = field(default_factory=dict)
    judged: Mapping[Subject, Judged] = field(default_factory=dict)
    seats: Mapping[RegionName, tuple[Seat, ...]] = field(default_factory=dict)

    def wall(self, mono: float) -> datetime:
        """The wall time of a monotonic second."""
        return self.origin + timedelta(seconds=mono)


def origin_of(now: Now) -> datetime:
    """The wall time at which this machine's monotonic clock showed 0, as the wall clock has it now."""
    return now.wall - timedelta(seconds=now.mono)
