"""The report of a run: phases in seconds, replicas, records, a timeline. Worked out from the journal alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from failover.execution.trace import violations
from failover.model.ids import StepId
from failover.model.journal import (
    AbortRequested,
    EffectRecorded,
    EffectResult,
    JournalEntry,
    ResolversAsked,
    Run,
    RunApproved,
    RunClosed,
    RunHalted,
    RunOpened,
    RunResumed,
    RunWidened,
    StepDone,
    StepFailed,
    StepState,
)
from failover.model.plan import ChangeRecordsStep, Phase, ScaleStep, WaitReadyStep
from failover.model.records import ServerAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTimes:
    """Seconds. `detect_s`: first failure to verdict; `decide_s`: verdict to the opened run; the others count from there:
    lost replicas ready elsewhere, last record change acknowledged, last one served by every server that answers.

    None: the phase was not reached, or is not part of the run.
    """

    detect_s: float | None = None
    decide_s: float | None = None
    capacity_s: float | None = None
    dns_change_s: float | None = None
    dns_effective_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaCounts:
    """`lost` with the sources, `replaced` ordered elsewhere, `ready` seen ready there (0 until all that a step waits for is)."""

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
    """Everything that a manager or an auditor asks of one run.

    `left_out`: applications that a rule held back, with the reason; `failed`: steps that could not be done, with the
    reason; `overrides`: rules that a person named; `violations`: invariants that the journal shows to be broken;
    `resolvers`: what the policy's resolvers gave once the old TTL was over.
    """

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
    overrides: tuple[str, ...] = ()
    attempts: int = 0
    widened: tuple[str, ...] = ()
    violations: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()
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
        phases=_phases(run, entries),
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
        overrides=run.plan.overrides,
        attempts=sum(progress.attempts for progress in run.steps.values()),
        widened=run.widened,
        violations=violations(entries),
        resolvers=_resolvers(run),
        timeline=_timeline(run, entries),
    )


def _phases(run: Run, entries: Sequence[JournalEntry]) -> PhaseTimes:
    records = {step.id for step in run.plan.steps if isinstance(step, ChangeRecordsStep)}
    acknowledged = _acknowledged(records, entries)
    served = {step: run.steps[step].since for step in records if run.steps[step].state is StepState.DONE}
    return PhaseTimes(
        detect_s=_between(run.failed_at, run.verdict_at),
        decide_s=_between(run.verdict_at, run.opened_at),
        capacity_s=_between(run.opened_at, _capacity_at(run)),
        dns_change_s=_between(run.opened_at, _last(records, acknowledged)),
        dns_effective_s=_between(run.opened_at, _last(records, served)),
    )


def _capacity_at(run: Run) -> datetime | None:
    """When the last step of the capacity phase was done, if all were."""
    steps = [step.id for step in run.plan.steps if step.phase is Phase.CAPACITY]
    done = {step: run.steps[step].since for step in steps if run.steps[step].state is StepState.DONE}
    return _last(set(steps), done)


def _acknowledged(records: set[StepId], entries: Sequence[JournalEntry]) -> dict[StepId, datetime]:
    """When each record change was known to have landed."""
    return {
        entry.entry.step: entry.at
        for entry in entries
        if isinstance(entry.entry, EffectRecorded)
        and entry.entry.result.landed
        and entry.entry.step in records
    }


def _last(wanted: set[StepId], times: dict[StepId, datetime]) -> datetime | None:
    """The latest time, if there is one for every step that is wanted."""
    return max(times.values()) if wanted and wanted <= set(times) else None


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


def _resolvers(run: Run) -> tuple[str, ...]:
    found = [
        f"zone {step.zone}: {item.server}: {_given(item)}"
        for step in run.plan.steps
        if isinstance(step, ChangeRecordsStep)
        for item in run.steps[step.id].resolvers
    ]
    return tuple(dict.fromkeys(found))


def _given(answer: ServerAnswer) -> str:
    return "gives the change" if answer.matches else answer.detail or "does not answer"


def _timeline(run: Run, entries: Sequence[JournalEntry]) -> tuple[tuple[datetime, str], ...]:
    """One sentence an event that a person cares about; scales that landed are counted by phase, not listed."""
    lines: list[tuple[datetime, str]] = []
    if run.failed_at is not None:
        lines.append((run.failed_at, "first failure seen"))
    if run.verdict_at is not None:
        lines.append((run.verdict_at, "verdict confirmed"))
    changing = [step.id for step in run.plan.steps if isinstance(step, ScaleStep | ChangeRecordsStep)]
    done = sum(1 for step in changing if run.steps[step].state is StepState.DONE)
    for entry in entries:
        sentence = _sentence(run, entry.entry)
        if sentence:
            lines.append((entry.at, sentence))
    lines += [(item.at, f"phase {item.phase} reached") for item in run.phases]
    if done:
        lines.append((entries[-1].at, f"{done} of {len(changing)} changes done"))
    return tuple(sorted(lines, key=lambda line: line[0]))


def _sentence(run: Run, event: object) -> str:
    """What an event says to a person, "" for the many that only the machine needs."""
    match event:
        case RunOpened():
            waits = "" if event.approved else ", waits for approval"
            return f"{event.plan.run_kind} of {event.plan.domain} opened by {event.actor}{waits}"
        case RunApproved():
            return f"approved by {event.actor}"
        case RunWidened():
            return f"widened: {event.reason}"
        case RunHalted():
            return f"halted: {event.refusal.sentence}"
        case RunResumed():
            return f"resumed by {event.actor}"
        case AbortRequested():
            return f"abort asked for by {event.actor}: {event.reason}".rstrip(": ")
        case StepFailed():
            return f"{event.step} failed: {event.refusal.sentence}"
        case RunClosed():
            return f"closed as {event.state}: {event.sentence}"
        case StepDone() if event.verification is not None:
            answered = sum(server.answered for server in event.verification.servers)
            lags = [server.lag_s for server in event.verification.servers if server.lag_s is not None]
            last = f", the last {max(lags):.1f} s after the change" if lags else ""
            return f"{_what(run, event.step)} served by {answered} of {len(event.verification.servers)} servers{last}"
        case ResolversAsked():
            giving = sum(answer.matches for answer in event.answers)
            return f"{_what(run, event.step)} given by {giving} of {len(event.answers)} resolvers"
        case EffectRecorded() if event.result in (
            EffectResult.UNKNOWN,
            EffectResult.FENCED,
            EffectResult.REJECTED,
        ):
            return f"{event.step}: {event.result}: {event.detail}"
        case _:
            return ""


def _what(run: Run, step_id: StepId) -> str:
    step = next((item for item in run.plan.steps if item.id == step_id), None)
    if isinstance(step, ChangeRecordsStep):
        return ", ".join(f"{change.after.name} {change.after.record_type}" for change in step.changes)
    return str(step_id)
