"""What a person should know now. Each alert keeps the time at which it was raised for as long as it stands."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from failover.health.sentences import duration
from failover.health.state import HealthState
from failover.model.policy import Policy
from failover.model.time import Now
from failover.model.verdict import Alert, Judgement, Verdict, VerdictKind, Vote

PATIENCE_INTERVALS = 3
"""Every true outage passes through PATH_PROBLEM and UNKNOWN: only one that stays is worth a page or a word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    code: str
    subject: str
    sentence: str
    page: bool = False


def raise_alerts(
    state: HealthState, judgement: Judgement, policy: Policy, now: Now
) -> tuple[HealthState, tuple[Alert, ...]]:
    """All standing alerts, in a stable order, and the state that remembers since when they stand."""
    found = [*_automation(judgement)]
    for verdict in judgement.verdicts:
        # Of most there is nothing to tell, and this is asked at every tick.
        if (
            verdict.kind is VerdictKind.HEALTHY
            and verdict.hold_down_until is None
            and verdict.dissent_possible
        ):
            continue
        found += _about(verdict, state, policy, now)
    found += _vantages(state, judgement, now)
    if not found and not state.alert_since:
        return state, ()
    since = {
        (item.code, item.subject): state.alert_since.get((item.code, item.subject), now.mono)
        for item in found
    }
    alerts = tuple(
        Alert(
            code=item.code,
            sentence=item.sentence,
            subject=item.subject,
            since=state.wall(since[item.code, item.subject]),
            page=item.page,
        )
        for item in found
    )
    return replace(state, alert_since=since), alerts


def _automation(judgement: Judgement) -> Iterator[_Found]:
    if judgement.freeze is not None:
        sentence = f"all automation is frozen: {judgement.freeze.sentence}; `failover resume` lifts it"
        yield _Found(code="frozen", subject="", sentence=sentence, page=True)


def _about(verdict: Verdict, state: HealthState, policy: Policy, now: Now) -> Iterator[_Found]:
    history = state.histories[verdict.subject]
    subject = str(verdict.subject)
    lasting_s = now.mono - history.since_mono
    patient = lasting_s >= PATIENCE_INTERVALS * policy.fleet.timing.interval_s
    cold = state.warm_cause is not None
    code = verdict.kind.value.lower().replace("_", "-")
    if verdict.kind is VerdictKind.PATH_PROBLEM:
        if patient:
            yield _Found(code=code, subject=subject, sentence=verdict.sentence, page=True)
            yield from _lone_dissenter(verdict, lasting_s)
    elif verdict.kind is VerdictKind.UNKNOWN:
        if patient and not cold:
            yield _Found(code=code, subject=subject, sentence=verdict.sentence)
    elif verdict.kind is not VerdictKind.HEALTHY:
        yield _Found(code=code, subject=subject, sentence=verdict.sentence, page=verdict.confirmed)
    yield from _gray(verdict, policy)
    if verdict.hold_down_until is not None:
        yield _Found(
            code="held-down",
            subject=subject,
            sentence=f"{subject} flapped ({len(history.turns)} turns lately) and is no target until "
            f"{verdict.hold_down_until:%Y-%m-%d %H:%M:%S} UTC; `failover ack {verdict.subject.cluster}` releases it",
        )
    if verdict.subject.application is None and not cold:
        yield from _nobody_could_dissent(verdict, policy)


def _gray(verdict: Verdict, policy: Policy) -> Iterator[_Found]:
    """A share of errors takes up votes away as well: then its verdict is UNKNOWN or a path problem, and it is told all the same."""
    if verdict.kind not in (VerdictKind.UNKNOWN, VerdictKind.PATH_PROBLEM):
        return
    if verdict.missed_percent > policy.fleet.timing.objective.errors_percent:
        yield _Found(
            code=VerdictKind.DEGRADED.value.lower(),
            subject=str(verdict.subject),
            sentence=f"{verdict.missed_percent:g} % of the probes of {verdict.subject} of late failed or were too slow, with "
            "successes between: a gray failure, nothing moves for that",
        )


def _lone_dissenter(verdict: Verdict, lasting_s: float) -> Iterator[_Found]:
    """A quorum is down and a single vantage keeps saying up: it may be right, or see a proxy that always answers."""
    votes = verdict.data.votes
    ups = [item.vantage for item in votes if item.vote is Vote.UP]
    downs = sum(1 for item in votes if item.vote is Vote.DOWN)
    if len(ups) == 1 and downs >= verdict.data.quorum:
        yield _Found(
            code="lone-dissenter",
            subject=f"{ups[0]}/{verdict.subject}",
            sentence=f"vantage {ups[0]} alone has seen {verdict.subject} up for {duration(lasting_s)} while {downs} of "
            f"{verdict.data.configured} see it down, which stops automation; if it is the one that errs: "
            f"`failover cordon vantage/{ups[0]}`",
            page=True,
        )


def _nobody_could_dissent(verdict: Verdict, policy: Policy) -> Iterator[_Found]:
    if verdict.dissent_possible:
        return
    region = policy.fleet.cluster(verdict.subject.cluster).region
    possible = len(policy.fleet.outside_vantages(region))
    quorum = policy.fleet.quorum
    if possible > quorum:
        yield _Found(
            code="no-dissent",
            subject=str(verdict.subject),
            sentence=f"fewer than {quorum + 1} of the {possible} vantages outside {region} have a fresh vote on "
            f"{verdict.subject}: nobody could dissent, so `confirm` takes {duration(verdict.confirm_needed_s)}",
        )


def _vantages(state: HealthState, judgement: Judgement, now: Now) -> Iterator[_Found]:
    for name in judgement.suspect_vantages:
        sentence = f"vantage {name} abstains (SELF_SUSPECT): {state.suspects[name]}"
        yield _Found(code="self-suspect", subject=name, sentence=sentence)
    if state.warm_cause is not None:
        return
    for name in judgement.silent_vantages:
        last = state.seen.get(name)
        lasting = "was never heard" if last is None else f"has sent nothing for {duration(now.mono - last)}"
        sentence = f"vantage {name} {lasting}: its votes are unknown, and it still counts towards the quorum"
        yield _Found(code="vantage-silent", subject=name, sentence=sentence)
