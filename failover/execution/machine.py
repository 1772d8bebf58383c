"""The step machine: what to do next in a run, given only what the journal says. Pure; the shell does it and journals it.

Between two answers of the machine a crash may fall anywhere: `intended` without an effect is read back first (I17, I19).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from failover.model.ids import StepId
from failover.model.journal import Run, RunState, StepProgress, StepState
from failover.model.plan import ChangeRecordsStep, ProveGoneStep, ScaleStep, Step, WaitReadyStep, WaitStep

ATTEMPTS_MAX = 12
BACK_OFF_FIRST_S = 0.25
BACK_OFF_MAX_S = 15.0


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
    aborting = run.abort is not None and not run.dns_written
    actions: list[Action] = []
    later: list[datetime] = []
    for step in run.plan.steps:
        progress = run.steps[step.id]
        if progress.state in (StepState.DONE, StepState.FAILED):
            continue
        if aborting and progress.state is not StepState.INTENDED:
            continue
        if _blocked(run, step):
            actions.append(
                FailStep(
                    step=step, code="needed-step-failed", sentence="a step that it needs could not be done"
                )
            )
            continue
        if not _ready(run, step):
            continue
        action, at = _action_for(run, step, progress, now)
        if action is not None:
            actions.append(action)
        elif at is not None:
            later.append(at)
    if not actions and not later:
        close = _close(run, aborting=aborting)
        return Agenda(actions=(close,)) if close is not None else Agenda(actions=())
    return Agenda(actions=tuple(actions), look_again=min(later, default=None))


def _ready(run: Run, step: Step) -> bool:
    return all(run.steps[needed].state is StepState.DONE for needed in step.needs)


def _blocked(run: Run, step: Step) -> bool:
    return any(run.steps[needed].state is StepState.FAILED for needed in step.needs)


def _action_for(
    run: Run, step: Step, progress: StepProgress, now: datetime
) -> tuple[Action | None, datetime | None]:
    if isinstance(step, WaitStep):
        until = wait_began(run, step) + timedelta(seconds=step.seconds)
        return (FinishWait(step=step), None) if now >= until else (None, until)
    if isinstance(step, WaitReadyStep | ProveGoneStep):
        return Observe(step=step), None
    if progress.not_before is not None and now < progress.not_before:
        return None, progress.not_before
    if progress.state is StepState.INTENDED:
        return ReadBack(step=step), None
    if progress.state is StepState.EFFECTED and isinstance(step, ChangeRecordsStep):
        return Observe(step=step), None
    if progress.attempts >= ATTEMPTS_MAX:
        sentence = (
            f"given up after {progress.attempts} attempts; the last said: {progress.note or progress.result}"
        )
        return FailStep(step=step, code="attempts-exhausted", sentence=sentence), None
    return Attempt(step=step), None


def wait_began(run: Run, step: Step) -> datetime:
    """When the last of the steps that a wait needs was done: the wait is counted from there, restart or not."""
    times = [run.steps[needed].since for needed in step.needs]
    return max(times, default=run.opened_at)


def back_off(attempts: int, retry_after_s: float | None) -> timedelta:
    """Seconds before the next attempt: doubling, bounded, and never less than the target asked for."""
    seconds = min(BACK_OFF_FIRST_S * 2 ** max(0, attempts - 1), BACK_OFF_MAX_S)
    return timedelta(seconds=max(seconds, min(retry_after_s or 0.0, 300.0)))


def _close(run: Run, *, aborting: bool) -> Close | None:
    open_steps = [
        step for step in run.plan.steps if run.steps[step.id].state not in (StepState.DONE, StepState.FAILED)
    ]
    if aborting:
        assert run.abort is not None
        done = sum(1 for item in run.steps.values() if item.state is StepState.DONE)
        reason = f": {run.abort.reason}" if run.abort.reason else ""
        sentence = (
            f"aborted by {run.abort.actor}{reason}; {done} steps were done and are kept, DNS was not changed"
        )
        return Close(state=RunState.ABORTED, sentence=sentence)
    if open_steps:
        return None
    failed = [step for step in run.plan.steps if run.steps[step.id].state is StepState.FAILED]
    if not failed:
        return Close(state=RunState.DONE, sentence=f"all {len(run.plan.steps)} steps done and read back")
    first = run.steps[failed[0].id].refusal
    why = first.sentence if first else "unknown"
    return Close(
        state=RunState.PARTIAL, sentence=f"{len(failed)} of {len(run.plan.steps)} steps failed: {why}"
    )


def steps_with(run: Run, state: StepState) -> tuple[StepId, ...]:
    """Ids of the steps in a state."""
    return tuple(step for step, progress in run.steps.items() if progress.state is state)
