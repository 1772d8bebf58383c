"""Is it true? Rules over the verdicts that a plan rests on: confirmed, by a quorum, without dissent, fresh, others alive."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from failover.execution.radius import regions_away
from failover.execution.rules import refuse
from failover.execution.situation import Situation
from failover.health import suspect_regions
from failover.model.ids import ApplicationName, ClusterName, RegionName, Subject
from failover.model.observation import Signal
from failover.model.plan import ChangeRecordsStep, Plan, RunKind, ScaleStep, WaitReadyStep
from failover.model.reasons import Refusal
from failover.model.verdict import SignalView, Verdict, VerdictKind, Vote

WORDS = {
    Signal.DATA_PLANE: "data plane",
    Signal.CONTROL_PLANE: "control plane",
    Signal.WORKLOADS: "set of workloads",
    Signal.HEARTBEAT: "heartbeat",
}


def source_verdicts(plan: Plan, situation: Situation) -> tuple[tuple[str, Verdict | None], ...]:
    """The verdicts that a move away from the plan's sources rests on.

    A cluster's own where it no longer serves; otherwise those of the plan's applications at it, because an
    application's own data plane steers that application only.
    """
    found: list[tuple[str, Verdict | None]] = []
    included = [part.application for part in plan.applications if part.left_out is None]
    for name in plan.sources:
        verdict = situation.judgement.of_cluster(name)
        own = [situation.judgement.of(Subject(cluster=name, application=item)) for item in included]
        if (
            verdict is not None
            and not verdict.kind.no_longer_serves
            and plan.run_kind is RunKind.STEERING
            and any(own)
        ):
            found += [(f"{item}@{name}", one) for item, one in zip(included, own, strict=True)]
        else:
            found.append((name, verdict))
    return tuple(found)


def gone_by_quorum(plan: Plan, situation: Situation) -> Iterator[Refusal]:
    """I2, I3, I4 for every source of an automatic move, and proof that the others are alive."""
    firsts: list[float] = []
    for name, verdict in source_verdicts(plan, situation):
        if verdict is None or not verdict.kind.no_longer_serves:
            kind = verdict.kind if verdict else VerdictKind.UNKNOWN
            yield refuse("still-serving", f"{name} is {kind}: only what no longer serves is moved away from")
            continue
        steerable = plan.run_kind is RunKind.STEERING and verdict.data_confirmed
        if not (verdict.confirmed or steerable):
            yield refuse("not-confirmed", f"{name}: {verdict.sentence or 'the verdict is not confirmed yet'}")
        if plan.run_kind is RunKind.EVACUATION and verdict.kind is not VerdictKind.DOWN:
            yield refuse(
                "not-confirmed", f"{name} is {verdict.kind}: its control plane is not down by quorum"
            )
        yield from without_dissent(name, verdict, plan, situation)
        yield from stale_evidence(name, verdict, situation)
        if verdict.first_failure_mono is not None:
            firsts.append(verdict.first_failure_mono)
    yield from _others_alive(plan, situation, min(firsts, default=None))


def without_dissent(name: str, verdict: Verdict, plan: Plan, situation: Situation) -> Iterator[Refusal]:
    """I3, counted again from the votes: what convicts here does not rest on the detector's word alone."""
    signals = [verdict.data]
    if plan.run_kind is RunKind.EVACUATION:
        signals.append(verdict.control)
    fleet = situation.policy.fleet
    outside = {
        entry.name for entry in fleet.vantages if entry.region != situation.region_of(verdict.subject.cluster)
    }
    for signal in signals:
        downs = _votes(signal, Vote.DOWN)
        dissent = sorted(vote for vote in _votes(signal, Vote.UP) if vote in outside)
        if len(downs) < fleet.quorum:
            yield refuse(
                "quorum",
                f"{name}: {len(downs)} vantages say that its {WORDS[signal.signal]} is down, {fleet.quorum} of "
                f"{len(fleet.vantages)} are needed",
                *(f"down={vote}" for vote in sorted(downs)),
            )
        if dissent:
            yield refuse(
                "quorum",
                f"{name}: {', '.join(dissent)} still reaches it from outside",
                *(f"up={vote}" for vote in dissent),
            )


def _votes(signal: SignalView, wanted: Vote) -> set[str]:
    return {view.vantage for view in signal.votes if view.vote is wanted}


def stale_evidence(name: str, verdict: Verdict, situation: Situation) -> Iterator[Refusal]:
    """I2: a quorum of vantages must have failed within the evidence limit."""
    limit = situation.policy.fleet.timing.evidence_max_age_s
    fresh = {item.vantage for item in verdict.evidence if situation.now.mono - item.measured_mono <= limit}
    quorum = situation.policy.fleet.quorum
    if len(fresh) < quorum:
        yield refuse(
            "stale-evidence",
            f"{name}: {len(fresh)} vantages saw it fail within the last {limit:g} s, {quorum} are needed",
        )


def _others_alive(plan: Plan, situation: Situation, first_failure: float | None) -> Iterator[Refusal]:
    victims = tuple(dict.fromkeys(RegionName(situation.region_of(name)) for name in plan.sources))
    suspects = suspect_regions(situation.judgement, situation.policy.fleet, victims, first_failure)
    relied_on = {situation.region_of(name) for name in relied_on_by(plan, situation)}
    doubtful = sorted(set(suspects) & relied_on)
    if doubtful:
        sentence = f"no success from {', '.join(doubtful)} since the first failure: it may be down as well"
        yield refuse("others-alive", sentence, *doubtful)


def relied_on_by(plan: Plan, situation: Situation) -> set[ClusterName]:
    """Clusters that the plan counts on: they get replicas, must be ready, or stay or come into a record set."""
    found: set[ClusterName] = set()
    published: set[str] = set()
    for step in plan.steps:
        if isinstance(step, ScaleStep) and step.after > step.before:
            found.add(step.cluster)
        elif isinstance(step, WaitReadyStep):
            found.update(cluster for cluster, _, _ in step.targets)
        elif isinstance(step, ChangeRecordsStep):
            published.update(value for change in step.changes for value in change.after.values)
    found |= {
        entry.name
        for entry in situation.policy.fleet.clusters
        if published & {*entry.ipv4, *entry.ipv6, absolute_name(entry.hostname)}
    }
    return found - set(plan.sources)


def absolute_name(name: str) -> str:
    """Lower case, with the final dot; "" stays ""."""
    return f"{name.rstrip('.').lower()}." if name.strip(".") else ""


def serves_still(plan: Plan, situation: Situation) -> Iterator[Refusal]:
    """A person may evacuate what still serves, by naming the rule."""
    for name, verdict in source_verdicts(plan, situation):
        if verdict is not None and verdict.kind.serves:
            yield refuse(
                "still-serving", f"{name} is {verdict.kind}: use drain for a planned move", verdict.sentence
            )


def both_sides_alive(plan: Plan, situation: Situation) -> Iterator[Refusal]:
    """A drain needs both sides alive."""
    for name in plan.sources:
        verdict = situation.judgement.of_cluster(name)
        if verdict is None or verdict.kind not in (VerdictKind.HEALTHY, VerdictKind.DEGRADED):
            kind = verdict.kind if verdict else VerdictKind.UNKNOWN
            yield refuse(
                "not-serving", f"{name} is {kind}: a drain needs both sides alive; evacuate is for the rest"
            )


def calm(plan: Plan, situation: Situation) -> Iterator[Refusal]:
    """A better placement can wait: for everything that serves no longer, or was moved away from and is not back yet."""
    gone = sorted(
        verdict.subject.cluster
        for verdict in situation.judgement.verdicts
        if verdict.subject.application is None and verdict.kind.no_longer_serves
    )
    if gone:
        yield refuse("incident", f"{', '.join(gone)} no longer serves: balance can wait", *gone)
    away = sorted(regions_away(situation.history, situation))
    if away:
        yield refuse(
            "incident", f"{', '.join(away)} is moved away from; fail back first, balance can wait", *away
        )
    for name in sorted({step.cluster for step in plan.steps if isinstance(step, ScaleStep)}):
        verdict = situation.judgement.of_cluster(name)
        if verdict is None or verdict.kind not in (VerdictKind.HEALTHY, VerdictKind.DEGRADED):
            kind = verdict.kind if verdict else VerdictKind.UNKNOWN
            yield refuse(
                "not-serving", f"{name} is {kind}: what is moved for balance moves between the living"
            )


def returned(plan: Plan, situation: Situation) -> Iterator[Refusal]:
    """I26: back only to what has been stable for long enough and is not held down."""
    for name in plan.sources:
        verdict = situation.judgement.of_cluster(name)
        kind = verdict.kind if verdict else VerdictKind.UNKNOWN
        if verdict is None or kind is not VerdictKind.HEALTHY:
            yield refuse("not-stable", f"{name} is {kind}: a failback goes to a healthy cluster only")
        else:
            yield from _unsettled(verdict, situation)


def application_returned(application: ApplicationName, plan: Plan, situation: Situation) -> Iterator[Refusal]:
    """I26 for an application that is judged by probes of its own: it must have been well there itself, for as long."""
    for name in plan.sources:
        verdict = situation.judgement.of(Subject(cluster=name, application=application))
        if verdict is None:
            continue
        if not verdict.kind.serves:
            sentence = f"{application} is {verdict.kind} at {name}: a failback goes to where it is served"
            yield refuse("not-stable", sentence, application=application)
        else:
            for refusal in _unsettled(verdict, situation):
                yield replace(refusal, application=application)


def _unsettled(verdict: Verdict, situation: Situation) -> Iterator[Refusal]:
    """Not for long enough what it is, or held down after flapping."""
    stable = timedelta(seconds=situation.policy.fleet.timing.stable_s)
    lasting = situation.now.wall - verdict.since
    if lasting < stable:
        left = (stable - lasting).total_seconds()
        yield refuse(
            "not-stable",
            f"{verdict.subject} is {verdict.kind} for {lasting.total_seconds():.0f} s; {left:.0f} s to go",
        )
    if verdict.hold_down_until is not None and verdict.hold_down_until > situation.now.wall:
        until = f"{verdict.hold_down_until:%H:%M:%S} UTC"
        yield refuse("held-down", f"{verdict.subject} flapped and is held down until {until}")
