"""From votes to the state of a signal, and how long a quorum has been of one mind (DESIGN section 4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from failover.health.series import Series
from failover.health.state import SeriesKey
from failover.model.ids import Subject, VantageName
from failover.model.observation import Signal
from failover.model.policy import Timing, VantageEntry
from failover.model.verdict import Evidence, SignalState, SignalView, Vote, VoteView


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One signal of one subject, counted.

    `down_since`: monotonic second since when a quorum is down without an outside success, None while it is not.
    `first_failure`: of the unbroken failures that are fresh now; `last_success`: newest success of an outside vantage.
    `voting_outside`: outside vantages with a fresh vote either way. `up_votes`: fresh up votes of any counted vantage.
    """

    view: SignalView
    down_since: float | None
    first_failure: float | None
    last_success: float | None
    voting_outside: int
    up_votes: int
    evidence: tuple[Evidence, ...]


def tally(
    subject: Subject,
    signal: Signal,
    *,
    vantages: Sequence[VantageEntry],
    outside: frozenset[VantageName],
    silenced: Mapping[VantageName, str],
    quorum: int,
    series: Mapping[SeriesKey, Series],
    timing: Timing,
    now_mono: float,
) -> Tally:
    """Count one signal. D counts outside vantages only; C counts every configured one, dissent the outside ones.

    `silenced`: vantages that abstain (suspect or cordoned), with the reason. They still count among the configured.
    """
    views: list[VoteView] = []
    downs: list[Series] = []
    failing: list[Series] = []
    evidence: list[Evidence] = []
    ups = outside_ups = voting_outside = 0
    success_now = False
    last_success: float | None = None
    for vantage in vantages:
        is_outside = vantage.name in outside
        found = series.get((subject.cluster, subject.application or "", signal.value, vantage.name))
        vote, reason = _vote_of(found, vantage.name, signal, is_outside, silenced, timing, now_mono)
        views.append(_view(vantage.name, vote, reason, found, now_mono))
        if found is None or not (is_outside or signal is Signal.CONTROL_PLANE):
            continue
        if is_outside and found.last_success is not None:
            last_success = max(last_success or float("-inf"), found.last_success)
        fresh = found.fresh(now_mono, timing)
        if is_outside and fresh and found.failures == 0:
            success_now = True
        if vote is Vote.UP:
            ups += 1
            outside_ups += is_outside
        elif vote is Vote.DOWN:
            downs.append(found)
        if vote is not Vote.UNKNOWN and is_outside:
            voting_outside += 1
        if fresh and found.failures and vantage.name not in silenced:
            failing.append(found)
            evidence.append(_evidence(vantage.name, signal, found))
    state = _state(len(downs), ups, outside_ups, quorum)
    view = SignalView(signal=signal, state=state, votes=tuple(views), quorum=quorum, configured=len(vantages))
    firsts = sorted(item.first_failure for item in failing if item.first_failure is not None)
    return Tally(
        view=view,
        down_since=None if success_now else _down_since(downs, quorum, last_success),
        first_failure=firsts[0] if firsts else None,
        last_success=last_success,
        voting_outside=voting_outside,
        up_votes=ups,
        evidence=tuple(evidence),
    )


def _state(downs: int, ups: int, outside_ups: int, quorum: int) -> SignalState:
    if downs >= quorum and outside_ups == 0:
        return SignalState.DOWN
    if ups >= quorum:
        return SignalState.UP
    if downs and ups:
        return SignalState.SPLIT
    return SignalState.UNKNOWN


def _down_since(downs: Sequence[Series], quorum: int, last_success: float | None) -> float | None:
    """When the quorum-th vote turned down, and not before the last outside success."""
    turned = sorted(item.down_since for item in downs if item.down_since is not None)
    if len(turned) < quorum:
        return None
    return max(turned[quorum - 1], last_success if last_success is not None else float("-inf"))


def _vote_of(
    found: Series | None,
    name: VantageName,
    signal: Signal,
    is_outside: bool,
    silenced: Mapping[VantageName, str],
    timing: Timing,
    now_mono: float,
) -> tuple[Vote, str]:
    if signal is Signal.DATA_PLANE and not is_outside:
        return Vote.UNKNOWN, "sits in the same region: its view of the data plane counts for nothing"
    if name in silenced:
        return Vote.UNKNOWN, silenced[name]
    if found is None:
        return Vote.UNKNOWN, "no observation yet"
    vote = found.vote(now_mono, timing)
    if vote is not Vote.UNKNOWN:
        return vote, ""
    if not found.fresh(now_mono, timing):
        return vote, "its latest observation is too old"
    if found.failures:
        return vote, f"{found.failures} of {timing.fall} failures"
    return vote, f"{found.successes} of {timing.rise} successes"


def _view(name: VantageName, vote: Vote, reason: str, found: Series | None, now_mono: float) -> VoteView:
    if found is None:
        return VoteView(vantage=name, vote=vote, reason=reason)
    return VoteView(
        vantage=name,
        vote=vote,
        outcome=found.outcome,
        age_s=max(0.0, now_mono - found.measured_mono) if found.outcome is not None else None,
        failures=found.failures,
        successes=found.successes,
        reason=reason,
    )


def _evidence(name: VantageName, signal: Signal, found: Series) -> Evidence:
    assert found.outcome is not None
    return Evidence(
        observation=found.observation,
        vantage=name,
        signal=signal,
        outcome=found.outcome,
        measured_mono=found.measured_mono,
    )
