"""What a removal counts on is asked for just before (I9, I10): it may have died since the last look, and nobody has noticed yet.

Where nobody knows, nothing is counted on, nor on an answer that was asked for longer ago than `GOOD_FOR_S`: until the bytes of the
removal go. A place (what an application runs in a namespace of a cluster) that does not answer is left alone for longer each time,
and for as long as it asked for, up to a minute.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from failover.controller.context import Context
from failover.controller.retries import Retries
from failover.execution.situation import Look
from failover.model.errors import TargetError, Throttled, Unavailable
from failover.model.ids import ApplicationName, ClusterName
from failover.model.journal import Run
from failover.model.policy import WorkloadRef

GOOD_FOR_S = 5.0
"""Counted from the question. A cluster that takes longer to answer is not counted on: its probes take it for ill, too."""

SHARED_S = 0.5
"""What was asked so shortly before is not asked again."""

LEFT_ALONE_MOST_S, WISH_MOST_S = 5.0, 60.0
"""By our own back-off, and by a wish of theirs (Retry-After). A removal waits for two minutes at most: what is well again is to be
found out about in time.
"""


class Place(NamedTuple):
    """What is read at once."""

    cluster: ClusterName
    namespace: str
    application: ApplicationName


class Answer(NamedTuple):
    """What a place said last, and when it was asked: ready replicas; or why nothing, and until when it is left alone."""

    asked_mono: float
    ready: Mapping[WorkloadRef, int]
    silent: str = ""
    until_mono: float = 0.0

    def of(self, ref: WorkloadRef) -> int | str:
        return self.silent or self.ready.get(ref, "it was left out of the answer")

    def stands(self, refs: Sequence[WorkloadRef], now: float) -> bool:
        """Whether these need not be asked for again."""
        if self.silent:
            return now < self.until_mono
        return now - self.asked_mono < SHARED_S and self.ready.keys() >= set(refs)


class LookAround:
    """Asks what is ready of that which removals count on."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._retries = Retries(most_s=LEFT_ALONE_MOST_S)
        self._answers: dict[Place, Answer] = {}
        self._left_alone: dict[ClusterName, Answer] = {}
        """Clusters that asked for it (429), or kept us waiting."""

    async def at(self, run: Run, application: ApplicationName) -> Look:
        """For every row of the application that is to run on: how much of it is ready now, or why nobody knows."""
        wanted: dict[Place, list[WorkloadRef]] = defaultdict(list)
        for part in run.plan.applications:
            for row in part.placements if part.application == application else ():
                if row.after > 0:
                    place = Place(row.cluster, row.workload.namespace, application)
                    wanted[place].append(row.workload)
        answers = await self._answers_of(wanted)
        if any(answer.silent for answer in answers):
            answers = await self._answers_of(wanted)  # that took its time, and made the others' answers old
        counted_on = {
            (place.cluster, ref): answer.of(ref)
            for (place, refs), answer in zip(wanted.items(), answers, strict=True)
            for ref in refs
        }
        asked = [answer.asked_mono for answer in answers if not answer.silent]
        return Look(counted_on, min(asked, default=self._now()) + GOOD_FOR_S)

    async def _answers_of(self, wanted: Mapping[Place, Sequence[WorkloadRef]]) -> list[Answer]:
        return await asyncio.gather(*(self._answer(place, refs) for place, refs in wanted.items()))

    def _now(self) -> float:
        return self._context.now().mono

    async def _answer(self, place: Place, refs: Sequence[WorkloadRef]) -> Answer:
        """What was just said, or what is said now."""
        now = self._now()
        if why := self._unasked(place.cluster):
            return Answer(now, {}, silent=why)
        for last in (self._left_alone.get(place.cluster), self._answers.get(place)):
            if last is not None and last.stands(refs, now):
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

    async def _ask(self, place: Place, refs: Sequence[WorkloadRef]) -> Answer:
        asked = self._now()
        error: TargetError
        try:
            async with asyncio.timeout(GOOD_FOR_S):
                states = await self._context.ports.clusters[place.cluster].read_workloads(refs)
        except TimeoutError:
            error = Unavailable(f"no answer within {GOOD_FOR_S:g} s", target=place.cluster)
            as_a_whole = True
        except TargetError as failed:
            error = failed
            as_a_whole = isinstance(failed, Throttled)
        else:
            self._retries.well(str(place))
            self._retries.well(place.cluster)
            self._context.world.note_workloads(place.cluster, states)
            return Answer(asked, {state.ref: state.ready if state.exists else 0 for state in states})
        alone_s = self._retries.wait_s(place.cluster if as_a_whole else str(place), error)
        until = self._now() + min(alone_s, WISH_MOST_S)
        answer = Answer(asked, {}, silent=str(error) or type(error).__name__, until_mono=until)
        if as_a_whole:
            self._left_alone[place.cluster] = answer
        return answer
