"""Who may vote on what, and one vantage's vote with its ground."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from failover.health.series import Series
from failover.model.ids import RegionName, VantageName
from failover.model.observation import Signal
from failover.model.policy import Fleet, Timing
from failover.model.verdict import Vote, VoteView

INSIDE = "sits in the same region: what it sees of the data plane counts for nothing"
CORDONED = "is cordoned by a person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One configured vantage with respect to one region.

    `outside`: not in that region. `abstains`: why it does not vote ("" if it does); it stays among the configured.
    `cordoned`: a person distrusts it, so nothing that it sees counts, not even a success.
    """

    vantage: VantageName
    outside: bool
    abstains: str = ""
    cordoned: bool = False


def seats_for(
    fleet: Fleet,
    region: RegionName,
    suspects: Mapping[VantageName, str],
    cordoned: Collection[VantageName],
) -> tuple[Seat, ...]:
    """Every configured vantage, in the policy's order."""
    return tuple(
        Seat(
            vantage=vantage.name,
            outside=vantage.region != region,
            abstains=_abstains(vantage.name, suspects, cordoned),
            cordoned=vantage.name in cordoned,
        )
        for vantage in fleet.vantages
    )


def _abstains(
    name: VantageName, suspects: Mapping[VantageName, str], cordoned: Collection[VantageName]
) -> str:
    if name in cordoned:
        return CORDONED
    return f"abstains (SELF_SUSPECT): {suspects[name]}" if name in suspects else ""


def vote_of(seat: Seat, series: Series | None, signal: Signal, now_mono: float, timing: Timing) -> VoteView:
    """The vote of one seat, with its ground; an unknown one says why."""
    if series is None or series.latest is None:
        reason = INSIDE if signal is Signal.DATA_PLANE and not seat.outside else seat.abstains
        if not reason:
            reason = "no observation yet" if series is None else "nothing but local faults yet"
        return VoteView(vantage=seat.vantage, vote=Vote.UNKNOWN, reason=reason)
    vote, reason = Vote.UNKNOWN, ""
    if signal is Signal.DATA_PLANE and not seat.outside:
        reason = INSIDE
    elif seat.abstains:
        reason = seat.abstains
    else:
        vote = series.vote(now_mono, timing)
        if vote is Vote.UNKNOWN:
            reason = _undecided(series, now_mono, timing)
    return VoteView(
        vantage=seat.vantage,
        vote=vote,
        outcome=series.latest.outcome,
        measured_mono=series.measured_mono,
        failures=series.failures,
        successes=series.successes,
        reason=reason,
    )


def _undecided(series: Series, now_mono: float, timing: Timing) -> str:
    if not series.fresh(now_mono, timing):
        if (
            series.heard_mono > series.measured_mono
            and now_mono - series.heard_mono <= timing.evidence_max_age_s
        ):
            return "only local faults lately"
        return "its latest observation is too old"
    if series.failures:
        return f"{series.failures} of {timing.fall} failures"
    return f"{series.successes} of {timing.rise} successes"
