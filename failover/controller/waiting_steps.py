"""Steps that wait for a cluster: replicas that become ready, a single writer that is gone.

One read at a time and cluster, and no cluster waits for another's: a target that hangs must not hide that the rest is ready.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from failover.controller.context import Context
from failover.controller.retries import Retries
from failover.execution.machine import Observe, wait_began
from failover.execution.taken_back import other_manager
from failover.model.errors import TargetError
from failover.model.ids import ClusterName, RunId
from failover.model.inventory import WorkloadState
from failover.model.journal import Run, StepDone, StepFailed
from failover.model.plan import ProveGoneStep, ScaleStep, Step, WaitReadyStep
from failover.model.policy import WorkloadRef
from failover.model.reasons import Refusal

POLL_S = 0.2
PAUSE_MAX_S = 2.0
"""What waits must not sleep through the moment at which a target answers again."""
PATIENCE_S = 0.5
"""How long one look waits for the slowest cluster before it goes by what the others say."""
FRESH_S = 5.0
"""How old a state may be, measured from the moment that it was asked for."""

Key = tuple[ClusterName, WorkloadRef]
Ended = StepDone | StepFailed


class WaitingSteps:
    """Watches what a run waits for."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._reading: dict[ClusterName, asyncio.Task[None]] = {}
        self._seen: dict[Key, tuple[float, WorkloadState]] = {}
        self._began: dict[tuple[RunId, Step], float] = {}
        self._retries = Retries(most_s=PAUSE_MAX_S)
        self._not_before: dict[ClusterName, float] = {}

    async def observe(self, run: Run, actions: Sequence[Observe]) -> None:
        """One look at everything that the run waits for."""
        context = self._context
        began = context.now().mono
        for action in actions:
            self._began.setdefault((run.id, action.step), began)
        await self._read(actions, began)
        in_force = {step.id: step for step in context.runs.get(run.id, run).plan.steps}
        events: list[Ended] = []
        for action in actions:
            step = action.step
            states = self._since(self._began[run.id, step])
            if in_force.get(step.id) != step:  # the run was widened while it was read, and waits for more now
                self._began.pop((run.id, step))
                continue
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
            for event in events:
                self._began.pop((run.id, in_force[event.step]), None)
        else:
            await context.ports.clock.sleep(POLL_S)

    async def stop(self) -> None:
        """Cancel what is being read."""
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._reading.clear()

    async def _read(self, actions: Sequence[Observe], began: float) -> None:
        """Have every cluster concerned read, and wait a little for the answers."""
        for cluster, refs in _wanted(actions).items():
            task = self._reading.get(cluster)
            if began < self._not_before.get(cluster, 0.0):
                continue
            if task is None or task.done():
                self._reading[cluster] = asyncio.ensure_future(self._read_cluster(cluster, list(refs)))
        if self._reading:
            await asyncio.wait(self._reading.values(), timeout=PATIENCE_S)
        self._seen = {key: found for key, found in self._seen.items() if found[0] >= began - FRESH_S}

    def _since(self, began: float) -> dict[Key, WorkloadState]:
        """Lately read states that were asked for since a step began to wait; what is absent is unknown, not zero.

        An older one shows the world before the change that the step waits for.
        """
        return {key: state for key, (asked, state) in self._seen.items() if asked >= began}

    async def _read_cluster(self, cluster: ClusterName, refs: Sequence[WorkloadRef]) -> None:
        context = self._context
        port = context.ports.clusters.get(cluster)
        if port is None:
            return
        began = context.now().mono
        try:
            states = await port.read_workloads(refs)
        except TargetError as error:
            context.tell("target.trouble", f"{cluster}: {error}", target=cluster)
            self._not_before[cluster] = context.now().mono + self._retries.wait_s(cluster, error)
            return
        self._retries.well(cluster)
        context.world.note_workloads(cluster, states)
        self._seen.update({(cluster, state.ref): (began, state) for state in states})

    def _ready(self, run: Run, step: WaitReadyStep, states: dict[Key, WorkloadState]) -> Ended | None:
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

    def _gone(self, run: Run, step: ProveGoneStep, states: dict[Key, WorkloadState]) -> Ended | None:
        state = states.get((step.cluster, step.workload))
        if state is not None and state.settled and state.wanted == 0 and state.pods == 0:
            return StepDone(step=step.id, note="no replica is left")
        return self._late(run, step, f"{step.workload} is not proven gone from {step.cluster}")

    def _late(self, run: Run, step: WaitReadyStep | ProveGoneStep, sentence: str) -> Ended | None:
        waited = (self._context.now().wall - wait_began(run, step)).total_seconds()
        if waited <= step.deadline_s:
            return None
        code = "not-ready" if isinstance(step, WaitReadyStep) else "not-gone"
        return StepFailed(
            step=step.id, refusal=Refusal(code=code, sentence=f"{sentence} after {waited:.0f} s")
        )


def _wanted(actions: Sequence[Observe]) -> dict[ClusterName, dict[WorkloadRef, None]]:
    wanted: dict[ClusterName, dict[WorkloadRef, None]] = defaultdict(dict)
    for action in actions:
        if isinstance(action.step, WaitReadyStep):
            for cluster, ref, _ in action.step.targets:
                wanted[cluster][ref] = None
        elif isinstance(action.step, ProveGoneStep):
            wanted[action.step.cluster][action.step.workload] = None
    return wanted


def _taken_back(
    run: Run, cluster: ClusterName, ref: WorkloadRef, state: WorkloadState | None
) -> Refusal | None:
    """Another manager set the number back below what this run had set: named, and never fought over."""
    step = next(
        (
            item
            for item in reversed(run.plan.steps)
            if isinstance(item, ScaleStep)
            and (item.cluster, item.workload) == (cluster, ref)
            and (result := run.steps[item.id].result) is not None
            and result.landed
        ),
        None,
    )
    if state is None or step is None or not state.exists or state.wanted >= step.after:
        return None
    if step.field.value != "replicas" or state.autoscaler is not None:  # what it sets is no manager's will
        return None
    who = other_manager(state.managers)
    sentence = f"{who} set {ref} in {cluster} back to {state.wanted} after this run had set {step.after}"
    return Refusal(code="taken-back", sentence=sentence, evidence=(f"manager={who}",))
