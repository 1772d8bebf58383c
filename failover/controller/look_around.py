"""What a removal counts on is asked for just before (I9, I10): it may have died since the last look, and nobody has noticed yet.

Where nobody knows, nothing is counted on. A place (what an application runs in a namespace of a cluster) that does not answer is left
alone for longer each time, and never less than it asked for; what answered within the last half second is not asked again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from failover.controller.context import Context
from failover.controller.retries import Retries
from failover.execution.situation import CountedOn
from failover.model.errors import TargetError, Throttled, Unavailable
from failover.model.ids import ApplicationName, ClusterName
from failover.model.journal import Run
from failover.model.policy import WorkloadRef

LOOK_AROUND_S = 10.0
"""What is silent for longer is not counted on. As long as one request may take (`kube.transport`)."""

FRESH_S, TOO_OLD_S = 0.5, 2.0
"""What is not asked again, and what is not gone by any more."""

LOOKS_MOST = 3
"""So often those that answered at once are asked again while others are slow: theirs is the older answer then."""

LEFT_ALONE_MOST_S = 5.0
"""A removal waits for two minutes at most: what is well again is to be found out about in time."""


class Place(NamedTuple):
    """What is read at once."""

    cluster: ClusterName
    namespace: str
    application: ApplicationName


class Answer(NamedTuple):
    """What a place said last, and when: ready replicas; or why nothing, and until when it is left alone (monotonic)."""

    at_mono: float
    ready: Mapping[WorkloadRef, int]
    silent: str = ""
    until_mono: float = 0.0

    def of(self, ref: WorkloadRef) -> int | str:
        return self.silent or self.ready.get(ref, "it was left out of the answer")

    def holds(self, now: float, most_s: float) -> bool:
        return now < self.until_mono if self.silent else now - self.at_mono < most_s


class LookAround:
    """Asks what is ready of that which removals count on."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._retries = Retries(most_s=LEFT_ALONE_MOST_S)
        self._answers: dict[Place, Answer] = {}
        self._left_alone: dict[ClusterName, Answer] = {}
        """Clusters that asked for it (429), or kept us waiting."""
        self._gates: dict[tuple[ClusterName, int], asyncio.Semaphore] = {}

    async def at(self, run: Run, application: ApplicationName) -> CountedOn:
        """For every row of the application that is to run on: how much of it is ready now, or why nobody knows."""
        wanted: dict[Place, list[WorkloadRef]] = defaultdict(list)
        for part in run.plan.applications:
            for row in part.placements if part.application == application else ():
                if row.after > 0:
                    place = Place(row.cluster, row.workload.namespace, application)
                    wanted[place].append(row.workload)
        answers: dict[Place, Answer] = {}
        for _ in range(LOOKS_MOST):
            found = await asyncio.gather(*(self._answer(place, refs) for place, refs in wanted.items()))
            answers = dict(zip(wanted, found, strict=True))
            now = self._context.now().mono
            late = {
                place
                for place, answer in answers.items()
                if not answer.silent and not answer.holds(now, TOO_OLD_S)
            }
            if not late:
                break
        return {
            (place.cluster, ref): "its answer is too old" if place in late else answers[place].of(ref)
            for place, refs in wanted.items()
            for ref in refs
        }

    async def _answer(self, place: Place, refs: Sequence[WorkloadRef]) -> Answer:
        """What was just said, or what is said now."""
        now = self._context.now().mono
        if why := self._unasked(place.cluster):
            return Answer(now, {}, silent=why)
        for last in (self._left_alone.get(place.cluster), self._answers.get(place)):
            if (
                last is not None
                and last.holds(now, FRESH_S)
                and (last.silent or last.ready.keys() >= set(refs))
            ):
                return last
        self._answers[place] = answer = await self._ask(place, refs)
        return answer

    def _unasked(self, cluster: ClusterName) -> str:
        """Why nothing of this cluster is asked, or would be believed or counted; "" for the others."""
        ports, world = self._context.ports, self._context.world
        verdict = self._context.judgement.of_cluster(cluster)
        if verdict is None or not verdict.kind.serves:
            return "it does not serve"
        if cluster in world.strangers:
            return "its kubeconfig reaches another cluster"
        return "" if cluster in ports.clusters else ports.closed.get(cluster, "it is not open")

    def _gate(self, cluster: ClusterName) -> asyncio.Semaphore:
        """Removals of many applications ask one cluster no more at once than changes may go there."""
        most = self._context.policy.guards.parallel_per_cluster
        return self._gates.setdefault((cluster, most), asyncio.Semaphore(most))

    async def _ask(self, place: Place, refs: Sequence[WorkloadRef]) -> Answer:
        context = self._context
        error: TargetError
        as_a_whole = False
        try:
            async with self._gate(place.cluster), asyncio.timeout(LOOK_AROUND_S):
                states = await context.ports.clusters[place.cluster].read_workloads(refs)
        except TimeoutError:
            as_a_whole = True
            error = Unavailable(f"no answer within {LOOK_AROUND_S:g} s", target=place.cluster)
        except TargetError as failed:
            as_a_whole = isinstance(failed, Throttled)
            error = failed
        else:
            self._retries.well(str(place))
            self._retries.well(place.cluster)
            context.world.note_workloads(place.cluster, states)
            ready = {state.ref: state.ready if state.exists else 0 for state in states}
            return Answer(context.now().mono, ready)
        now = context.now().mono
        until = now + self._retries.wait_s(place.cluster if as_a_whole else str(place), error)
        answer = Answer(now, {}, silent=str(error) or type(error).__name__, until_mono=until)
        if as_a_whole:
            self._left_alone[place.cluster] = answer
        return answer
