"""From votes to the state of one signal (DESIGN section 4): up, down, split, unknown.

A quorum is a strict majority of the configured vantages. For D of a cluster only outside vantages vote; for C every
vantage does. In both a fresh outside up vote is dissent, and one dissenter is enough.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from failover.health.series import NEVER, Series
from failover.health.votes import Seat, vote_of
from failover.model.ids import VantageName
from failover.model.observation import Outcome, Signal
from failover.model.policy import Timing
from failover.model.verdict import Evidence, SignalState, SignalView, Vote, VoteView

FOREVER = float("inf")
SAMPLES_MIN = 12
"""Fewer probes than these say nothing about a share."""


class Sight(NamedTuple):
    """What one seat sees of a signal. It is looked at again when its series changes, or `until` has come.

    `counts`: it says something about the signal at all. `fresh`: its latest sample is. `failing`: that one is a failure which
    counts. `missed` of `samples`: probes of late that missed the objective and had a success after them (of D only);
    `going_on`: those in a row that still goes on and has convicted nobody.
    """

    seat: Seat
    series: Series | None
    view: VoteView
    counts: bool
    fresh: bool
    until: float
    failing: bool = False
    missed: int = 0
    going_on: int = 0
    samples: float = 0.0


class Tally(NamedTuple):
    """One signal of one subject, counted.

    `down_floor`: the confirm clock cannot have begun before; None while it must stand still. `first_failure`: first one
    of the present outage; `last_success`: newest of an outside vantage. `voting_outside`: outside vantages with a fresh
    vote either way. `up_votes`: fresh ones. `fresh_until`: the next moment at which it would be counted otherwise although
    nothing came in. `missed_percent`: share of the outside probes of late that missed the objective, where at least a
    quorum of the vantages saw some (one vantage's bad path is not a bad data plane), else 0. `sights`: in seats' order.
    """

    view: SignalView
    down_floor: float | None
    first_failure: float | None
    last_success: float | None
    voting_outside: int
    up_votes: int
    evidence: tuple[Evidence, ...]
    fresh_until: float
    missed_percent: float
    sights: tuple[Sight, ...]


def tally(
    signal: Signal,
    seats: Sequence[Seat],
    series: Mapping[VantageName, Series],
    *,
    quorum: int,
    timing: Timing,
    now_mono: float,
    before: Tally | None = None,
) -> Tally:
    """Count one signal of one subject over every configured vantage. `before`: the last count over the same seats."""
    known: Sequence[Sight | None] = before.sights if before is not None else (None,) * len(seats)
    sights: list[Sight] = []
    outside: list[Sight] = []
    downs: list[Sight] = []
    failing: list[Sight] = []
    ups = outside_ups = voting_outside = 0
    last_success, fresh_until = NEVER, FOREVER
    for seat, last in zip(seats, known, strict=True):
        found = series.get(seat.vantage)
        if last is None or last.series is not found or now_mono >= last.until:
            last = _look(signal, seat, found, timing, now_mono)
        sight = last
        sights.append(sight)
        if sight.until < fresh_until:
            fresh_until = sight.until
        if not sight.counts:
            continue
        vote = sight.view.vote
        if vote is Vote.UP:
            ups += 1
        elif vote is Vote.DOWN:
            downs.append(sight)
        if sight.failing:
            failing.append(sight)
        if seat.outside:
            outside.append(sight)
            outside_ups += vote is Vote.UP
            voting_outside += vote is not Vote.UNKNOWN
            if found is not None and found.last_success is not None and found.last_success > last_success:
                last_success = found.last_success
    state = state_of(len(downs), ups, outside_ups, quorum)
    return Tally(
        view=SignalView(
            signal=signal,
            state=state,
            votes=tuple([sight.view for sight in sights]),
            quorum=quorum,
            configured=len(seats),
        ),
        down_floor=_down_floor(downs, outside, state, quorum, timing),
        first_failure=_first_failure(failing, last_success) if failing else None,
        last_success=None if last_success == NEVER else last_success,
        voting_outside=voting_outside,
        up_votes=ups,
        evidence=tuple([_evidence(sight, signal) for sight in failing]),
        fresh_until=fresh_until,
        missed_percent=_missed_percent(sights, quorum),
        sights=tuple(sights),
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


def _look(signal: Signal, seat: Seat, found: Series | None, timing: Timing, now_mono: float) -> Sight:
    view = vote_of(seat, found, signal, now_mono, timing)
    inside = signal is Signal.DATA_PLANE and not seat.outside
    if found is None or found.latest is None or seat.cordoned or inside:
        return Sight(seat=seat, series=found, view=view, counts=False, fresh=False, until=FOREVER)
    limit = timing.evidence_max_age_s
    fresh = now_mono - found.measured_mono <= limit
    ends = [found.measured_mono + limit, found.heard_mono + limit]
    if view.vote is Vote.UP:
        ends.append(found.up_until(timing))
    missed, going_on, samples = 0, 0, 0.0
    if fresh and not seat.abstains and signal is Signal.DATA_PLANE:
        window = timing.objective.window_s
        samples = min(window, found.measured_mono - found.began) / timing.interval_s + 1
        ended = found.bad[: max(0, len(found.bad) - found.failures)]
        bad = [at for at in ended if at > now_mono - window]
        missed = len(bad)
        going_on = 0 if found.failures >= timing.fall else len(found.bad) - len(ended)
        ends += [at + window for at in bad[:1]]
    until = min([end for end in ends if end >= now_mono], default=FOREVER)
    return Sight(
        seat=seat,
        series=found,
        view=view,
        counts=True,
        fresh=fresh,
        until=until,
        failing=fresh and found.failures > 0 and not seat.abstains,
        missed=missed,
        going_on=going_on,
        samples=samples,
    )


def _down_floor(
    downs: Sequence[Sight], outside: Sequence[Sight], state: SignalState, quorum: int, timing: Timing
) -> float | None:
    """When the quorum-th vote turned down and the last outside success was over, whichever came later."""
    if state is not SignalState.DOWN:
        return None
    turned = sorted(_turned_down(sight) for sight in downs)
    ended = NEVER
    for sight in outside:
        found = sight.series
        assert found is not None
        assert found.latest is not None
        if sight.fresh and found.latest.outcome is Outcome.OK:
            return None
        ended = max(ended, found.success_ended(timing), found.up_ended or NEVER)
    return max(turned[quorum - 1], ended)


def _turned_down(sight: Sight) -> float:
    assert sight.series is not None
    return NEVER if sight.series.down_since is None else sight.series.down_since


def _first_failure(failing: Sequence[Sight], last_success: float) -> float | None:
    """The first failure after which no outside vantage succeeded any more.

    A vantage whose path has been bad for days does not date the outage: what it saw before the others' last success
    says nothing about this one.
    """
    firsts = [
        sight.series.first_failure
        for sight in failing
        if sight.series is not None and sight.series.first_failure is not None
    ]
    since = [first for first in firsts if first > last_success]
    if since:
        return min(since)
    return last_success if firsts else None


def _evidence(sight: Sight, signal: Signal) -> Evidence:
    found = sight.series
    assert found is not None
    assert found.latest is not None
    return Evidence(
        observation=found.latest.id,
        vantage=sight.seat.vantage,
        signal=signal,
        outcome=found.latest.outcome,
        measured_mono=found.measured_mono,
    )


def _missed_percent(sights: Sequence[Sight], quorum: int) -> float:
    # Failures without any success between them are an outage that begins; one success between makes all of them a share.
    if not any(sight.missed for sight in sights):
        return 0.0
    missed = [sight.missed + sight.going_on for sight in sights if sight.missed + sight.going_on]
    if len(missed) < quorum:
        return 0.0
    samples = sum(sight.samples for sight in sights)
    return 0.0 if samples < SAMPLES_MIN else min(100.0, 100.0 * sum(missed) / samples)
