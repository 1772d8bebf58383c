"""From votes to the state of one signal (DESIGN section 4): up, down, split, unknown.

A quorum is a strict majority of the configured vantages. For D of a cluster only outside vantages vote; for C every
vantage does. In both a fresh outside up vote is dissent, and one dissenter is enough.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from failover.health.series import NEVER, Series
from failover.health.votes import Seat, vote_of
from failover.model.ids import VantageName
from failover.model.observation import Outcome, Signal
from failover.model.policy import Timing
from failover.model.verdict import Evidence, SignalState, SignalView, Vote, VoteView

SAMPLES_MIN = 12
"""Fewer probes than these say nothing about a share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One signal of one subject, counted.

    `down_floor`: the confirm clock cannot have begun before; None while it must stand still. `first_failure`: first one
    of the present outage; `last_success`: newest of an outside vantage. `voting_outside`: outside vantages with a fresh
    vote either way. `up_votes`: fresh ones. `fresh_until`: the next moment at which it would be counted otherwise although
    nothing came in. `missed_percent`: share of the outside probes of late that missed the objective, where at least a
    quorum of the vantages saw some (one vantage's bad path is not a bad data plane), else 0.
    """

    view: SignalView
    down_floor: float | None
    first_failure: float | None
    last_success: float | None
    voting_outside: int
    up_votes: int
    evidence: tuple[Evidence, ...]
    fresh_until: float
    missed_percent: float = 0.0


@dataclass(slots=True)
class _Count:
    """What one walk over the seats gathers; it never leaves this module."""

    views: list[VoteView] = field(default_factory=list)
    turned_down: list[float] = field(default_factory=list)
    failing: list[tuple[Seat, Series]] = field(default_factory=list)
    ups: int = 0
    outside_ups: int = 0
    voting_outside: int = 0
    success_now: bool = False
    dissent_ended: float = NEVER
    last_success: float = NEVER
    fresh_until: float = float("inf")
    missed: int = 0
    missed_by: int = 0
    samples: float = 0.0


def tally(
    signal: Signal,
    seats: Sequence[Seat],
    series: Mapping[VantageName, Series],
    *,
    quorum: int,
    timing: Timing,
    now_mono: float,
) -> Tally:
    """Count one signal of one subject over every configured vantage."""
    count = _Count()
    limit = timing.evidence_max_age_s
    for seat in seats:
        found = series.get(seat.vantage)
        view = vote_of(seat, found, signal, now_mono, timing)
        count.views.append(view)
        if found is None or found.latest is None or seat.cordoned:
            continue
        if not seat.outside and signal is Signal.DATA_PLANE:
            continue
        fresh = now_mono - found.measured_mono <= limit
        _note_end(count, found, view.vote, limit, now_mono)
        _take(count, seat, found, view.vote, timing, fresh=fresh)
        if fresh and not seat.abstains and signal is Signal.DATA_PLANE:
            _note_missed(count, found, timing, now_mono)
    state = state_of(len(count.turned_down), count.ups, count.outside_ups, quorum)
    return Tally(
        view=SignalView(
            signal=signal, state=state, votes=tuple(count.views), quorum=quorum, configured=len(seats)
        ),
        down_floor=_down_floor(count, state, quorum),
        first_failure=_first_failure(count),
        last_success=None if count.last_success == NEVER else count.last_success,
        voting_outside=count.voting_outside,
        up_votes=count.ups,
        evidence=tuple(_evidence(seat, signal, found) for seat, found in count.failing),
        fresh_until=count.fresh_until,
        missed_percent=_missed_percent(count, quorum),
    )


def state_of(downs: int, ups: int, outside_ups: int, quorum: int) -> SignalState:
    """Down needs a quorum and no fresh outside up vote; split is votes both ways without a quorum up."""
    if downs >= quorum and outside_ups == 0:
        return SignalState.DOWN
    if ups >= quorum:
        return SignalState.UP
    if downs and ups:
        return SignalState.SPLIT
    return SignalState.UNKNOWN


def _note_end(count: _Count, found: Series, vote: Vote, limit: float, now_mono: float) -> None:
    """When this vantage's vote, or its ground, will change by itself."""
    for at in (found.measured_mono, found.heard_mono, found.last_success if vote is Vote.UP else None):
        if at is not None and now_mono <= at + limit < count.fresh_until:
            count.fresh_until = at + limit


def _note_missed(count: _Count, found: Series, timing: Timing, now_mono: float) -> None:
    """Count what missed the objective of late."""
    window = timing.objective.window_s
    count.samples += min(window, found.measured_mono - found.began) / timing.interval_s + 1
    bad = [at for at in found.bad if at > now_mono - window] if found.bad else found.bad
    if bad:
        count.missed += len(bad)
        count.missed_by += 1
        count.fresh_until = min(count.fresh_until, bad[0] + window)


def _missed_percent(count: _Count, quorum: int) -> float:
    if count.missed_by < quorum or count.samples < SAMPLES_MIN:
        return 0.0
    return min(100.0, 100.0 * count.missed / count.samples)


def _take(count: _Count, seat: Seat, found: Series, vote: Vote, timing: Timing, *, fresh: bool) -> None:
    """Take one vantage's sight into the count."""
    assert found.latest is not None
    if seat.outside:
        if fresh and found.latest.outcome is Outcome.OK:
            count.success_now = True
        count.dissent_ended = max(count.dissent_ended, found.success_ended(timing), found.up_ended or NEVER)
        if found.last_success is not None and found.last_success > count.last_success:
            count.last_success = found.last_success
        if vote is not Vote.UNKNOWN:
            count.voting_outside += 1
    if vote is Vote.UP:
        count.ups += 1
        count.outside_ups += seat.outside
    elif vote is Vote.DOWN:
        count.turned_down.append(NEVER if found.down_since is None else found.down_since)
    if found.failures and fresh and not seat.abstains:
        count.failing.append((seat, found))


def _down_floor(count: _Count, state: SignalState, quorum: int) -> float | None:
    """When the quorum-th vote turned down and the last outside success was over, whichever came later."""
    if state is not SignalState.DOWN or count.success_now:
        return None
    return max(sorted(count.turned_down)[quorum - 1], count.dissent_ended)


def _first_failure(count: _Count) -> float | None:
    """The first failure after which no outside vantage succeeded any more.

    A vantage whose path has been bad for days does not date the outage: what it saw before the others' last success
    says nothing about this one.
    """
    firsts = [found.first_failure for _, found in count.failing if found.first_failure is not None]
    since = [first for first in firsts if first > count.last_success]
    if since:
        return min(since)
    return count.last_success if firsts else None


def _evidence(seat: Seat, signal: Signal, found: Series) -> Evidence:
    assert found.latest is not None
    return Evidence(
        observation=found.latest.id,
        vantage=seat.vantage,
        signal=signal,
        outcome=found.latest.outcome,
        measured_mono=found.measured_mono,
    )
