"""May this plan become a run? Rules over the state *after* the plan; each says no with a reason, or says nothing."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from failover.execution.rules import refuse
from failover.execution.runs import AUTOMATION, RunSummary
from failover.execution.situation import Situation
from failover.health import suspect_regions
from failover.model.ids import ApplicationName, ClusterName, RegionName, RunId, Subject
from failover.model.journal import RunState
from failover.model.plan import ApplicationPlan, Plan, RunKind
from failover.model.policy import Mode
from failover.model.reasons import Refusal
from failover.model.verdict import Verdict, VerdictKind

UNPLANNED = (RunKind.EVACUATION, RunKind.STEERING)
SCHEDULE_PREFIX = "schedule/"


def is_automatic(actor: str) -> bool:
    """Automation and the calendar are stopped by pause and freeze; people are not."""
    return actor == AUTOMATION or actor.startswith(SCHEDULE_PREFIX)


def check_run(plan: Plan, situation: Situation, *, actor: str) -> tuple[Refusal, ...]:
    """Every reason why this plan must not start now; rules that a person overrode by name are left out."""
    automatic = is_automatic(actor)
    found = list(_always(plan, situation))
    if automatic:
        found += _holding_back(situation)
    if plan.run_kind in UNPLANNED:
        found += _evidence(plan, situation) if automatic else _still_serving(plan, situation)
    elif plan.run_kind is RunKind.FAILBACK:
        found += _returned(plan, situation)
    else:
        found += _alive(plan, situation)
    found += _blast_radius(plan, situation, automatic=automatic)
    return tuple(item for item in found if item.code not in plan.overrides or not item.overridable)


def _always(plan: Plan, situation: Situation) -> Iterator[Refusal]:
    if plan.hypothetical:
        yield refuse("hypothetical", "this plan rests on assumed verdicts; it shows, it is never carried out")
    if situation.doubt:
        yield refuse("doubt", situation.doubt)
    if not situation.journal_ok:
        yield refuse("journal", "the store does not take appends, and without a journal nothing is changed")
    if situation.epoch is None or situation.now.mono >= situation.acting_until:
        yield refuse("lease", "this controller does not hold the lease")
    if plan.policy_generation != situation.policy.generation:
        yield refuse(
            "stale-plan",
            "the policy changed since the plan was made",
            f"plan={plan.policy_generation}",
            f"now={situation.policy.generation}",
        )


def _holding_back(situation: Situation) -> Iterator[Refusal]:
    """What stops automation and never a person."""
    if situation.paused:
        yield refuse("paused", situation.paused)
    judgement = situation.judgement
    if judgement.freeze is not None:
        yield refuse("frozen", judgement.freeze.sentence, *judgement.freeze.regions)
    if judgement.warm_up is not None:
        warm = judgement.warm_up
        ready = f"{warm.vantages_ready} of {warm.quorum} vantages ready"
        yield refuse("warm-up", f"the detectors are warming up after {warm.cause}: {ready}")


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


def _evidence(plan: Plan, situation: Situation) -> Iterator[Refusal]:
    """I2, I3, I4 for every source, and proof that the others are alive."""
    firsts: list[float] = []
    for name, verdict in source_verdicts(plan, situation):
        if verdict is None or not verdict.kind.no_longer_serves:
            kind = verdict.kind if verdict else VerdictKind.UNKNOWN
            yield refuse("still-serving", f"{name} is {kind}: only what no longer serves is moved away from")
            continue
        if not verdict.confirmed:
            yield refuse("not-confirmed", f"{name}: {verdict.sentence}")
        if plan.run_kind is RunKind.EVACUATION and verdict.kind is not VerdictKind.DOWN:
            yield refuse(
                "not-confirmed", f"{name} is {verdict.kind}: its control plane is not down by quorum"
            )
        yield from stale_evidence(name, verdict, situation)
        if verdict.first_failure_mono is not None:
            firsts.append(verdict.first_failure_mono)
    yield from _others_alive(plan, situation, min(firsts, default=None))


def stale_evidence(name: str, verdict: Verdict, situation: Situation) -> Iterator[Refusal]:
    """I2: a quorum of vantages must have failed within the evidence limit."""
    limit = situation.policy.fleet.timing.evidence_max_age_s
    fresh = {item.vantage for item in verdict.evidence if situation.now.mono - item.measured_mono <= limit}
    quorum = situation.policy.fleet.quorum
    if len(fresh) < quorum:
        yield refuse(
            "stale-evidence", f"{name}: fresh evidence of {len(fresh)} vantages, {quorum} are needed"
        )


def _others_alive(plan: Plan, situation: Situation, first_failure: float | None) -> Iterator[Refusal]:
    victims = tuple(dict.fromkeys(RegionName(situation.region_of(name)) for name in plan.sources))
    suspects = suspect_regions(situation.judgement, situation.policy.fleet, victims, first_failure)
    relied_on = {situation.region_of(name) for name in _targets(plan)}
    doubtful = sorted(set(suspects) & relied_on)
    if doubtful:
        sentence = f"no success from {', '.join(doubtful)} since the first failure: it may be down as well"
        yield refuse("others-alive", sentence, *doubtful)


def _targets(plan: Plan) -> set[ClusterName]:
    """Clusters that the plan adds replicas or traffic to."""
    return {
        placement.cluster
        for part in plan.applications
        if part.left_out is None
        for placement in part.placements
        if placement.after > placement.before
    }


def _still_serving(plan: Plan, situation: Situation) -> Iterator[Refusal]:
    """A person may evacuate what still serves, by naming the rule."""
    for name, verdict in source_verdicts(plan, situation):
        if verdict is not None and verdict.kind.serves:
            yield refuse(
                "still-serving", f"{name} is {verdict.kind}: use drain for a planned move", verdict.sentence
            )


def _alive(plan: Plan, situation: Situation) -> Iterator[Refusal]:
    """A drain needs both sides alive."""
    for name in plan.sources:
        verdict = situation.judgement.of_cluster(name)
        if verdict is None or verdict.kind not in (VerdictKind.HEALTHY, VerdictKind.DEGRADED):
            kind = verdict.kind if verdict else VerdictKind.UNKNOWN
            yield refuse(
                "not-serving", f"{name} is {kind}: a drain needs both sides alive; evacuate is for the rest"
            )


def _returned(plan: Plan, situation: Situation) -> Iterator[Refusal]:
    """I26: back only to what has been stable for long enough and is not held down."""
    stable = timedelta(seconds=situation.policy.fleet.timing.stable_s)
    for name in plan.sources:
        verdict = situation.judgement.of_cluster(name)
        if verdict is None or verdict.kind is not VerdictKind.HEALTHY:
            kind = verdict.kind if verdict else VerdictKind.UNKNOWN
            yield refuse("not-stable", f"{name} is {kind}: a failback goes to a healthy cluster only")
            continue
        healthy_for = situation.now.wall - verdict.since
        if healthy_for < stable:
            left = (stable - healthy_for).total_seconds()
            yield refuse(
                "not-stable", f"{name} is HEALTHY for {healthy_for.total_seconds():.0f} s; {left:.0f} s to go"
            )
        if verdict.hold_down_until is not None:
            yield refuse(
                "held-down", f"{name} flapped and is held down until {verdict.hold_down_until:%H:%M:%S} UTC"
            )


def _blast_radius(plan: Plan, situation: Situation, *, automatic: bool) -> Iterator[Refusal]:
    """I8, fleet-wide. A failback gives back; it never counts."""
    if plan.run_kind is RunKind.FAILBACK:
        return
    guards = situation.policy.guards
    regions = {situation.region_of(name) for name in plan.sources}
    away = _regions_away(situation.history) - regions
    if len(away | regions) > guards.regions_at_once:
        already = ", ".join(sorted(away)) or "none"
        yield refuse(
            "regions-at-once",
            f"{len(away | regions)} regions would be moved away from at once, at most {guards.regions_at_once} may "
            f"(already away: {already}); fail back first",
            *sorted(away),
        )
    if not automatic:
        return
    for seconds, limit, word in ((3600, guards.per_hour, "hour"), (86400, guards.per_day, "day")):
        recent = [
            item
            for item in situation.history
            if _counts(item) and situation.now.wall - item.opened_at < timedelta(seconds=seconds)
        ]
        if len(recent) >= limit:
            ids = [item.id for item in recent]
            yield refuse(
                "rate", f"{len(recent)} automatic moves in the last {word}, at most {limit} may start", *ids
            )


def _counts(item: RunSummary) -> bool:
    """Only finished automatic moves that changed something count against the rate (I21)."""
    finished = item.state in (RunState.DONE, RunState.PARTIAL, RunState.ABORTED, RunState.FAILED)
    return item.automatic and item.run_kind in UNPLANNED and finished and item.changed


def _regions_away(history: tuple[RunSummary, ...]) -> set[str]:
    """Regions that a run has moved away from, or is moving away from, and nobody failed back to."""
    away: set[str] = set()
    for item in history:
        if item.run_kind is RunKind.FAILBACK:
            if item.state is RunState.DONE:
                away -= set(item.regions)
        elif not item.state.final or (item.changed and item.state is not RunState.REFUSED):
            away |= set(item.regions)
    return away


def check_applications(
    plan: Plan, situation: Situation, *, actor: str, busy: tuple[tuple[ApplicationName, RunId], ...]
) -> Plan:
    """The plan with every application that a rule or its mode refuses left out, with the reason."""
    parts = []
    for part in plan.applications:
        refusal = part.left_out or _application_refusal(part, plan, situation, actor, dict(busy))
        parts.append(replace(part, left_out=refusal))
    left_out = {part.application for part in parts if part.left_out is not None}
    steps = tuple(step for step in plan.steps if step.application not in left_out)
    return replace(plan, applications=tuple(parts), steps=steps, undoes=_undoes(plan, tuple(parts)))


def _undoes(plan: Plan, parts: tuple[ApplicationPlan, ...]) -> tuple[RunId, ...]:
    """A failback that leaves an application out undoes no run: what was moved away of it is still away."""
    return () if any(part.left_out is not None for part in parts) else plan.undoes


def _application_refusal(
    part: ApplicationPlan,
    plan: Plan,
    situation: Situation,
    actor: str,
    busy: dict[ApplicationName, RunId],
) -> Refusal | None:
    if part.application in busy:
        run = busy[part.application]
        return refuse(
            "busy", f"run {run} is under way for this application", run, application=part.application
        )
    if is_automatic(actor) and part.mode.rank < Mode.APPROVE.rank:
        sentence = f"mode {part.mode}: automation shows this plan and does not carry it out"
        return refuse("mode", sentence, f"mode={part.mode}", application=part.application)
    application = situation.policy.application(part.application)
    needed = part.demand * application.floor / 100
    if application.on_shortage.value == "hold" and part.records and part.capacity_after < needed:
        if "capacity-floor" in plan.overrides:
            return None
        sentence = f"{part.capacity_after} replicas would carry a demand of {part.demand}; the floor is {application.floor} %"
        return refuse("capacity-floor", sentence, application=part.application)
    return None


def only(plan: Plan, applications: frozenset[ApplicationName], why: Refusal) -> Plan:
    """The plan for some applications; the others are left out with this reason."""
    parts = tuple(
        part
        if part.application in applications or part.left_out
        else replace(part, left_out=replace(why, application=part.application))
        for part in plan.applications
    )
    steps = tuple(step for step in plan.steps if step.application in applications)
    return replace(plan, applications=parts, steps=steps, undoes=_undoes(plan, parts))
