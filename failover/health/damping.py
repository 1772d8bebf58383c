"""Hold-down after flapping: a subject that turned too often between serving and not serving stays ineligible.

Only those turns count as verdict changes: a single outage passes through PATH_PROBLEM and UNKNOWN on its way and is two
turns, not five; and votes that split or fall silent say nothing about the subject (I1).

`hold(n) = min(base * 2^(n-1), max)` for the n-th hold-down; n falls by one per quiet day (facts/reliability 2.5). A turn
while held down begins the same hold again, so that it ends only after that long a calm.
"""

from dataclasses import replace

from failover.health.state import History
from failover.model.policy import Timing
from failover.model.verdict import VerdictKind

FORGIVEN_AFTER_S = 86_400.0


def note_verdict(history: History | None, kind: VerdictKind, timing: Timing, now_mono: float) -> History:
    """The history with the present verdict; begins a hold-down at the policy's number of turns in its window."""
    serving = _serving(kind)
    if history is None:
        return History(kind=kind, since_mono=now_mono, serving=serving)
    if kind is not history.kind:
        history = replace(history, kind=kind, since_mono=now_mono)
    if serving is None or serving is history.serving:
        return history
    if history.serving is None:
        return replace(history, serving=serving)
    oldest = now_mono - timing.hold_down_window_s
    turns = (*(turn for turn in history.turns if turn >= oldest), now_mono)
    history = replace(history, serving=serving, turns=turns)
    return _hold(history, timing, now_mono) if len(turns) >= timing.hold_down_changes else history


def held(history: History, now_mono: float) -> bool:
    """Whether the subject is held down now."""
    return history.hold_until is not None and now_mono < history.hold_until


def release(history: History) -> History:
    """A person's `ack`: eligible again, and the turns so far are forgotten; the next hold-down is longer all the same."""
    return replace(history, hold_until=None, turns=())


def _hold(history: History, timing: Timing, now_mono: float) -> History:
    escalations = history.escalations
    if not held(history, now_mono):
        quiet_s = now_mono - history.last_hold if history.last_hold is not None else 0.0
        escalations = max(0, escalations - max(0, int(quiet_s // FORGIVEN_AFTER_S))) + 1
    seconds = min(timing.hold_down_base_s * 2.0 ** min(escalations - 1, 62), timing.hold_down_max_s)
    until = now_mono + seconds
    return replace(
        history,
        hold_until=until if history.hold_until is None else max(history.hold_until, until),
        escalations=escalations,
        last_hold=now_mono,
    )


def _serving(kind: VerdictKind) -> bool | None:
    if kind.serves:
        return True
    return False if kind.no_longer_serves else None
