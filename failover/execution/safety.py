"""The one module that every change goes through. `grant` returns a Permit, or the refusal; nobody else makes a Permit.

It is asked after the intent was composed and before it is journaled, for every single change, in every kind of run.
"""

from collections.abc import Iterator

from failover.execution.admission import is_automatic, source_verdicts, stale_evidence
from failover.execution.rules import refuse
from failover.execution.situation import Situation
from failover.model.ids import ApplicationName
from failover.model.journal import Intent, RaiseFence, RecordsChange, Run, ScaleChange, StepState
from failover.model.permit import Permit
from failover.model.plan import ChangeRecordsStep, Phase, RunKind, ScaleStep, WaitReadyStep
from failover.model.policy import Application, ClusterEntry
from failover.model.reasons import Refusal
from failover.model.records import RecordChange, RecordType
from failover.model.verdict import VerdictKind

HALTING = frozenset(
    {"lease", "epoch", "journal", "doubt", "paused", "frozen", "warm-up", "stale-evidence", "still-serving"}
)
"""Refusals that stop the whole run at this safe point; any other fails its step."""

WAITING = frozenset({"velocity", "add-before-remove", "control-plane"})
"""Refusals that only mean `not yet`: the step stays where it is, for `PATIENCE_S` seconds at most."""

PATIENCE_S = 120.0


def grant(intent: Intent, run: Run, situation: Situation) -> Permit | Refusal:
    """The permit for one change, or the first reason against it."""
    for refusal in _refusals(intent, run, situation):
        if refusal.code in run.plan.overrides and refusal.overridable:
            continue
        return refusal
    return Permit(
        intent=intent.id,
        epoch=intent.epoch,
        target=intent.change.target,
        rules=intent.rules,
        expires_mono=situation.acting_until,
    )


RULES_ASKED = (
    "lease", "epoch", "journal", "doubt", "paused", "frozen", "warm-up", "stale-evidence", "still-serving", "absolute",
    "velocity", "control-plane", "add-before-remove", "never-empty", "own-names", "serving-member",
)  # fmt: skip


def _refusals(intent: Intent, run: Run, situation: Situation) -> Iterator[Refusal]:
    yield from _leadership(intent, situation)
    if is_automatic(run.actor):
        yield from _automation(run, situation)
    change = intent.change
    sent = situation.sent_last_second.get(change.target, 0)
    limit = situation.policy.guards.changes_per_second
    if not isinstance(change, RaiseFence) and sent >= limit:
        yield refuse("velocity", f"{sent} changes went to {change.target} in the last second, {limit:g} may")
    if isinstance(change, ScaleChange):
        yield from _scale(change, intent, run, situation)
    elif isinstance(change, RecordsChange):
        yield from _records(change, run, situation)


def _leadership(intent: Intent, situation: Situation) -> Iterator[Refusal]:
    if situation.now.mono >= situation.acting_until:
        yield refuse("lease", "the lease, less its margin, is over")
    if situation.epoch is None or intent.epoch != situation.epoch:
        yield refuse("epoch", f"the intent carries epoch {intent.epoch}, acting is {situation.epoch}")
    if not situation.journal_ok:
        yield refuse("journal", "the store does not take appends")
    if situation.doubt:
        yield refuse("doubt", situation.doubt)


def _automation(run: Run, situation: Situation) -> Iterator[Refusal]:
    """What stops automation at the next safe point. After the first DNS write the run itself is the evidence (I21)."""
    judgement = situation.judgement
    if situation.paused:
        yield refuse("paused", situation.paused)
    if judgement.freeze is not None:
        yield refuse("frozen", judgement.freeze.sentence, *judgement.freeze.regions)
    if judgement.warm_up is not None:
        yield refuse("warm-up", f"the detectors are warming up after {judgement.warm_up.cause}")
    if run.dns_written or run.plan.run_kind not in (RunKind.EVACUATION, RunKind.STEERING):
        return
    for name, verdict in source_verdicts(run.plan, situation):
        if verdict is None:
            continue
        if verdict.kind.serves:
            yield refuse("still-serving", f"{name} serves again: {verdict.sentence}")
        yield from stale_evidence(name, verdict, situation)


def _scale(change: ScaleChange, intent: Intent, run: Run, situation: Situation) -> Iterator[Refusal]:
    if not change.resource_version or change.after < 0:
        yield refuse(
            "absolute", "a scale carries the resourceVersion that was read and a number that is not negative"
        )
    verdict = next(
        (
            v
            for v in situation.judgement.verdicts
            if v.subject.cluster == change.cluster and v.subject.application is None
        ),
        None,
    )
    if is_automatic(run.actor) and (
        verdict is None or verdict.kind not in (VerdictKind.HEALTHY, VerdictKind.DEGRADED)
    ):
        kind = verdict.kind if verdict else VerdictKind.UNKNOWN
        if not (change.cluster in run.plan.sources and kind is VerdictKind.DATA_PLANE_DOWN):
            yield refuse("control-plane", f"{change.cluster} is {kind}: no change is attempted there")
    step = next((item for item in run.plan.steps if item.id == intent.step), None)
    if isinstance(step, ScaleStep) and change.after < change.before:
        yield from _removal(step, run)


def _removal(step: ScaleStep, run: Run) -> Iterator[Refusal]:
    """I10: a decrease comes after the replacements are ready, or is a single writer's stop before its start."""
    if step.phase is not Phase.RELEASE and not _single_writer_stop(step, run):
        yield refuse("add-before-remove", f"{step.id} takes replicas away outside the release phase")
        return
    waits = [
        item
        for item in run.plan.steps
        if isinstance(item, WaitReadyStep | ChangeRecordsStep)
        and item.application == step.application
        and item.phase is not Phase.RELEASE
    ]
    if step.phase is Phase.RELEASE and any(run.steps[item.id].state is not StepState.DONE for item in waits):
        yield refuse("add-before-remove", "the replacements are not all ready and published yet")


def _single_writer_stop(step: ScaleStep, run: Run) -> bool:
    return step.after == 0 and any(
        item.kind == "prove-gone" and step.id in item.needs for item in run.plan.steps
    )


def _records(change: RecordsChange, run: Run, situation: Situation) -> Iterator[Refusal]:
    zone_change = change.change
    application = _application(situation, zone_change.application)
    if application is None:
        yield refuse("own-names", f"application {zone_change.application} is not in the policy")
        return
    fence = zone_change.fence_before
    if fence is not None and fence.owner != situation.policy.fleet.name:
        yield refuse("own-names", f"the fence says that {fence.owner} owns these names")
    if fence is not None and situation.epoch is not None and fence.epoch > situation.epoch:
        yield refuse("epoch", f"the zone's fence has epoch {fence.epoch}, ours is {situation.epoch}")
    for item in zone_change.changes:
        yield from _one_record(item, application, run, situation)


def _one_record(
    item: RecordChange, application: Application, run: Run, situation: Situation
) -> Iterator[Refusal]:
    after = item.after
    owned = {(name.name, name.record_type) for name in application.dns}
    if (after.name, after.record_type) not in owned or after.record_type not in RecordType:
        yield refuse("own-names", f"{after.name} {after.record_type} is no name of {application.name}")
    if not after.values:
        yield refuse("never-empty", f"{after.name} {after.record_type} would be empty")
    if item.before is None:
        return
    removed = set(item.before.values) - set(after.values)
    for entry in situation.policy.fleet.clusters:
        gone = removed & set(published_addresses(entry))
        if gone and not _may_leave(entry, run, situation):
            verdict = situation.judgement.of_cluster(entry.name)
            kind = verdict.kind if verdict else VerdictKind.UNKNOWN
            yield refuse(
                "serving-member",
                f"{after.name} would lose {', '.join(sorted(gone))} of {entry.name}, which is {kind} and not what "
                "this run moves away from",
            )


def _may_leave(entry: ClusterEntry, run: Run, situation: Situation) -> bool:
    """A source of the run may leave; with a failback its stand-in may, where names publish the first healthy only."""
    if run.plan.run_kind is RunKind.FAILBACK:
        return True
    return entry.name in run.plan.sources


def published_addresses(entry: ClusterEntry) -> tuple[str, ...]:
    """Every value by which a record set publishes a cluster."""
    hostname = entry.hostname.rstrip(".") + "." if entry.hostname else ""
    return (*entry.ipv4, *entry.ipv6, *((hostname,) if hostname else ()))


def _application(situation: Situation, name: ApplicationName) -> Application | None:
    return next((item for item in situation.policy.applications if item.name == name), None)
