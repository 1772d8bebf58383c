"""Hold-down after flapping: a subject that turned too often between serving and not serving stays ineligible.

Only those turns count: a single outage passes through PATH_PROBLEM and UNKNOWN on its way and is two turns, not five.
"""

from dataclasses import replace
from datetime import timedelta

from failover.health.state import History
from failover.model.policy import Timing
from failover.model.time import Now
from failover.model.verdict import VerdictKind

FORGIVEN_AFTER = timedelta(days=1)


def note_verdict(history: History | None, kind: VerdictKind, timing: Timing, now: Now) -> History:
    """The history with today's verdict; starts a hold-down at the policy's number of turns in its window."""
    if history is None:
        return History(kind=kind, since=now.wall, since_mono=now.mono, serving=_serving(kind))
    if kind is not history.kind:
        history = replace(history, kind=kind, since=now.wall, since_mono=now.mono)
    serving = _serving(kind)
    if serving is None or serving is history.serving:
        return history
    if history.serving is None:
        return replace(history, serving=serving)
    window = timedelta(seconds=timing.hold_down_window_s)
    turns = (*(turn for turn in history.turns if abs(now.wall - turn) <= window), now.wall)
    history = replace(history, serving=serving, turns=turns)
    return _hold(history, timing, now) if len(turns) >= timing.hold_down_changes else history


def _hold(history: History, timing: Timing, now: Now) -> History:
    quiet_days = (now.wall - history.last_hold) // FORGIVEN_AFTER if history.last_hold else 0
    escalations = max(0, history.escalations - max(0, quiet_days)) + 1
    seconds = min(timing.hold_down_base_s * 2 ** (escalations - 1), timing.hold_down_max_s)
    return replace(
        history,
        hold_until=now.wall + timedelta(seconds=seconds),
        hold_until_mono=now.mono + seconds,
        escalations=escalations,
        last_hold=now.wall,
    )


def held(history: History, now: Now) -> bool:
    """Whether the subject is held down now, by this process's monotonic clock."""
    return history.hold_until is not None and now.mono < history.hold_until_mono


def _serving(kind: VerdictKind) -> bool | None:
    if kind.serves:
        return True
    return False if kind.no_longer_serves else None
