"""The step machine: what to do next in a run, given only what the journal says. Pure; the shell does it and journals it.

Between two answers of the machine a crash may fall anywhere: `intended` without an effect is read back first (I17, I19).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from failover.execution.runs import AUTOMATION
from failover.model.ids import StepId
from failover.model.journal import Run, RunState, StepProgress, StepState
from failover.model.plan import (
    ChangeRecordsStep,
    Phase,
    ProveGoneStep,
    RunKind,
    ScaleStep,
    Step,
    WaitReadyStep,
    WaitStep,
)

ATTEMPTS_MAX = 12
BACK_OFF_FIRST_S = 0.25
BACK_OFF_MAX_S = 15.0
SILENCE_MAX_S = 600.0
"""How long a step may wait for a cluster that answers nothing, before the run goes on without it; a zone says it itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Read the target, ask for a permit, journal the intent, send, journal the effect."""

    step: ScaleStep | ChangeRecordsStep


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """An intent without a known effect: look at the target and settle it."""

    step: ScaleStep | ChangeRecordsStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Observe:
    """Look whether what the step waits for has come."""

    step: WaitReadyStep | ProveGoneStep | ChangeRecordsStep


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishWait:
    """A plain wait is over."""

    step: WaitStep


@dataclass(frozen=True, slots=True, kw_only=True)
class FailStep:
    """A step cannot be done any more."""

    step: Step
    code: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """The run is over."""

    state: RunState
    sentence: str


Action: TypeAlias = Attempt | ReadBack | Observe | FinishWait | FailStep | Close


@dataclass(frozen=True, slots=True, kw_only=True)
class Agenda:
    """What can be done now, and the wall time at which to look again if nothing else happens (None: only on news)."""

    actions: tuple[Action, ...]
    look_again: datetime | None = None


def next_actions(run: Run, now: datetime) -> Agenda:
    """Everything that may be done at once, in plan order. Empty for a run that is over, halted or unapproved."""
    if run.state is not RunState.RUNNING:
        return Agenda(actions=())
    stopping = is_stopping(run)
    finishing = _finishing(run) if stopping else frozenset()
    heard = _last_heard(run)
    actions: list[Action] = []
    later: list[datetime] = []
    for step in run.plan.steps:
        progress = run.steps[step.id]
        if progress.state in (StepState.DONE, StepState.FAILED):
            continue
        if stopping and step.id not in finishing:
            continue
        if progress.state is StepState.PENDING and _blocked(run, step):
            actions.append(
                FailStep(
                    step=step, code="needed-step-failed", sentence="a step that it needs could not be done"
                )
            )
            continue
        if progress.state is StepState.PENDING and not _ready(run, step):
            continue
        action, at = _action_for(run, step, progress, heard.get(target_of(step)), now)
        if action is not None:
            actions.append(action)
        elif at is not None:
            later.append(at)
    if not actions and not later:
        close = _close(run, stopping=stopping)
        return Agenda(actions=(close,)) if close is not None else Agenda(actions=())
    return Agenda(actions=tuple(actions), look_again=min(later, default=None))


def is_stopping(run: Run) -> bool:
    """An abort that is carried out. A person's is, at the next safe point of any phase; automation's (the source serves
    again) only before the first record change, because after it the run is finished (I21). A rebalancing that has to make
    way for an incident stops in any phase: nothing was lost that it would have to bring to an end.
    """
    if run.abort is None:
        return False
    finishes = run.abort.actor == AUTOMATION and run.dns_written
    return not finishes or run.plan.run_kind is RunKind.REBALANCE


def may_begin(run: Run, step: StepId) -> bool:
    """False for what a run that stops does not do any more."""
    return not is_stopping(run) or step in _finishing(run)


def _finishing(run: Run) -> frozenset[StepId]:
    """What a run that stops still does, so that it stops at a safe point.

    What was sent is settled and read back; an application whose record sets have begun to change in one zone changes
    in the others too; a single writer that was stopped, or half of it, is started where the plan says. Nothing else is
    begun.
    """
    begun = {
        step.id
        for step in run.plan.steps
        if run.steps[step.id].state in (StepState.INTENDED, StepState.EFFECTED)
        or (run.steps[step.id].state is StepState.DONE and run.steps[step.id].attempts)
    }
    siblings = {
        (step.application, step.needs)
        for step in run.plan.steps
        if isinstance(step, ChangeRecordsStep) and step.id in begun
    }
    stops: set[StepId] = set()
    chain: set[StepId] = set()
    for step in run.plan.steps:
        needed = set(step.needs)
        if _stops_a_writer(step) and (step.id in begun or needed & stops):
            stops.add(step.id)
        if (isinstance(step, ProveGoneStep) and needed & (begun | stops)) or (
            isinstance(step, ScaleStep) and needed & chain
        ):
            chain.add(step.id)
    return frozenset(
        step.id
        for step in run.plan.steps
        if step.id in begun | stops | chain
        or (isinstance(step, ChangeRecordsStep) and (step.application, step.needs) in siblings)
    )


def _stops_a_writer(step: Step) -> bool:
    """What is taken away before the release phase: a single writer, at once or link by link."""
    return isinstance(step, ScaleStep) and step.after < step.before and step.phase is Phase.CAPACITY


def target_of(step: Step) -> str:
    """Who has to answer for a step: its cluster or its zone, "" where several do."""
    if isinstance(step, ScaleStep | ProveGoneStep):
        return f"cluster/{step.cluster}"
    return f"zone/{step.zone}" if isinstance(step, ChangeRecordsStep) else ""


def _last_heard(run: Run) -> dict[str, datetime]:
    """When each target last moved this run on."""
    heard: dict[str, datetime] = {}
    for step in run.plan.steps:
        progress, target = run.steps[step.id], target_of(step)
        if progress.attempts or progress.state is StepState.DONE:
            heard[target] = max(progress.since, heard.get(target, progress.since))
    return heard


def _ready(run: Run, step: Step) -> bool:
    return all(run.steps[needed].state is StepState.DONE for needed in step.needs)


def _blocked(run: Run, step: Step) -> bool:
    return any(run.steps[needed].state is StepState.FAILED for needed in step.needs)


def _action_for(
    run: Run, step: Step, progress: StepProgress, heard: datetime | None, now: datetime
) -> tuple[Action | None, datetime | None]:
    if isinstance(step, WaitStep):
        until = wait_began(run, step) + timedelta(seconds=step.seconds)
        return (FinishWait(step=step), None) if now >= until else (None, until)
    if isinstance(step, WaitReadyStep | ProveGoneStep):
        return Observe(step=step), None
    if progress.not_before is not None and now < progress.not_before:
        return None, progress.not_before
    if progress.state is StepState.EFFECTED and isinstance(step, ChangeRecordsStep):
        return Observe(step=step), None
    silent = _silent_for(run, step, heard, now)
    given_up = silent > (step.patience_s if isinstance(step, ChangeRecordsStep) else SILENCE_MAX_S)
    later = (
        f"; `failover dns repair {step.zone}` catches it up" if isinstance(step, ChangeRecordsStep) else ""
    )
    if progress.state is StepState.INTENDED:
        if given_up:
            sentence = f"whether it was applied is unknown: {target_of(step)} could not be read back for {silent:.0f} s{later}"
            return FailStep(step=step, code="outcome-unknown", sentence=sentence), None
        return ReadBack(step=step), None
    if progress.attempts >= ATTEMPTS_MAX:
        sentence = (
            f"given up after {progress.attempts} attempts; the last said: {progress.note or progress.result}"
        )
        return FailStep(step=step, code="attempts-exhausted", sentence=sentence), None
    if given_up:
        sentence = f"nothing came of {target_of(step)} for {silent:.0f} s{later}"
        return FailStep(step=step, code="target-silent", sentence=sentence), None
    return Attempt(step=step), None


def _silent_for(run: Run, step: Step, heard: datetime | None, now: datetime) -> float:
    """Seconds since this step could go on and nothing came of its target; a halt does not count."""
    since = could_go_since(run, step)
    return (now - (since if heard is None else max(since, heard))).total_seconds()


def could_go_since(run: Run, step: Step) -> datetime:
    """Since when nothing of the run itself kept a step: its needs are done, no halt, its last attempt is over."""
    times = [run.steps[step.id].since, wait_began(run, step), run.resumed_at]
    return max(time for time in times if time is not None)


def wait_began(run: Run, step: Step) -> datetime:
    """When the last of the steps that a wait needs was done: the wait is counted from there, restart or not.

    What waits for something to happen (and may be too late) starts again after a halt; a TTL goes on meanwhile.
    """
    times = [run.steps[needed].since for needed in step.needs]
    if isinstance(step, WaitReadyStep | ProveGoneStep) and run.resumed_at is not None:
        times.append(run.resumed_at)
    return max(times, default=run.opened_at)


def back_off(attempts: int, retry_after_s: float | None) -> timedelta:
    """Seconds before the next attempt: doubling, bounded, and never less than the target asked for."""
    seconds = min(BACK_OFF_FIRST_S * 2 ** max(0, attempts - 1), BACK_OFF_MAX_S)
    return timedelta(seconds=max(seconds, min(retry_after_s or 0.0, 300.0)))


def _close(run: Run, *, stopping: bool) -> Close | None:
    """The end of a run in which nothing is left to do, or None where something is merely not ready."""
    states = [run.steps[step.id].state for step in run.plan.steps]
    changing = [step for step in run.plan.steps if isinstance(step, ScaleStep | ChangeRecordsStep)]
    changed = sum(1 for step in changing if run.steps[step.id].state is StepState.DONE)
    failed = states.count(StepState.FAILED)
    if stopping and run.abort is not None:
        by = f"{run.abort.actor}: {run.abort.reason}" if run.abort.reason else run.abort.actor
        dns = "what it changed in DNS stays" if run.dns_landed else "DNS was not changed"
        sentence = f"aborted by {by}; {changed} of {len(changing)} changes were done and are kept, {dns}"
        return Close(state=RunState.ABORTED, sentence=sentence)
    if states.count(StepState.DONE) + failed < len(states):
        return None
    if not failed:
        return Close(state=RunState.DONE, sentence=f"all {len(changing)} changes done and read back")
    causes = "; ".join(missing(run))
    sentence = f"{changed} of {len(changing)} changes done, the rest failed: {causes}"
    return Close(state=_failed_state(run), sentence=sentence)


def _failed_state(run: Run) -> RunState:
    """FAILED where nothing was changed at all, PARTIAL otherwise."""
    changed = any(
        item.attempts and item.result is not None and item.result.landed for item in run.steps.values()
    )
    unknown = any(
        item.refusal is not None and item.refusal.code == "outcome-unknown" for item in run.steps.values()
    )
    return RunState.PARTIAL if changed or unknown else RunState.FAILED


def missing(run: Run, *, at_most: int = 5) -> tuple[str, ...]:
    """What could not be done and why, causes only (not the steps that merely needed one that failed)."""
    causes = [
        f"{step.id}: {refusal.sentence}"
        for step in run.plan.steps
        if (refusal := run.steps[step.id].refusal) is not None and refusal.code != "needed-step-failed"
    ]
    more = len(causes) - at_most
    return (*causes[:at_most], f"and {more} more") if more > 0 else tuple(causes)
