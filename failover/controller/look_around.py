"""What a removal counts on is asked for just before (I9, I10): it may have died since the last look, and nobody has noticed yet.

Where nobody knows, nothing is counted on. A place (a namespace of a cluster) that does not answer is left alone for longer each
time, and never less than it asked for; what was asked within the last half second is not asked again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from failover.controller.context import Context
from failover.controller.retries import Retries
from failover.execution.situation import CountedOn
from failover.model.errors import TargetError, Unavailable
from failover.model.ids import ClusterName
from failover.model.journal import Run
from failover.model.plan import ScaleStep
from failover.model.policy import WorkloadRef

LOOK_AROUND_S = 5.0
"""What is silent for longer is not counted on."""

FRESH_S = 0.5
LEFT_ALONE_MOST_S = 5.0
"""A removal waits for two minutes at most: what is well again is to be found out about in time."""


class Place(NamedTuple):
    """What is read at once."""

    cluster: ClusterName
    namespace: str


class Answer(NamedTuple):
    """What a place said last: ready replicas; or why nothing, and until when (monotonic) it is left alone."""

    asked_mono: float
    ready: Mapping[WorkloadRef, int]
    silent: str = ""
    until_mono: float = 0.0


class LookAround:
    """Asks what is ready of that which removals count on."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._retries = Retries(most_s=LEFT_ALONE_MOST_S)
        self._answers: dict[Place, Answer] = {}

    async def at(self, run: Run, steps: Iterable[ScaleStep]) -> CountedOn:
        """For every row of the steps' applications that is to run on: how much of it is ready now, or why nobody knows."""
        owners = {step.application for step in steps}
        wanted: dict[Place, list[WorkloadRef]] = defaultdict(list)
        for part in run.plan.applications:
            for row in part.placements if part.application in owners else ():
                if row.after > 0:
                    wanted[Place(row.cluster, row.workload.namespace)].append(row.workload)
        gates = {place.cluster: asyncio.Semaphore(self._parallel()) for place in wanted}
        answers = await asyncio.gather(
            *(self._answer(place, refs, gates[place.cluster]) for place, refs in wanted.items())
        )
        return {
            (place.cluster, ref): answer.silent or answer.ready[ref]
            for (place, refs), answer in zip(wanted.items(), answers, strict=True)
            for ref in refs
        }

    def _parallel(self) -> int:
        return self._context.policy.guards.parallel_per_cluster

    async def _answer(self, place: Place, refs: Sequence[WorkloadRef], gate: asyncio.Semaphore) -> Answer:
        """What was just said, or what is said now."""
        now = self._context.now().mono
        if why := self._unasked(place.cluster):
            return Answer(now, {}, silent=why)
        last = self._answers.get(place)
        if last is not None:
            fresh = now - last.asked_mono < FRESH_S and last.ready.keys() >= set(refs)
            if fresh or (last.silent and now < last.until_mono):
                return last
        self._answers[place] = answer = await self._ask(place, refs, gate)
        return answer

    def _unasked(self, cluster: ClusterName) -> str:
        """Why nothing of this cluster is asked, or would be believed; "" for the others."""
        ports, world = self._context.ports, self._context.world
        if cluster in world.strangers:
            return "its kubeconfig reaches another cluster"
        return "" if cluster in ports.clusters else ports.closed.get(cluster, "it is not open")

    async def _ask(self, place: Place, refs: Sequence[WorkloadRef], gate: asyncio.Semaphore) -> Answer:
        context = self._context
        began = context.now().mono
        error: TargetError
        try:
            async with asyncio.timeout(LOOK_AROUND_S), gate:
                began = context.now().mono
                states = await context.ports.clusters[place.cluster].read_workloads(refs)
        except TimeoutError:
            error = Unavailable(f"no answer within {LOOK_AROUND_S:g} s", target=place.cluster)
        except TargetError as failed:
            error = failed
        except Exception as defect:
            context.tell_defect(defect)
            error = Unavailable(f"{type(defect).__name__}, a defect", target=place.cluster)
        else:
            self._retries.well(str(place))
            context.world.note_workloads(place.cluster, states)
            return Answer(began, {state.ref: state.ready if state.exists else 0 for state in states})
        until = context.now().mono + self._retries.wait_s(str(place), error)
        return Answer(began, {}, silent=str(error) or type(error).__name__, until_mono=until)
