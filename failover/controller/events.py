"""Kubernetes Events on the objects that a run touched: best effort, behind the changes, one at a time a cluster."""

import asyncio
from collections import deque

from failover.controller.context import Context
from failover.model.errors import TargetError
from failover.model.ids import ClusterName
from failover.model.journal import Intent, ScaleChange
from failover.model.permit import Permit

BACKLOG_MAX = 1000
PAUSE_S = 0.02


class EventWriter:
    """Writes what happened to an object where `kubectl describe` shows it. Never holds up a change, never retries."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._waiting: dict[str, deque[tuple[Intent, ScaleChange, Permit]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def put(self, intent: Intent, change: ScaleChange, permit: Permit) -> None:
        """Queue the Event of one change that landed; it goes out under the change's own permit."""
        queue = self._waiting.setdefault(change.cluster, deque(maxlen=BACKLOG_MAX))
        queue.append((intent, change, permit))
        task = self._tasks.get(change.cluster)
        if task is None or task.done():
            self._tasks[change.cluster] = asyncio.ensure_future(self._write(change.cluster))

    async def stop(self) -> None:
        """Drop what waits."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        self._tasks.clear()

    async def _write(self, cluster: str) -> None:
        queue = self._waiting[cluster]
        port = self._context.ports.clusters.get(ClusterName(cluster))
        # The scales of the same run go first: an Event is a courtesy.
        await self._context.ports.clock.sleep(1.0)
        while queue and port is not None:
            intent, change, permit = queue.popleft()
            if not self._context.leadership.acting(self._context.now()):
                return
            message = (
                f"{change.field} {change.before} -> {change.after} by failover (epoch {int(intent.epoch)}, run {intent.run}, "
                f"{intent.actor}): {intent.reason}"
            )
            try:
                await port.record_event(permit, change, message)
            except TargetError as error:
                self._context.tell("event.lost", f"{cluster}: {error}", target=cluster)
                queue.clear()
                return
            await self._context.ports.clock.sleep(PAUSE_S)
