"""Sends one permitted change through its port and says what is known of it afterwards. Unknown stays unknown (I19)."""

from dataclasses import dataclass

from failover.controller.context import Context
from failover.model.errors import (
    Conflict,
    FencedOff,
    LocalFault,
    NotFound,
    OutcomeUnknown,
    Rejected,
    TargetError,
    Throttled,
    Unavailable,
)
from failover.model.ids import ClusterName, ZoneName
from failover.model.inventory import WorkloadState
from failover.model.journal import EffectResult, Intent, RaiseFence, RecordsChange, ScaleChange
from failover.model.permit import Permit


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What became of an intent. `retry_after_s`: the target's wish. `state`: the workload as the answer showed it; `permit`: what it was sent under."""

    result: EffectResult
    detail: str = ""
    after: str = ""
    retry_after_s: float | None = None
    state: WorkloadState | None = None
    permit: Permit | None = None


async def send(context: Context, intent: Intent, permit: Permit) -> Effect:
    """Carry out one change. Never raises for what the target says."""
    change = intent.change
    try:
        if isinstance(change, ScaleChange):
            cluster = context.ports.clusters.get(ClusterName(change.cluster))
            if cluster is None:
                return _not_open(change.cluster)
            context.changes.note(change.cluster, context.now().mono)
            state = await cluster.scale(permit, change)
            context.world.note_workloads(ClusterName(change.cluster), [state])
            return Effect(result=EffectResult.APPLIED, after=f"replicas={change.after}", state=state)
        if isinstance(change, RaiseFence):
            cluster = context.ports.clusters.get(ClusterName(change.cluster))
            if cluster is None:
                return _not_open(change.cluster)
            await cluster.raise_fence(permit, change)
            return Effect(result=EffectResult.APPLIED, after=f"epoch={change.epoch}")
        zone = context.ports.zones.get(ZoneName(change.change.zone))
        if zone is None:
            return _not_open(change.change.zone)
        context.changes.note(change.target, context.now().mono)
        await zone.change(permit, change.change)
        return Effect(result=EffectResult.APPLIED, after=_records_text(change))
    except TargetError as error:
        return effect_of(error)


def _not_open(target: str) -> Effect:
    return Effect(result=EffectResult.UNAVAILABLE, detail=f"{target} is not open; nothing was sent")


def effect_of(error: TargetError) -> Effect:
    """The result that an adapter's error stands for."""
    retry = error.retry_after_s if isinstance(error, Throttled) else None
    return Effect(result=_result_of(error), detail=str(error)[:500], retry_after_s=retry)


def _result_of(error: TargetError) -> EffectResult:
    table: tuple[tuple[type[TargetError], EffectResult], ...] = (
        (OutcomeUnknown, EffectResult.UNKNOWN),
        (Conflict, EffectResult.CONFLICT),
        (FencedOff, EffectResult.FENCED),
        (Throttled, EffectResult.THROTTLED),
        (Rejected, EffectResult.REJECTED),
        (NotFound, EffectResult.REJECTED),
        (LocalFault, EffectResult.UNAVAILABLE),
        (Unavailable, EffectResult.UNAVAILABLE),
    )
    for kind, result in table:
        if isinstance(error, kind):
            return result
    return EffectResult.UNKNOWN


def _records_text(change: RecordsChange) -> str:
    return "; ".join(
        f"{item.after.name} {item.after.record_type} {','.join(item.after.values)}"
        for item in change.change.changes
    )
