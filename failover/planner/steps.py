"""Building steps. Ids say what a step does, so that a widened plan names the same effect by the same id."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from failover.model.codec import digest
from failover.model.ids import ApplicationName, ClusterName, StepId, ZoneName
from failover.model.inventory import WorkloadState
from failover.model.parts import in_parts
from failover.model.plan import (
    ChangeRecordsStep,
    Phase,
    ProveGoneStep,
    ScaleField,
    ScaleStep,
    Shed,
    Step,
    WaitReadyStep,
    WaitStep,
)
from failover.model.policy import WorkloadRef
from failover.model.records import CAPABILITIES, RecordChange
from failover.planner.world import World, absolute

WAIT_MARGIN_S = 5.0
"""Added to the old TTL before a drained source is taken away: resolvers count from their own answer (I15)."""

ReadyTarget = tuple[ClusterName, WorkloadRef, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """Steps of one application."""

    application: ApplicationName

    def scale(
        self,
        cluster: ClusterName,
        workload: WorkloadRef,
        *,
        before: int,
        after: int,
        phase: Phase,
        needs: Iterable[StepId] = (),
        reason: str,
    ) -> ScaleStep:
        """Set `replicas`."""
        return ScaleStep(
            id=StepId(f"scale:{self.application}:{cluster}:{_text(workload)}:{after}"),
            application=self.application,
            phase=phase,
            cluster=cluster,
            workload=workload,
            before=before,
            after=after,
            needs=tuple(needs),
            reason=reason,
        )

    def shed(self, shed: Shed, *, needs: Iterable[StepId] = (), reason: str) -> ScaleStep:
        """Take replicas of another application away. The id names no number: it stays where another's shed falls away."""
        return ScaleStep(
            id=StepId(f"shed:{self.application}:{shed.cluster}:{_text(shed.workload)}:all"),
            application=self.application,
            phase=Phase.SHED,
            cluster=shed.cluster,
            workload=shed.workload,
            before=shed.before,
            after=shed.after,
            owner=shed.owner,
            needs=tuple(needs),
            reason=reason,
        )

    def give_back(self, shed: Shed, *, needs: Iterable[StepId] = (), reason: str) -> ScaleStep:
        """Give replicas of another application back."""
        return ScaleStep(
            id=StepId(f"regain:{self.application}:{shed.cluster}:{_text(shed.workload)}:{shed.after}"),
            application=self.application,
            phase=Phase.RELEASE,
            cluster=shed.cluster,
            workload=shed.workload,
            before=shed.before,
            after=shed.after,
            owner=shed.owner,
            needs=tuple(needs),
            reason=reason,
        )

    def scale_minimum(
        self,
        cluster: ClusterName,
        state: WorkloadState,
        *,
        after: int,
        phase: Phase,
        needs: Iterable[StepId] = (),
        reason: str,
    ) -> ScaleStep:
        """Set `minReplicas` of the workload's autoscaler, and `maxReplicas` where it is lower."""
        autoscaler = state.autoscaler
        assert autoscaler is not None, "the caller looked"
        return ScaleStep(
            id=StepId(f"scale-min:{self.application}:{cluster}:{_text(state.ref)}:{after}"),
            application=self.application,
            phase=phase,
            cluster=cluster,
            workload=state.ref,
            field=ScaleField.AUTOSCALER_MIN,
            before=autoscaler.min_replicas,
            after=after,
            autoscaler=autoscaler.name,
            autoscaler_max=after if autoscaler.max_replicas < after else None,
            needs=tuple(needs),
            reason=reason,
        )

    def grow(
        self,
        cluster: ClusterName,
        state: WorkloadState,
        *,
        after: int,
        needs: Iterable[StepId] = (),
        reason: str,
    ) -> tuple[ScaleStep, ...]:
        """Bring a workload up to `after` replicas, by its autoscaler's minimum where one owns it.

        An autoscaler sleeps while its workload has 0 replicas: then the minimum first, and the replicas wake it.
        """
        needs = tuple(needs)
        if state.autoscaler is None:
            return (
                self.scale(
                    cluster,
                    state.ref,
                    before=state.wanted,
                    after=after,
                    phase=Phase.CAPACITY,
                    needs=needs,
                    reason=reason,
                ),
            )
        owner = f"horizontalpodautoscaler/{state.ref.namespace}/{state.autoscaler.name}"
        why = f"{reason}; {owner} owns the replicas, so its minReplicas moves instead"
        steps: list[ScaleStep] = []
        if state.autoscaler.min_replicas < after:
            steps.append(
                self.scale_minimum(cluster, state, after=after, phase=Phase.CAPACITY, needs=needs, reason=why)
            )
        if state.wanted == 0 or not steps:
            steps.append(
                self.scale(
                    cluster,
                    state.ref,
                    before=state.wanted,
                    after=after,
                    phase=Phase.CAPACITY,
                    needs=(*needs, *(step.id for step in steps)),
                    reason=f"{reason}; {owner} sleeps at 0 replicas and takes over from there"
                    if state.wanted == 0
                    else reason,
                )
            )
        return tuple(steps)

    def wait_ready(
        self,
        name: str,
        targets: Sequence[ReadyTarget],
        *,
        share: int = 100,
        phase: Phase = Phase.CAPACITY,
        needs: Iterable[StepId] = (),
        reason: str,
    ) -> WaitReadyStep:
        """Wait for `share` percent of the sum of the targets. `name`: tells the waits of one application apart.

        Ready counts come and go; they are no part of the id, and so none of the plan's hash.
        """
        rows = tuple(sorted(targets, key=lambda row: (row[0], str(row[1]))))
        return WaitReadyStep(
            id=StepId(f"ready:{self.application}:{name}"),
            application=self.application,
            phase=phase,
            targets=rows,
            share=share,
            needs=tuple(needs),
            reason=reason,
        )

    def change_records(
        self,
        world: World,
        zone: ZoneName,
        changes: tuple[RecordChange, ...],
        *,
        traffic_percent: int | None = None,
        needs: Iterable[StepId] = (),
        reason: str,
        adopt: bool = False,
    ) -> ChangeRecordsStep:
        """One atomic change of all of the application's names in a zone."""
        return ChangeRecordsStep(
            id=StepId(f"records:{self.application}:{zone}:{_short([change.after for change in changes])}"),
            application=self.application,
            phase=Phase.DNS_CHANGE,
            zone=zone,
            changes=changes,
            traffic_percent=traffic_percent,
            needs=tuple(needs),
            reason=reason,
            adopt=adopt,
            patience_s=world.policy.zone(zone).patience_s,
        )

    def change_records_in_parts(
        self,
        world: World,
        zone: ZoneName,
        changes: tuple[RecordChange, ...],
        *,
        traffic_percent: int | None = None,
        needs: Iterable[StepId] = (),
        reason: str,
        adopt: bool = False,
    ) -> tuple[ChangeRecordsStep, ...]:
        """One atomic change where the zone's provider can hold it, else several one after another, removals last."""
        entry = world.policy.zone(zone)
        parts = in_parts(changes, CAPABILITIES[entry.provider], absolute(entry.apex))
        steps: list[ChangeRecordsStep] = []
        for number, part in enumerate(parts, start=1):
            counted = f" (part {number} of {len(parts)}: one atomic change cannot hold it)"
            steps.append(
                self.change_records(
                    world,
                    zone,
                    part,
                    traffic_percent=traffic_percent,
                    needs=(*needs, *ids(steps[-1:])),
                    reason=reason + (counted if len(parts) > 1 else ""),
                    adopt=adopt,
                )
            )
        return tuple(steps)

    def wait(self, seconds: float, *, needs: Iterable[StepId], reason: str) -> WaitStep:
        """Wait after everything that it needs is done."""
        needs = tuple(needs)
        return WaitStep(
            id=StepId(f"wait:{self.application}:{seconds:g}:{_short(needs)}"),
            application=self.application,
            phase=Phase.DNS_EFFECTIVE,
            seconds=seconds,
            needs=needs,
            reason=reason,
        )

    def prove_gone(
        self, cluster: ClusterName, workload: WorkloadRef, *, needs: Iterable[StepId], reason: str
    ) -> ProveGoneStep:
        """Wait until no replica is left there."""
        return ProveGoneStep(
            id=StepId(f"gone:{self.application}:{cluster}:{_text(workload)}"),
            application=self.application,
            phase=Phase.CAPACITY,
            cluster=cluster,
            workload=workload,
            needs=tuple(needs),
            reason=reason,
        )


def ids(steps: Iterable[Step]) -> tuple[StepId, ...]:
    """The steps' ids, in order."""
    return tuple(step.id for step in steps)


def old_ttl_s(changes: Iterable[RecordChange]) -> float:
    """How long a resolver may still hold what was there before: the longest of the old TTLs, in seconds."""
    return float(max((change.before.ttl for change in changes if change.before is not None), default=0))


def _text(workload: WorkloadRef) -> str:
    return str(workload).replace("/", ".")


def _short(value: object) -> str:
    return digest(value)[:10]
