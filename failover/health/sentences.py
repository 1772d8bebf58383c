"""What verdicts and alerts say to a person."""

from collections import Counter

from failover.health.state import HealthState
from failover.model.policy import Policy
from failover.model.time import Now
from failover.model.verdict import Alert, Judgement, SignalView, Verdict, VerdictKind, Vote

PATH_PROBLEM_INTERVALS = 3


def sentence_for(verdict: Verdict) -> str:
    """One sentence: who sees what, and what happens next."""
    kind = verdict.kind
    if kind is VerdictKind.HEALTHY:
        return f"{_count(verdict.data, Vote.UP)} see its data plane up, and its control plane is up"
    if kind in (VerdictKind.CONTROL_PLANE_DOWN, VerdictKind.CONTROL_PLANE_UNKNOWN):
        word = "down" if kind is VerdictKind.CONTROL_PLANE_DOWN else "not known to be up"
        return f"serves clients, but its control plane is {word}: never evacuated for that, no target, no change there"
    if kind is VerdictKind.PATH_PROBLEM:
        ups = ", ".join(vote.vantage for vote in verdict.data.votes if vote.vote is Vote.UP)
        return f"{_count(verdict.data, Vote.DOWN)} see its data plane down, but {ups} sees it up: a path problem, nothing moves"
    if kind.no_longer_serves:
        return f"{_count(verdict.data, Vote.DOWN)} see its data plane down ({_outcomes(verdict.data)}), {_confirming(verdict)}"
    return f"too few fresh votes on its data plane: {_count(verdict.data, Vote.UP)} up, {_count(verdict.data, Vote.DOWN)} down"


def _count(view: SignalView, vote: Vote) -> str:
    return f"{sum(1 for item in view.votes if item.vote is vote)} of {view.configured} vantages"


def _outcomes(view: SignalView) -> str:
    counted = Counter(vote.outcome.value for vote in view.votes if vote.vote is Vote.DOWN and vote.outcome)
    return ", ".join(name for name, _ in counted.most_common())


def _confirming(verdict: Verdict) -> str:
    if verdict.confirmed:
        return "confirmed"
    if verdict.confirming_s is None:
        return "not confirming: somebody succeeded lately, or its control plane is not agreed on"
    extra = "" if verdict.dissent_possible else " (longer, because nobody is left who could dissent)"
    return f"confirming, {max(0.0, verdict.confirm_needed_s - verdict.confirming_s):.0f} s to go{extra}"


def alerts_for(judgement: Judgement, state: HealthState, policy: Policy, now: Now) -> tuple[Alert, ...]:
    """What a person should know now, in a stable order."""
    found: list[Alert] = []
    if judgement.freeze is not None:
        found.append(
            Alert(code="frozen", sentence=judgement.freeze.sentence, since=judgement.freeze.since, page=True)
        )
    patience = PATH_PROBLEM_INTERVALS * policy.fleet.timing.interval_s
    for verdict in judgement.verdicts:
        if verdict.kind in (VerdictKind.HEALTHY, VerdictKind.UNKNOWN):
            continue
        if verdict.kind is VerdictKind.PATH_PROBLEM:
            history = state.histories[verdict.subject]
            if now.mono - history.since_mono < patience:
                continue
        found.append(
            Alert(
                code=verdict.kind.value.lower().replace("_", "-"),
                sentence=f"{verdict.subject}: {verdict.sentence}",
                subject=str(verdict.subject),
                since=verdict.since,
                page=verdict.kind is VerdictKind.PATH_PROBLEM or verdict.confirmed,
            )
        )
    for name in judgement.suspect_vantages:
        sentence = f"vantage {name} abstains (SELF_SUSPECT): {state.suspects[name]}"
        found.append(Alert(code="self-suspect", sentence=sentence, subject=name, since=now.wall))
    if state.warm_cause is None:
        for name in judgement.silent_vantages:
            sentence = f"vantage {name} sends no observations"
            found.append(Alert(code="vantage-silent", sentence=sentence, subject=name, since=now.wall))
    return tuple(found)
