"""The one path of every change: compose, ask for the permit, journal the intent, send, journal what is known."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from failover.controller.changes import Permits
from failover.controller.context import Context
from failover.controller.effects import Effect, send
from failover.execution.admission import is_automatic
from failover.execution.evidence import source_verdicts
from failover.execution.machine import back_off
from failover.execution.rules import refuse
from failover.execution.safety import HALTING, PATIENCE_S, RULES_ASKED, WAITING, grant
from failover.execution.situation import NOT_ASKED, Look
from failover.model.ids import IntentId, StepId
from failover.model.journal import (
    Change,
    EffectRecorded,
    EffectResult,
    Entry,
    Intent,
    IntentRecorded,
    RaiseFence,
    Run,
    RunHalted,
    RunState,
    StepDone,
    StepFailed,
)
from failover.model.permit import Permit
from failover.model.reasons import Refusal

Completed = Callable[[Intent, Effect], Sequence[Entry]]
"""Further events that follow from an effect that landed (a scale is done at once, a record change is verified first)."""

UNTOLD = frozenset({"velocity", "aborted"})
"""What is a matter of moments: it uses up no patience, and nobody need be told."""

RAN_OUT = "the lease, less its margin, or what a removal counts on ran out before sending"

PACE_S, LOOK_AGAIN_S = 0.05, 0.5
"""What waits for its turn goes soon; what waits for the world has its cluster read each time."""


def compose(context: Context, run: Run, step: StepId, change: Change) -> Intent:
    """The durable record of what is about to be sent."""
    epoch = context.leadership.epoch
    assert epoch is not None
    progress = run.steps.get(step)
    attempt = (progress.attempts if progress else 0) + 1
    return Intent(
        id=IntentId(f"{run.id}/{step}/{attempt}-e{int(epoch)}"),
        run=run.id,
        step=step,
        attempt=attempt,
        epoch=epoch,
        change=change,
        actor=run.actor,
        reason=run.reason or f"{run.plan.run_kind} of {run.plan.domain}",
        evidence=_evidence(context, run),
        rules=RULES_ASKED,
        overrides=run.plan.overrides,
    )


def _evidence(context: Context, run: Run) -> tuple[str, ...]:
    """For a person they and their probe; for automation fresh observations, and once a record change has landed the run and what it
    was opened for (I2). While one may have landed: the run, and what is fresh still.
    """
    if not is_automatic(run.actor):
        return run.citations or (f"run={run.id}",)
    beginning = (f"run={run.id}", *run.citations)
    if run.dns_landed:
        return beginning
    now = context.now().mono
    cited = [
        f"{item.observation} {item.signal} {item.outcome} {now - item.measured_mono:.1f}s"
        for _, verdict in source_verdicts(run.plan, context.situation())
        if verdict is not None
        for item in verdict.evidence
    ]
    if not cited:
        return beginning
    return (f"run={run.id}", *cited) if run.dns_written else tuple(cited)


async def change_all(
    context: Context,
    run: Run,
    wanted: Sequence[tuple[StepId, Change]],
    *,
    parallel: int,
    completed: Completed,
    look: Look = NOT_ASKED,
) -> Mapping[StepId, str]:
    """Carry out several changes at one target: one durable batch of intents, then the sends, then the effects.

    What may not go yet stays for another round and holds up nothing beside it. Nothing is composed without a lease. `look`: what
    removals count on, as it was asked for just before. Returns why what has not landed has not, by step.
    """
    if context.leadership.epoch is None:
        return {}
    run = context.runs.get(run.id, run)  # it may have been halted or aborted while the target was read
    permitted: list[tuple[Intent, Permit]] = []
    refused: list[Entry] = []
    kept_back: dict[StepId, Refusal] = {}
    situation = context.situation(evidence=run.citations, look=look)
    with context.changes.permits() as permits:
        for step, change in wanted:
            intent = compose(context, run, step, change)
            answer = grant(intent, run, situation)
            if isinstance(answer, Permit):
                permitted.append((intent, answer))
                _hold(permits, intent)
                situation = situation.sending(change.target)
            elif answer.code in WAITING and _patient(context, run, step, answer):
                kept_back[step] = answer
                continue
            elif answer.code in HALTING:
                await halt(context, run, answer)
                return {}
            else:
                refused.append(StepFailed(step=step, refusal=answer))
            context.kept_back.goes((run.id, step))
        entries: list[Entry] = [*refused, *(IntentRecorded(intent=intent) for intent, _ in permitted)]
        if not entries:
            turn = any(answer.code == "velocity" for answer in kept_back.values())
            await context.ports.clock.sleep(PACE_S if turn else LOOK_AGAIN_S)
            return {step: answer.sentence for step, answer in kept_back.items()}
        await context.append([(run.id, entry) for entry in entries])
        gate = asyncio.Semaphore(parallel)
        sends = (_send_one(context, intent, permit, gate, permits) for intent, permit in permitted)
        effects = await asyncio.gather(*sends)
    await _record(context, run, [intent for intent, _ in permitted], effects, completed)
    landed = zip(permitted, effects, strict=True)
    return {step: answer.sentence for step, answer in kept_back.items()} | {
        intent.step: effect.detail for (intent, _), effect in landed if not effect.result.landed
    }


async def change_one(
    context: Context, run: Run, step: StepId, change: Change
) -> tuple[Intent, Effect] | Refusal:
    """Carry out one change whose effect the caller journals; the refusal where it may not go now."""
    run = context.runs.get(run.id, run)
    intent = compose(context, run, step, change)
    answer = grant(intent, run, context.situation(evidence=run.citations))
    if not isinstance(answer, Permit):
        return answer
    with context.changes.permits() as permits:
        _hold(permits, intent)
        await context.append([(run.id, IntentRecorded(intent=intent))])
        return intent, await _send_one(context, intent, answer, asyncio.Semaphore(1), permits)


def _hold(permits: Permits, intent: Intent) -> None:
    """From now on it counts as sent (I12). The raising of a fence never does."""
    if not isinstance(intent.change, RaiseFence):
        permits.hold(intent.change.target)


def _patient(context: Context, run: Run, step: StepId, refusal: Refusal) -> bool:
    """Whether a step that may not go yet may wait on, and note why. Only what it was kept back by rules counts: not the waits
    before it, a halt, its turn, or what has to go before. Raising a fence has no step, and no deadline.
    """
    key = (run.id, step)
    if refusal.code in UNTOLD:
        context.kept_back.over([key], trouble_only=False)
        return True
    if step not in run.steps or not context.drives(run):
        return True
    return context.kept_back.by_rule(key, refusal.sentence, context.now().mono) <= PATIENCE_S


async def _send_one(
    context: Context, intent: Intent, permit: Permit, gate: asyncio.Semaphore, permits: Permits
) -> Effect:
    async with gate:
        permits.spend(intent.change.target)
        if not permit.still_good(context.now().mono):
            return Effect(result=EffectResult.UNAVAILABLE, detail=RAN_OUT)
        return replace(await send(context, intent, permit), permit=permit)


async def _record(
    context: Context, run: Run, intents: Sequence[Intent], effects: Sequence[Effect], completed: Completed
) -> None:
    entries: list[Entry] = []
    fenced = ""
    for intent, effect in zip(intents, effects, strict=True):
        entries.append(recorded(context, intent, effect))
        if effect.result.landed:
            entries += completed(intent, effect)
        elif effect.result is EffectResult.REJECTED:
            refusal = Refusal(
                code="target-rejects", sentence=effect.detail or "the target refuses this change"
            )
            entries.append(StepFailed(step=intent.step, refusal=refusal))
        elif effect.result is EffectResult.FENCED:
            fenced = effect.detail
            # Before the append: whoever was succeeded may not write it down any more.
            context.tell("change.fenced", fenced, page=True, run=run.id, step=intent.step)
    if entries:
        await context.append([(run.id, entry) for entry in entries])
    if fenced:
        await halt(context, run, refuse("epoch", f"a fence refuses our epoch: {fenced}"))
        context.begin_to_doubt(
            f"a fence is above our epoch, so somebody newer has acted: {fenced}; look, then `failover resume`",
            run=run.id,
        )


def recorded(context: Context, intent: Intent, effect: Effect) -> EffectRecorded:
    """The journal's line of an effect, with when it may be tried again."""
    retry = effect.result in (EffectResult.CONFLICT, EffectResult.UNAVAILABLE, EffectResult.THROTTLED)
    wait = back_off(intent.attempt, effect.retry_after_s) if retry else timedelta()
    if effect.result is EffectResult.UNKNOWN:
        wait = back_off(intent.attempt, None)
    return EffectRecorded(
        intent=intent.id,
        step=intent.step,
        result=effect.result,
        before=_before(intent),
        after=effect.after,
        detail=effect.detail,
        not_before=context.now().wall + wait if wait else None,
    )


def _before(intent: Intent) -> str:
    change = intent.change
    if change.kind == "scale":
        return f"replicas={change.before}"  # type: ignore[union-attr]
    if change.kind == "records":
        return "; ".join(
            f"{item.after.name} {','.join(item.before.values) if item.before else 'absent'}"
            for item in change.change.changes  # type: ignore[union-attr]
        )
    return ""


async def halt(context: Context, run: Run, refusal: Refusal) -> None:
    """Stop the run at this safe point, once, with the reason."""
    current = context.runs[run.id]
    if current.state is RunState.RUNNING and context.leadership.acting(context.now()):
        await context.append([(run.id, RunHalted(refusal=refusal))])
        context.tell("run.halted", f"run {run.id} halts: {refusal.sentence}", page=True, run=run.id)


def settled(intent: Intent, *, landed: bool, note: str) -> EffectRecorded:
    """What a read-back found out about an intent (I19)."""
    return EffectRecorded(
        intent=intent.id,
        step=intent.step,
        result=EffectResult.APPLIED if landed else EffectResult.UNAVAILABLE,
        before=_before(intent),
        detail=note,
    )


def done(step: StepId, note: str) -> StepDone:
    """A step that needs nothing further."""
    return StepDone(step=step, note=note)
