"""The part of the detector's memory that survives a restart: hold-downs, turns and the freeze, in wall time.

Votes do not survive: after a restart the detectors start anew and warm up (I7).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from failover.health.damping import held
from failover.health.detector import initial_state
from failover.health.state import HealthState, History
from failover.model.ids import Subject
from failover.model.time import Now
from failover.model.verdict import Freeze, VerdictKind


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableHistory:
    """One subject. `hold_left_s`: what was left of its hold-down when this was saved."""

    subject: Subject
    verdict: VerdictKind
    since: datetime
    serving: bool | None
    turns: tuple[datetime, ...]
    hold_left_s: float
    escalations: int
    last_hold: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableHealth:
    """What is written to the store."""

    saved_at: datetime
    histories: tuple[DurableHistory, ...]
    freeze: Freeze | None


def durable(state: HealthState, now: Now) -> DurableHealth:
    """What must outlive a restart."""
    return DurableHealth(
        saved_at=now.wall,
        freeze=state.freeze,
        histories=tuple(
            DurableHistory(
                subject=subject,
                verdict=history.kind,
                since=history.since,
                serving=history.serving,
                turns=history.turns,
                hold_left_s=max(0.0, history.hold_until_mono - now.mono) if held(history, now) else 0.0,
                escalations=history.escalations,
                last_hold=history.last_hold,
            )
            for subject, history in sorted(state.histories.items(), key=lambda pair: pair[0].key)
        ),
    )


def restore(saved: DurableHealth, now: Now) -> HealthState:
    """A state that begins in warm-up with the saved hold-downs. Time that ran backwards shortens none of them."""
    away_s = max(0.0, (now.wall - saved.saved_at).total_seconds())
    histories = {item.subject: _history(item, away_s, now) for item in saved.histories}
    return replace(initial_state(now), histories=histories, freeze=saved.freeze)


def _history(item: DurableHistory, away_s: float, now: Now) -> History:
    left = max(0.0, item.hold_left_s - away_s)
    return History(
        kind=item.verdict,
        since=item.since,
        since_mono=now.mono,
        serving=item.serving,
        turns=item.turns,
        hold_until=now.wall + timedelta(seconds=left) if left else None,
        hold_until_mono=now.mono + left,
        escalations=item.escalations,
        last_hold=item.last_hold,
    )
