"""Steps that wait for a cluster: replicas that become ready, a single writer that is gone. One read a cluster and round."""

from collections import defaultdict
from collections.abc import Sequence

from failover.controller.context import Context
from failover.execution.machine import Observe, wait_began
from failover.model.errors import TargetError
from failover.model.ids import ClusterName
from failover.model.inventory import WorkloadState
from failover.model.journal import Entry, Run, StepDone, StepFailed
from failover.model.plan import ProveGoneStep, ScaleStep, WaitReadyStep
from failover.model.policy import WorkloadRef
from failover.model.reasons import Refusal

POLL_S = 0.2

Key = tuple[ClusterName, WorkloadRef]


class WaitingSteps:
    """Watches what a run waits for."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def observe(self, run: Run, actions: Sequence[Observe]) -> None:
        """One look at everything that the run waits for."""
        context = self._context
        states = await self._read(actions)
        events: list[Entry] = []
        for action in actions:
            step = action.step
            if isinstance(step, WaitReadyStep):
                event = self._ready(run, step, states)
            elif isinstance(step, ProveGoneStep):
                event = self._gone(run, step, states)
            else:
                continue
            if event is not None:
                events.append(event)
        if events:
            await context.append([(run.id, event) for event in events])
        else:
            await context.ports.clock.sleep(POLL_S)

    async def _read(self, actions: Sequence[Observe]) -> dict[Key, WorkloadState]:
        """States of all workloads concerned; a cluster that cannot be read is absent (unknown, not zero)."""
        wanted: dict[ClusterName, dict[WorkloadRef, None]] = defaultdict(dict)
        for action in actions:
            if isinstance(action.step, WaitReadyStep):
                for cluster, ref, _ in action.step.targets:
                    wanted[cluster][ref] = None
            elif isinstance(action.step, ProveGoneStep):
                wanted[action.step.cluster][action.step.workload] = None
        found: dict[Key, WorkloadState] = {}
        for cluster, refs in wanted.items():
            port = self._context.ports.clusters.get(cluster)
            if port is None:
                continue
            try:
                states = await port.read_workloads(list(refs))
            except TargetError as error:
                self._context.tell("target.trouble", f"{cluster}: {error}", target=cluster)
                continue
            self._context.world.note_workloads(cluster, states)
            found.update({(cluster, state.ref): state for state in states})
        return found

    def _ready(self, run: Run, step: WaitReadyStep, states: dict[Key, WorkloadState]) -> Entry | None:
        for cluster, ref, _ in step.targets:
            taken_back = _taken_back(run, cluster, ref, states.get((cluster, ref)))
            if taken_back is not None:
                return StepFailed(step=step.id, refusal=taken_back)
        wanted = sum(count for _, _, count in step.targets)
        ready = sum(
            min(state.ready, count)
            for cluster, ref, count in step.targets
            if (state := states.get((cluster, ref))) is not None and state.settled
        )
        if ready * 100 >= wanted * step.share:
            return StepDone(step=step.id, note=f"{ready} of {wanted} ready")
        return self._late(run, step, f"{ready} of {wanted} replicas are ready")

    def _gone(self, run: Run, step: ProveGoneStep, states: dict[Key, WorkloadState]) -> Entry | None:
        state = states.get((step.cluster, step.workload))
        if state is not None and state.settled and state.wanted == 0 and state.pods == 0:
            return StepDone(step=step.id, note="no replica is left")
        return self._late(run, step, f"{step.workload} is not proven gone from {step.cluster}")

    def _late(self, run: Run, step: WaitReadyStep | ProveGoneStep, sentence: str) -> Entry | None:
        waited = (self._context.now().wall - wait_began(run, step)).total_seconds()
        if waited <= step.deadline_s:
            return None
        code = "not-ready" if isinstance(step, WaitReadyStep) else "not-gone"
        return StepFailed(
            step=step.id, refusal=Refusal(code=code, sentence=f"{sentence} after {waited:.0f} s")
        )


def _taken_back(
    run: Run, cluster: ClusterName, ref: WorkloadRef, state: WorkloadState | None
) -> Refusal | None:
    """Another manager set the number back below what this run had set: named, and never fought over."""
    step = next(
        (
            item
            for item in run.plan.steps
            if isinstance(item, ScaleStep) and (item.cluster, item.workload) == (cluster, ref)
        ),
        None,
    )
    if state is None or step is None or step.field.value != "replicas" or not state.exists:
        return None
    progress = run.steps[step.id]
    if progress.result is None or not progress.result.landed or state.wanted >= step.after:
        return None
    others = [name for name in state.managers if not name.startswith("failover-e")]
    who = others[-1] if others else "another manager"
    sentence = f"{who} set {ref} in {cluster} back to {state.wanted} after this run had set {step.after}"
    return Refusal(code="taken-back", sentence=sentence, evidence=(f"manager={who}",))
