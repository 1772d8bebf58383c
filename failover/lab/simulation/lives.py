"""The processes of controllers in a simulated world."""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from failover.controller.app import Controller
from failover.model.ids import Epoch
from failover.model.telemetry import TelemetryEvent

from . import trace
from .layers import Layers
from .twins import LifeClock

if TYPE_CHECKING:
    from .world import World


@dataclass(eq=False)
class Life:
    """One controller process."""

    holder: str
    clock: LifeClock
    paths: Layers
    """The world's: where controllers run the network may be gone for all of them."""
    controller: Controller | None = None
    task: asyncio.Task[None] | None = None
    born: float = 0.0
    leases: dict[Epoch, float] = field(default_factory=dict)
    """Until when it held each epoch's lease, by the store's word."""
    unplugged: Layers = field(default_factory=Layers)
    """While something lies on it, this one process is cut off."""

    @property
    def cut_off(self) -> bool:
        """Whether this process reaches neither clusters nor names, and no cluster reaches it."""
        return bool(self.unplugged) or self.paths.has("own-network")

    async def gate(self) -> None:
        """Nothing happens in a frozen process."""
        if not self.clock.running.is_set():
            await self.clock.running.wait()

    @property
    def alive(self) -> bool:
        return self.task is not None and not self.task.done()

    @property
    def hears(self) -> bool:
        """Whether what is sent to it arrives."""
        return self.alive and self.clock.running.is_set()


class LifeLog:
    """The telemetry of one life: lines of the world's log."""

    def __init__(self, world: "World", holder: str) -> None:
        self._world, self._holder = world, holder

    def emit(self, event: TelemetryEvent) -> None:
        self._world.say(f"{self._holder} {event.name} {event.sentence}")
        if event.name in ("defect", "verdict.changed"):
            self._world.note(
                trace.Lived(at=self._world.mono, holder=self._holder, what=f"{event.name} {event.sentence}")
            )
