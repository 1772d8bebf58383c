"""What a verdict says to a person: who sees what, for how long, and what happens next."""

from collections import Counter

from failover.model.verdict import SignalState, SignalView, Verdict, VerdictKind, Vote


def sentence_for(verdict: Verdict, now_mono: float) -> str:
    """One sentence about one subject."""
    kind = verdict.kind
    name = str(verdict.subject)
    if kind.no_longer_serves:
        return _failing(verdict, now_mono)
    if kind is VerdictKind.PATH_PROBLEM:
        return _split(verdict)
    if kind is VerdictKind.UNKNOWN:
        return _unknown(verdict)
    ups = f"{_seen(verdict.data, Vote.UP)} the data plane of {name} up"
    if kind is VerdictKind.CONTROL_PLANE_DOWN:
        downs = f"{_count(verdict.control, Vote.DOWN)} of {verdict.control.configured} vantages"
        return f"{ups}; its control plane is down ({downs}): never evacuated for that, no target, no change there"
    if kind is VerdictKind.CONTROL_PLANE_UNKNOWN:
        word = "disputed" if verdict.control.state is SignalState.SPLIT else "not known to be up"
        return f"{ups}; its control plane is {word}: never evacuated for that, no target, no change there"
    if kind is VerdictKind.DEGRADED:
        return f"{ups}, but {verdict.missed_percent:g} % of the probes of late failed or were too slow: nothing moves for that"
    return f"{ups}, its control plane is up"


def _failing(verdict: Verdict, now_mono: float) -> str:
    name = str(verdict.subject)
    lasting = ""
    if verdict.first_failure_mono is not None:
        lasting = f" for {duration(now_mono - verdict.first_failure_mono)}"
    also = ", and its control plane" if verdict.kind is VerdictKind.DOWN else ""
    if verdict.kind is VerdictKind.ISOLATED:
        also = ", though its heartbeats still come"
    return (
        f"{_seen(verdict.data, Vote.DOWN)} the data plane of {name} down ({_outcomes(verdict.data)}){also}{lasting}; "
        f"{_confirming(verdict)}"
    )


def _confirming(verdict: Verdict) -> str:
    if verdict.confirmed:
        return "confirmed"
    if verdict.confirming_s is None:
        return "not confirming, because a probe succeeded lately"
    left = duration(max(0.0, verdict.confirm_needed_s - verdict.confirming_s))
    extra = "" if verdict.dissent_possible else " (longer, because nobody is left who could dissent)"
    return f"confirming, {left} to go{extra}"


def _split(verdict: Verdict) -> str:
    ups = ", ".join(vote.vantage for vote in verdict.data.votes if vote.vote is Vote.UP)
    verb = "sees" if ups.count(",") == 0 else "see"
    return (
        f"{_seen(verdict.data, Vote.DOWN)} the data plane of {verdict.subject} down ({_outcomes(verdict.data)}), "
        f"but {ups} {verb} it up: a path problem, nothing moves"
    )


def _unknown(verdict: Verdict) -> str:
    data = verdict.data
    ups, downs = _count(data, Vote.UP), _count(data, Vote.DOWN)
    why = Counter(item.reason for item in data.votes if item.vote is Vote.UNKNOWN and item.reason)
    reasons = ", ".join(f"{count}x {reason}" for reason, count in sorted(why.items()))
    return (
        f"too few fresh votes on the data plane of {verdict.subject}: {ups} up, {downs} down, {data.quorum} of "
        f"{data.configured} are needed{f' ({reasons})' if reasons else ''}; no data is not down"
    )


def _seen(view: SignalView, vote: Vote) -> str:
    count = _count(view, vote)
    return f"{count} of {view.configured} vantages {'sees' if count == 1 else 'see'}"


def _count(view: SignalView, vote: Vote) -> int:
    return sum(1 for item in view.votes if item.vote is vote)


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
