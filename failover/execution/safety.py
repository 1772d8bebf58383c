"""The one module that every change goes through. `grant` returns a Permit, or the refusal; nobody else makes a Permit.

It is asked after the intent was composed and before it is journaled, for every single change, in every kind of run.
"""

from collections.abc import Iterator

from failover.execution.admission import holding_back, is_automatic, overridden
from failover.execution.evidence import source_verdicts, stale_evidence
from failover.execution.machine import may_begin
from failover.execution.radius import UNPLANNED
from failover.execution.record_rules import record_refusals
from failover.execution.rules import RULES, refuse
from failover.execution.scale_rules import control_plane, scale_refusals
from failover.execution.situation import Situation
from failover.execution.velocity import room
from failover.model.journal import Intent, RaiseFence, RecordsChange, Run, RunState, ScaleChange, StepState
from failover.model.permit import Permit
from failover.model.plan import ChangeRecordsStep, ScaleStep
from failover.model.reasons import Refusal

HALTING = frozenset(
    {
        "lease", "epoch", "journal", "doubt", "halted", "paused", "frozen", "warm-up", "stale-evidence", "still-serving",
    }
)  # fmt: skip
"""Refusals that stop the whole run at this safe point; any other fails its step."""

WAITING = frozenset(
    {"aborted", "velocity", "add-before-remove", "capacity-floor", "control-plane", "dead-endpoint"}
)
"""Refusals that only mean `not yet`: the step stays where it is, for `PATIENCE_S` seconds at most."""

PATIENCE_S = 120.0

RULES_ASKED = (
    "lease", "epoch", "journal", "doubt", "halted", "aborted", "paused", "frozen", "warm-up", "no-evidence", "stale-evidence",
    "still-serving", "off-plan", "order", "absolute", "velocity", "share-per-step", "control-plane",
    "add-before-remove", "capacity-floor", "shed", "single-writer", "never-empty", "own-names", "unknown-endpoint", "dead-endpoint",
    "serving-member",
)  # fmt: skip
"""What `grant` asks of a change (those that do not concern its kind have nothing to say)."""

assert set(RULES_ASKED) | HALTING | WAITING <= set(RULES)


def grant(intent: Intent, run: Run, situation: Situation) -> Permit | Refusal:
    """The permit for one change, or the first reason against it that no person overrode by name."""
    automatic = is_automatic(run.actor)
    for refusal in _refusals(intent, run, situation):
        if not overridden(refusal, run.plan, automatic=automatic):
            return refusal
    return Permit(
        intent=intent.id,
        epoch=intent.epoch,
        target=intent.change.target,
        rules=intent.rules,
        expires_mono=min(situation.acting_until, situation.look.good_until),
    )


def _refusals(intent: Intent, run: Run, situation: Situation) -> Iterator[Refusal]:
    yield from _leadership(intent, situation)
    if is_automatic(run.actor):
        yield from automation_refusals(run, situation)
    else:
        yield from returned_sources(run, situation)
    yield from _on_plan(intent, run)
    yield from _velocity(intent, situation)
    change = intent.change
    if isinstance(change, ScaleChange):
        yield from scale_refusals(change, intent, run, situation)
    elif isinstance(change, RecordsChange):
        yield from record_refusals(change, intent, run, situation)
    else:
        yield from control_plane(change.cluster, run, situation)


def _leadership(intent: Intent, situation: Situation) -> Iterator[Refusal]:
    if situation.now.mono >= situation.acting_until:
        yield refuse("lease", "the lease, less its margin, is over")
    if situation.epoch is None or intent.epoch != situation.epoch:
        yield refuse("epoch", f"the intent carries epoch {intent.epoch}, acting is {situation.epoch}")
    if not situation.journal_ok:
        yield refuse("journal", "the store does not take appends")
    if situation.doubt:
        yield refuse("doubt", situation.doubt)


def automation_refusals(run: Run, situation: Situation) -> Iterator[Refusal]:
    """What stops automation at the next safe point. After the first DNS write the run itself is the evidence (I21)."""
    yield from _holding_back(run, situation)
    yield from returned_sources(run, situation)
    if run.dns_written or run.plan.run_kind not in UNPLANNED:
        return
    for source in run.plan.sources:
        if situation.judgement.of_cluster(source) is None:
            yield refuse(
                "stale-evidence", f"{source} is not in the policy any more: nobody looks whether it serves"
            )
    for name, verdict in source_verdicts(run.plan, situation):
        if verdict is not None:
            yield from stale_evidence(name, verdict, situation)


def _holding_back(run: Run, situation: Situation) -> Iterator[Refusal]:
    """A pause stops automation and never a person (I23): who approved or resumed this run since has said that it goes on."""
    for refusal in holding_back(situation):
        person, paused = run.person_at, situation.paused_at
        if refusal.code == "paused" and person is not None and paused is not None and person >= paused:
            continue
        yield refusal


def returned_sources(run: Run, situation: Situation) -> Iterator[Refusal]:
    """A source that serves again ends an evacuation or steering before its first record change, a person's as well.

    After the first record change the run is finished.
    """
    if run.dns_written or run.plan.run_kind not in UNPLANNED:
        return
    for name, verdict in source_verdicts(run.plan, situation):
        if verdict is not None and verdict.kind.serves:
            yield refuse("still-serving", f"{name} serves again: {verdict.sentence}")


def _on_plan(intent: Intent, run: Run) -> Iterator[Refusal]:
    """The change is what a step of the run's plan says, its needs are done, and it cites what it rests on."""
    if not intent.evidence:
        yield refuse("no-evidence", "the intent cites no observation, and no person")
    change = intent.change
    if run.state in (RunState.HALTED, RunState.AWAITING_APPROVAL):
        yield refuse("halted", f"run {run.id} is {run.state}")
    if isinstance(change, RaiseFence):
        touched = {step.cluster for step in run.plan.steps if isinstance(step, ScaleStep)}
        if run.state.final or change.epoch != intent.epoch or change.cluster not in touched:
            yield refuse(
                "off-plan", f"the plan changes nothing in {change.cluster} with epoch {change.epoch}"
            )
        return
    step = next((item for item in run.plan.steps if item.id == intent.step), None)
    if not may_begin(run, intent.step):
        yield refuse("aborted", f"run {run.id} is being aborted: {intent.step} is not begun any more")
    if step is None or run.state.final:
        yield refuse("off-plan", f"{intent.step} is no open step of run {run.id}")
        return
    if not _same(change, step):
        yield refuse("off-plan", f"the change is not what {intent.step} says, and more than a raised fence")
    missing = [needed for needed in step.needs if run.steps[needed].state is not StepState.DONE]
    if missing:
        yield refuse("order", f"{intent.step} needs {', '.join(missing)} done before it")


def _same(change: ScaleChange | RecordsChange, step: object) -> bool:
    if isinstance(change, ScaleChange):
        return isinstance(step, ScaleStep) and (
            change.cluster,
            change.workload,
            change.field,
            change.after,
            change.autoscaler_max,
        ) == (step.cluster, step.workload, step.field, step.after, step.autoscaler_max)
    if not isinstance(step, ChangeRecordsStep):
        return False
    planned = {item.after.key: item.after for item in step.changes}
    return (
        (change.change.zone, change.change.application) == (step.zone, step.application)
        and bool(change.change.changes)
        and all(
            item.after.key in planned
            and (item.after == planned[item.after.key] or item.after.same_data(item.before))
            for item in change.change.changes
        )
    )


def _velocity(intent: Intent, situation: Situation) -> Iterator[Refusal]:
    """I12. Raising a fence comes once a leader and cluster, before anything else."""
    target, rate = intent.change.target, situation.policy.guards.changes_per_second
    sent, last = situation.sent_last_second.get(target, 0), situation.last_sent.get(target)
    ago = None if last is None else situation.now.mono - last
    if isinstance(intent.change, RaiseFence) or room(rate, sent_last_second=sent, since_last_s=ago) > 0:
        return
    if rate >= 1:
        sentence = f"{sent} changes went to {target} in the last second, {rate:g} may"
    else:
        sentence = (
            f"the last change went to {target} {ago:.1f} s ago, and {1 / rate:g} s must lie between two"
        )
    yield refuse("velocity", sentence)
