"""The report of a run: phases in seconds, replicas, records, a timeline. Worked out from the journal alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from failover.model.journal import EffectRecorded, JournalEntry, Run, StepState
from failover.model.plan import ChangeRecordsStep, Phase, ScaleStep, WaitReadyStep


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTimes:
    """Seconds: first failure -> verdict -> decision -> lost replicas ready; decision -> DNS acked -> served everywhere.

    None: the phase was not reached, or was not part of the run.
    """

    detect_s: float | None = None
    decide_s: float | None = None
    capacity_s: float | None = None
    dns_change_s: float | None = None
    dns_effective_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaCounts:
    """`lost` with the sources, `replaced` ordered elsewhere, `ready` seen ready there."""

    lost: int = 0
    replaced: int = 0
    ready: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCounts:
    """Record sets: `changed` by an acked atomic change, `verified` at every authoritative server that answered."""

    changed: int = 0
    verified: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Everything that a manager or an auditor asks of one run."""

    run: str
    run_kind: str
    domain: str
    state: str
    sentence: str
    actor: str
    reason: str
    plan: str
    generation: str
    epoch: int
    failed_at: datetime | None
    verdict_at: datetime | None
    opened_at: datetime
    closed_at: datetime | None
    verdict: str
    phases: PhaseTimes
    replicas: ReplicaCounts
    records: RecordCounts
    evidence: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    silent_servers: tuple[str, ...] = ()
    timeline: tuple[tuple[datetime, str], ...] = field(default=())


def report(run: Run, entries: Sequence[JournalEntry]) -> RunReport:
    """The report of a run; `entries` are its own journal entries in order."""
    return RunReport(
        run=run.id,
        run_kind=run.plan.run_kind.value,
        domain=str(run.plan.domain),
        state=run.state.value,
        sentence=run.sentence,
        actor=run.actor,
        reason=run.reason,
        plan=run.plan.short_hash,
        generation=run.plan.policy_generation,
        epoch=int(run.epoch),
        failed_at=run.failed_at,
        verdict_at=run.verdict_at,
        opened_at=run.opened_at,
        closed_at=run.closed_at,
        verdict=", ".join(
            f"{cluster} {kind}" for cluster, kind in run.plan.verdicts if cluster in run.plan.sources
        ),
        phases=_phases(run),
        replicas=_replicas(run),
        records=_records(run),
        evidence=run.citations,
        left_out=tuple(
            f"{part.application}: {part.left_out}" for part in run.plan.applications if part.left_out
        ),
        failed=tuple(
            f"{step}: {item.refusal}" for step, item in run.steps.items() if item.state is StepState.FAILED
        ),
        silent_servers=_silent(run),
        timeline=_timeline(run, entries),
    )


def _phases(run: Run) -> PhaseTimes:
    reached = {item.phase: item.at for item in run.phases}
    changed = [item.since for step, item in run.steps.items() if item.verification is not None]
    return PhaseTimes(
        detect_s=_between(run.failed_at, run.verdict_at),
        decide_s=_between(run.verdict_at, run.opened_at),
        capacity_s=_between(run.opened_at, reached.get(Phase.CAPACITY)),
        dns_change_s=_between(run.opened_at, _last_ack(run)),
        dns_effective_s=_between(run.opened_at, max(changed)) if changed and _all_verified(run) else None,
    )


def _last_ack(run: Run) -> datetime | None:
    """When the last record change was acknowledged (journaled as `acked=` in its note)."""
    steps = [step for step in run.plan.steps if isinstance(step, ChangeRecordsStep)]
    times = [_acked(run.steps[step.id].note) for step in steps]
    known = [time for time in times if time is not None]
    return max(known) if steps and len(known) == len(steps) else None


def _acked(note: str) -> datetime | None:
    head, _, text = note.partition("acked=")
    del head
    try:
        return datetime.fromisoformat(text.split(" ")[0]) if text else None
    except ValueError:
        return None


def _all_verified(run: Run) -> bool:
    steps = [step for step in run.plan.steps if isinstance(step, ChangeRecordsStep)]
    return bool(steps) and all(run.steps[step.id].state is StepState.DONE for step in steps)


def _between(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else round((end - start).total_seconds(), 3)


def _replicas(run: Run) -> ReplicaCounts:
    included = [part for part in run.plan.applications if part.left_out is None]
    added = ready = 0
    for step in run.plan.steps:
        if isinstance(step, ScaleStep) and step.phase is Phase.CAPACITY and step.after > step.before:
            landed = run.steps[step.id].state in (StepState.EFFECTED, StepState.DONE)
            added += (step.after - step.before) if landed else 0
    waits = [
        step for step in run.plan.steps if isinstance(step, WaitReadyStep) and step.phase is Phase.CAPACITY
    ]
    done = {
        step.application for step in waits if run.steps[step.id].state is StepState.DONE and step.share == 100
    }
    for step in run.plan.steps:
        if isinstance(step, ScaleStep) and step.phase is Phase.CAPACITY and step.application in done:
            ready += max(0, step.after - step.before)
    return ReplicaCounts(lost=sum(part.lost for part in included), replaced=added, ready=ready)


def _records(run: Run) -> RecordCounts:
    changed = verified = 0
    for step in run.plan.steps:
        if isinstance(step, ChangeRecordsStep):
            state = run.steps[step.id].state
            changed += len(step.changes) if state in (StepState.EFFECTED, StepState.DONE) else 0
            verified += len(step.changes) if state is StepState.DONE else 0
    return RecordCounts(changed=changed, verified=verified)


def _silent(run: Run) -> tuple[str, ...]:
    found = {
        server
        for item in run.steps.values()
        if item.verification is not None
        for server in item.verification.silent
    }
    return tuple(sorted(found))


def _timeline(run: Run, entries: Sequence[JournalEntry]) -> tuple[tuple[datetime, str], ...]:
    """One line an event that a person cares about; single changes are counted, not listed."""
    lines: list[tuple[datetime, str]] = []
    if run.failed_at is not None:
        lines.append((run.failed_at, "first failure seen"))
    if run.verdict_at is not None:
        lines.append((run.verdict_at, "verdict confirmed"))
    changes = 0
    for entry in entries:
        event = entry.entry
        if isinstance(event, EffectRecorded):
            changes += event.result.landed
            continue
        if event.kind in ("intent", "step-done"):
            continue
        lines.append((entry.at, event.kind))
    lines += [(item.at, f"phase {item.phase} reached") for item in run.phases]
    if changes:
        lines.append((entries[-1].at, f"{changes} changes landed"))
    return tuple(sorted(lines))
