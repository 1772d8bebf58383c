"""What a verdict says to a person: who sees what, for how long, and what happens next."""

from collections import Counter

from failover.health.confirm import Confirmation
from failover.health.quorum import Tally
from failover.model.ids import Subject
from failover.model.verdict import SignalState, SignalView, VerdictKind, Vote


def sentence_for(
    subject: Subject, kind: VerdictKind, data: Tally, control: Tally, proof: Confirmation, now_mono: float
) -> str:
    """One sentence about one subject."""
    if kind.no_longer_serves:
        return _failing(subject, kind, data, proof, now_mono)
    if kind is VerdictKind.PATH_PROBLEM:
        return _split(subject, data.view)
    if kind is VerdictKind.UNKNOWN:
        return _unknown(subject, data.view)
    ups = f"{_seen(data.view, Vote.UP)} the data plane of {subject} up"
    if kind is VerdictKind.HEALTHY:
        return f"{ups}, its control plane is up"
    if kind is VerdictKind.CONTROL_PLANE_DOWN:
        downs = f"{_count(control.view, Vote.DOWN)} of {control.view.configured} vantages"
        return f"{ups}; its control plane is down ({downs}): never evacuated for that, no target, no change there"
    if kind is VerdictKind.CONTROL_PLANE_UNKNOWN:
        word = "disputed" if control.view.state is SignalState.SPLIT else "not known to be up"
        return f"{ups}; its control plane is {word}: never evacuated for that, no target, no change there"
    missed = f"{round(data.missed_percent, 1):g} %"
    return f"{ups}, but {missed} of the probes of late failed or were too slow: nothing moves for that"


def _failing(subject: Subject, kind: VerdictKind, data: Tally, proof: Confirmation, now_mono: float) -> str:
    lasting = "" if data.first_failure is None else f" for {duration(now_mono - data.first_failure)}"
    also = ", and its control plane" if kind is VerdictKind.DOWN else ""
    if kind is VerdictKind.ISOLATED:
        also = ", though its heartbeats still come"
    return (
        f"{_seen(data.view, Vote.DOWN)} the data plane of {subject} down ({_outcomes(data.view)}){also}{lasting}; "
        f"{_confirming(proof)}"
    )


def _confirming(proof: Confirmation) -> str:
    if proof.confirmed:
        return "confirmed"
    if proof.confirming_s is None:
        return "not confirming, because a probe succeeded lately"
    left = duration(max(0.0, proof.needed_s - proof.confirming_s))
    extra = "" if proof.dissent_possible else " (longer, because nobody is left who could dissent)"
    return f"confirming, {left} to go{extra}"


def _split(subject: Subject, data: SignalView) -> str:
    ups = ", ".join(vote.vantage for vote in data.votes if vote.vote is Vote.UP)
    verb = "sees" if ups.count(",") == 0 else "see"
    return (
        f"{_seen(data, Vote.DOWN)} the data plane of {subject} down ({_outcomes(data)}), "
        f"but {ups} {verb} it up: a path problem, nothing moves"
    )


def _unknown(subject: Subject, data: SignalView) -> str:
    ups, downs = _count(data, Vote.UP), _count(data, Vote.DOWN)
    why = Counter(item.reason for item in data.votes if item.vote is Vote.UNKNOWN and item.reason)
    reasons = ", ".join(f"{count}x {reason}" for reason, count in sorted(why.items()))
    return (
        f"too few fresh votes on the data plane of {subject}: {ups} up, {downs} down, {data.quorum} of "
        f"{data.configured} are needed{f' ({reasons})' if reasons else ''}; no data is not down"
    )


def _seen(view: SignalView, vote: Vote) -> str:
    count = _count(view, vote)
    return f"{count} of {view.configured} vantages {'sees' if count == 1 else 'see'}"


def _count(view: SignalView, vote: Vote) -> int:
    return [item.vote for item in view.votes].count(vote)


def _outcomes(view: SignalView) -> str:
    counted = Counter(
        vote.outcome.value for vote in view.votes if vote.vote is Vote.DOWN and vote.outcome is not None
    )
    return ", ".join(name for name, _ in sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])))


def duration(seconds: float) -> str:
    """A length of time as people say it: `0.4 s`, `12 s`, `5 min`, `6 h`."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h"
