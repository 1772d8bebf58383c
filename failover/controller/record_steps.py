"""Record steps in one zone: read, compare-and-swap with the fence, then read back at every authoritative server."""

from collections.abc import Sequence
from dataclasses import replace

from failover.controller.changing import change_all, change_one, recorded, settled
from failover.controller.context import Context
from failover.controller.effects import Effect
from failover.controller.look_around import LookAround
from failover.controller.retries import Retries
from failover.dnszones.fences import fence_text
from failover.dnszones.limits import urgently
from failover.execution.machine import ATTEMPTS_MAX, Attempt, Observe, ReadBack, could_go_since
from failover.execution.ownership import not_ours
from failover.execution.rules import refuse
from failover.execution.situation import NOT_ASKED, Look
from failover.model.errors import TargetError
from failover.model.ids import Epoch, IntentId, RunId, StepId
from failover.model.journal import (
    EffectRecorded,
    EffectResult,
    Entry,
    Intent,
    RecordsChange,
    Run,
    StepDone,
    StepFailed,
    StepProgress,
    fence_of,
)
from failover.model.plan import ChangeRecordsStep, RunKind
from failover.model.ports import DNSZone
from failover.model.reasons import Refusal
from failover.model.records import (
    FenceRecord,
    RecordChange,
    RecordSet,
    RecordType,
    ServerAnswer,
    Verification,
    ZoneChange,
    ZoneState,
)
from failover.planner.traffic import not_adopted

VERIFY_EVERY_S = 0.1
VERIFY_DEADLINE_S = 120.0
OFFER_AGAIN_AFTER_S = 90.0
"""Providers take a minute to serve a change. One that is under way for longer may be stranded for good, as those are that
meet a failover of the provider's own: it is made once more, as a new change from what stands to the same (facts/dns.md 2.1).
"""


class RecordSteps:
    """Changes record sets and proves that they are served."""

    def __init__(self, context: Context, around: LookAround) -> None:
        self._context = context
        self._retries = Retries()
        self._around = around
        self._lags: dict[tuple[RunId, StepId], dict[str, float]] = {}

    async def round(self, run: Run, actions: Sequence[Attempt | ReadBack | Observe]) -> None:
        """One action at a time: there is one writer a zone and application."""
        with urgently():
            await self._act(run, actions[0])

    async def _act(self, run: Run, action: Attempt | ReadBack | Observe) -> None:
        step = action.step
        if not isinstance(step, ChangeRecordsStep):
            return
        zone = self._context.ports.zones.get(step.zone)
        if zone is None:
            refusal = Refusal(code="target-missing", sentence=f"zone {step.zone} is not open")
            await self._context.append([(run.id, StepFailed(step=step.id, refusal=refusal))])
        elif isinstance(action, Observe):
            await self._verify(run, step, zone)
        else:
            await self._attempt(run, step, zone, settling=isinstance(action, ReadBack))

    async def _attempt(self, run: Run, step: ChangeRecordsStep, zone: DNSZone, *, settling: bool) -> None:
        context, state = self._context, await self._read(run, step, zone)
        if state is None:
            return
        intent = run.steps[step.id].intent
        if settling and intent is not None:
            landed, note = _became(intent, step, state)
            if not landed and _is_last_word(run, step):
                intent, note = await self._shut_out(run, step, state, intent, note)
            if intent is not None:
                await context.append([(run.id, settled(intent, landed=landed, note=note))])
        elif self._done_before(run, step, state):
            await self._unchanged(run, step)
        elif stale := _stale(step, state) or self._unowned(step, state):
            await context.append([(run.id, StepFailed(step=step.id, refusal=stale))])
        else:
            # Record sets that are as intended already get our fence: an older plan must not be applied over them later.
            await self._change(run, step, state, again=_as_intended(step, state))

    async def _shut_out(
        self, run: Run, step: ChangeRecordsStep, state: ZoneState, intent: Intent, note: str
    ) -> tuple[Intent | None, str]:
        """Keep a change that has not landed, and that nobody will make again, from landing later: by a newer fence over what
        stands. Whoever sent it may only be asleep. The intent to settle, and what is known; None where that is not known yet.
        """
        epoch, standing = self._context.leadership.epoch, state.fence(step.application)
        held = [item for change in step.changes if (item := state.find(*_key(change))) is not None]
        if epoch is None:
            return None, ""
        fence = self._fence(run, step, epoch)
        if not held or fence_text(standing) == FenceRecord.parse(fence.text).text:
            return intent, note
        change = ZoneChange(
            zone=step.zone,
            application=step.application,
            changes=tuple(RecordChange(before=item, after=item) for item in held),
            fence_before=standing,
            fence_after=fence,
            adopt=step.adopt,
        )
        sent = await change_one(self._context, run, step.id, RecordsChange(change=change))
        if isinstance(sent, Refusal):
            return intent, f"{note}; it may land yet, for no newer fence could be raised: {sent.sentence}"
        intent, effect = sent
        if effect.result.landed:
            return intent, f"{note}; a newer fence keeps it from landing later"
        if effect.result is EffectResult.UNKNOWN:
            await self._context.append([(run.id, recorded(self._context, intent, effect))])
            return None, ""  # read back like any other
        return intent, f"{note}; no newer fence could be raised: {effect.detail}"

    async def _read(self, run: Run, step: ChangeRecordsStep, zone: DNSZone) -> ZoneState | None:
        """What stands at the step's names; None, told and after a wait, where the zone cannot be read now."""
        context = self._context
        try:
            state = await zone.read([change.after.key for change in step.changes], [step.application])
        except TargetError as error:
            context.tell("target.trouble", f"zone {step.zone}: {error}", target=step.zone, run=run.id)
            await context.ports.clock.sleep(self._retries.wait_s(step.zone, error))
            return None
        self._retries.well(step.zone)
        return state

    async def _change(
        self, run: Run, step: ChangeRecordsStep, state: ZoneState, *, again: bool = False
    ) -> None:
        look = await self._look(run, step)
        epoch = self._context.leadership.epoch
        if epoch is None:  # the lease was lost while the zone was read
            return
        whole = again or step.adopt
        change = RecordsChange(change=self._zone_change(run, step, state, epoch, whole=whole))
        await change_all(self._context, run, [(step.id, change)], parallel=1, completed=_completed, look=look)

    async def _look(self, run: Run, step: ChangeRecordsStep) -> Look:
        """What a drain counts on. It outlives a zone's own queue of requests: the source runs on until it is taken away."""
        if run.plan.run_kind is not RunKind.DRAIN:
            return NOT_ASKED
        return replace(await self._around.at(run, step.application), good_until=float("inf"))

    def _done_before(self, run: Run, step: ChangeRecordsStep, state: ZoneState) -> bool:
        """Everything stands as intended, under the fence that we would leave: there is nothing that a change would add."""
        fence, epoch = state.fence(step.application), self._context.leadership.epoch
        if step.adopt or fence is None or epoch is None or not _as_intended(step, state):
            return False  # an adoption is its own purpose: what stands is written as it stands
        return fence.text == FenceRecord.parse(self._fence(run, step, epoch).text).text

    async def _unchanged(self, run: Run, step: ChangeRecordsStep) -> None:
        event = EffectRecorded(
            intent=IntentId(f"{run.id}/{step.id}/none"),
            step=step.id,
            result=EffectResult.UNCHANGED,
            detail="the records and their fence stand as intended",
        )
        await self._context.append([(run.id, event)])

    def _zone_change(
        self, run: Run, step: ChangeRecordsStep, state: ZoneState, epoch: Epoch, *, whole: bool
    ) -> ZoneChange:
        """Preconditions are what was read just now: it equals what the plan saw, or `_stale` had refused.

        `whole`: with the record sets that are as intended already.
        """
        changes = tuple(
            RecordChange(before=state.find(*_key(change)), after=change.after)
            for change in step.changes
            if whole or not change.after.same_data(state.find(*_key(change)))
        )
        return ZoneChange(
            zone=step.zone,
            application=step.application,
            changes=changes,
            fence_before=state.fence(step.application),
            fence_after=self._fence(run, step, epoch),
            adopt=step.adopt,
        )

    def _fence(self, run: Run, step: ChangeRecordsStep, epoch: Epoch) -> FenceRecord:
        """What this run leaves in the zone."""
        context = self._context
        return fence_of(
            run,
            owner=context.policy.fleet.name,
            application=step.application,
            epoch=epoch,
            holder=context.ports.identity.holder,
        )

    def _unowned(self, step: ChangeRecordsStep, state: ZoneState) -> Refusal | None:
        if step.adopt or self._context.policy.zone(step.zone).adopt:
            return None
        standing = [replace(change, before=state.find(*_key(change))) for change in step.changes]
        fence = state.fence(step.application)
        strange = not_ours(standing, step.zone, step.application, fence, self._context.owned)
        return not_adopted(step.application, step.zone, strange) if strange else None

    def _timed(
        self, run: Run, step: ChangeRecordsStep, answers: Sequence[ServerAnswer], seconds: float
    ) -> tuple[ServerAnswer, ...]:
        """The answers with each server's lag: when it was first seen to serve the change."""
        seen = self._lags.setdefault((run.id, step.id), {})
        for answer in answers:
            if answer.matches:
                seen.setdefault(answer.server, round(max(0.0, seconds), 3))
        return tuple(replace(answer, lag_s=seen.get(answer.server)) for answer in answers)

    async def _verify(self, run: Run, step: ChangeRecordsStep, zone: DNSZone) -> None:
        """Ask every authoritative server; done when all that answer agree and at least one answers (I15)."""
        context = self._context
        progress = run.steps[step.id]
        answers = await zone.verify([change.after for change in step.changes])
        now = context.now().wall
        answers = self._timed(run, step, answers, (now - progress.since).total_seconds())
        verification = Verification(zone=step.zone, servers=answers, checked_at=now)
        if verification.effective:
            self._lags.pop((run.id, step.id), None)
            note = f"acked={progress.since.isoformat()}"
            await context.append([(run.id, StepDone(step=step.id, note=note, verification=verification))])
            if verification.silent:
                silent = ", ".join(verification.silent)
                listed = any(not item.answered and not item.delegated for item in answers)
                context.tell(
                    "dns.silent", f"zone {step.zone}: no answer from {silent}", page=listed, run=run.id
                )
            return
        waited = (now - could_go_since(run, step)).total_seconds()
        pending = any(item.pending for item in answers)
        if pending and waited > OFFER_AGAIN_AFTER_S and not _made_again(progress):
            await self._make_again(run, step, zone, waited)
        elif waited > VERIFY_DEADLINE_S:
            refusal = _not_served(step, answers, waited, pending=pending)
            await context.append([(run.id, StepFailed(step=step.id, refusal=refusal))])
        else:
            await context.ports.clock.sleep(VERIFY_EVERY_S)

    async def _make_again(self, run: Run, step: ChangeRecordsStep, zone: DNSZone, waited_s: float) -> None:
        """Make a change that the provider accepted and is not done with once more, fenced and journaled like the first."""
        context, state = self._context, await self._read(run, step, zone)
        if state is None:
            return
        if not _as_intended(step, state):
            # Somebody changed it meanwhile: the deadline will tell.
            await context.ports.clock.sleep(VERIFY_EVERY_S)
            return
        sentence = f"zone {step.zone}: the provider accepted the change {waited_s:.0f} s ago and is not done with it: made once more"
        context.tell("dns.stranded", sentence, page=True, run=run.id)
        await self._change(run, step, state, again=True)


def _completed(intent: Intent, effect: Effect) -> list[Entry]:
    """An acknowledged change is not yet a served one: it is verified next."""
    del intent, effect
    return []


def _as_intended(step: ChangeRecordsStep, state: ZoneState) -> bool:
    return all(change.after.same_data(state.find(*_key(change))) for change in step.changes)


def _became(intent: Intent, step: ChangeRecordsStep, state: ZoneState) -> tuple[bool, str]:
    """Whether a change whose answer was lost has landed, and how that is known.

    Its fence travelled in the same atomic change, so the fence tells: equal record sets under another's fence are another's
    work, and our own fence over other record sets says that somebody edited them afterwards.
    """
    change, found = intent.change, state.fence(step.application)
    assert isinstance(change, RecordsChange)
    if not _alters(change.change) and not _as_intended(step, state):
        return False, "read back: what stands was to get a newer fence, and no more"
    if found is None or found.text != FenceRecord.parse(change.change.fence_after.text).text:
        equal = " the records stand as intended, but" if _as_intended(step, state) else ""
        stands = "no fence stands" if found is None else f"the fence is another's ({found.text})"
        return False, f"read back:{equal} {stands}"
    if fence_text(change.change.fence_before) == found.text:
        # An earlier part of the run left the same fence: here the record sets tell, where the change would have altered any.
        if _alters(change.change) and _as_intended(step, state):
            return True, "read back: it had been applied"
        return False, "read back: our fence stood before it, and the records do not show it"
    if not _as_intended(step, state):
        return True, "read back: our fence stands, so it was applied; the records were edited since"
    return True, "read back: it had been applied"


def _is_last_word(run: Run, step: ChangeRecordsStep) -> bool:
    """What is settled as not landed now is not made again: somebody aborts the run, or it was tried often enough."""
    return run.abort is not None or run.steps[step.id].attempts >= ATTEMPTS_MAX


def _alters(change: ZoneChange) -> bool:
    return not all(item.after.same_data(item.before) for item in change.changes)


def _made_again(progress: StepProgress) -> bool:
    """The last change sent was from what stood to the same, over our own fence."""
    intent = progress.intent.change if progress.intent is not None else None
    if not isinstance(intent, RecordsChange):
        return False
    change, before = intent.change, intent.change.fence_before
    return (
        not _alters(change)
        and before is not None
        and before.plan == FenceRecord.parse(change.fence_after.text).plan
    )


def _not_served(
    step: ChangeRecordsStep, answers: Sequence[ServerAnswer], waited_s: float, *, pending: bool
) -> Refusal:
    """Why a change that was acknowledged does not count. Whether one that is still under way will be served is unknown."""
    wrong = tuple(f"{item.server}: {item.detail or 'another answer'}" for item in answers if not item.matches)
    sentence = f"zone {step.zone} is not served as intended after {waited_s:.0f} s: {'; '.join(wrong)}"
    if not pending:
        return Refusal(code="dns-not-effective", sentence=sentence, evidence=wrong)
    sentence += f"; it stands at the provider, and may be served yet: `failover dns verify {step.zone}` tells"
    return Refusal(code="dns-pending", sentence=sentence, evidence=wrong)


def _key(change: RecordChange) -> tuple[str, RecordType]:
    return change.after.name, change.after.record_type


def _stale(step: ChangeRecordsStep, state: ZoneState) -> Refusal | None:
    """The first record set that is neither what the plan saw nor what it wants."""
    for change in step.changes:
        found = state.find(*_key(change))
        if change.after.same_data(found):
            continue
        if _data(change.before) != _data(found):
            return refuse(
                "stale-plan",
                f"{change.after.name} {change.after.record_type} changed since the plan was made",
                f"plan saw {', '.join(_data(change.before)) or 'nothing'}",
                f"now {', '.join(_data(found)) or 'nothing'}",
            )
    return None


def _data(held: RecordSet | None) -> tuple[str, ...]:
    """Values, each with its weight where it has one."""
    if held is None or not held.weights:
        return held.values if held is not None else ()
    return tuple(f"{value} (weight {w})" for value, w in zip(held.values, held.weights, strict=True))
