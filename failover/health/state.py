"""The detector's memory, as frozen values; dicts inside are never changed in place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from failover.health.series import Series
from failover.model.ids import Subject, VantageName
from failover.model.verdict import Freeze, VerdictKind

SeriesKey = tuple[str, str, str, str]
"""Cluster, application ("" for the cluster itself), signal, vantage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """One subject's verdicts over time. `turns`: wall times at which it turned between serving and not serving.

    `hold_until`: wall time; `hold_until_mono`: the same on this process's clock, so that a wall jump never shortens it.
    `escalations`: hold-downs so far, one forgiven per quiet day (`last_hold`).
    """

    kind: VerdictKind
    since: datetime
    since_mono: float
    serving: bool | None = None
    turns: tuple[datetime, ...] = ()
    hold_until: datetime | None = None
    hold_until_mono: float = 0.0
    escalations: int = 0
    last_hold: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthState:
    """Everything that the next `judge` builds on."""

    warm_since: datetime
    warm_since_mono: float
    warm_cause: str | None
    warm_id: int = 1
    series: Mapping[SeriesKey, Series] = field(default_factory=dict)
    suspects: Mapping[VantageName, str] = field(default_factory=dict)
    seen: Mapping[VantageName, float] = field(default_factory=dict)
    histories: Mapping[Subject, History] = field(default_factory=dict)
    freeze: Freeze | None = None
    calm_since_mono: float | None = None
