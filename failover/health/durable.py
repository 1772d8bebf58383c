"""The part of the detector's memory that survives a restart: hold-downs, turns, verdicts and the freeze, in wall time.

Votes do not survive: after a restart the detectors start anew and warm up (I7). Wall time is what two boots have in
common; within one boot the monotonic clock tells how long we were away, and then no clock jump matters.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from failover.health.damping import held
from failover.health.detector import initial_state
from failover.health.state import HealthState, History
from failover.model.ids import Subject
from failover.model.time import Now
from failover.model.verdict import Freeze, VerdictKind


@dataclass(frozen=True, slots=True, kw_only=True)
class DurableHistory:
    """One subject. `hold_left_s`: what was left of its hold-down when this was saved (seconds)."""

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
    """What is written to the store. `boot_id` "": unknown; `saved_mono`: monotonic seconds of that boot."""

    saved_at: datetime
    histories: tuple[DurableHistory, ...]
    freeze: Freeze | None
    boot_id: str = ""
    saved_mono: float = 0.0


def durable(state: HealthState, now: Now, *, boot_id: str = "") -> DurableHealth:
    """What must outlive a restart. `boot_id`: of this machine's present boot, if it is known."""
    return DurableHealth(
        saved_at=now.wall,
        freeze=state.freeze,
        boot_id=boot_id,
        saved_mono=now.mono,
        histories=tuple(
            DurableHistory(
                subject=subject,
                verdict=history.kind,
                since=now.wall_of(history.since_mono),
                serving=history.serving,
                turns=tuple(now.wall_of(turn) for turn in history.turns),
                hold_left_s=_left(history, now),
                escalations=history.escalations,
                last_hold=None if history.last_hold is None else now.wall_of(history.last_hold),
            )
            for subject, history in sorted(state.histories.items(), key=lambda pair: pair[0].key)
        ),
    )


def restore(saved: DurableHealth, now: Now, *, boot_id: str = "") -> HealthState:
    """A state that begins in warm-up with the saved hold-downs; time that ran backwards shortens none of them."""
    away_s = max(0.0, (now.wall - saved.saved_at).total_seconds())
    if boot_id and boot_id == saved.boot_id:
        away_s = max(0.0, now.mono - saved.saved_mono)
    histories = {item.subject: _history(item, saved.saved_at, away_s, now) for item in saved.histories}
    return replace(initial_state(now), histories=histories, freeze=saved.freeze)


def _left(history: History, now: Now) -> float:
    if history.hold_until is None or not held(history, now.mono):
        return 0.0
    return history.hold_until - now.mono


def _history(item: DurableHistory, saved_at: datetime, away_s: float, now: Now) -> History:
    def mono(wall: datetime) -> float:
        return now.mono - away_s - (saved_at - wall).total_seconds()

    left_s = max(0.0, item.hold_left_s - away_s)
    return History(
        kind=item.verdict,
        since_mono=mono(item.since),
        serving=item.serving,
        turns=tuple(mono(turn) for turn in item.turns),
        hold_until=now.mono + left_s if left_s else None,
        escalations=item.escalations,
        last_hold=None if item.last_hold is None else mono(item.last_hold),
    )
