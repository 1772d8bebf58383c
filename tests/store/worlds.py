"""A clock that is moved by hand, and the two stores that keep the contract."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from failover.lab.simulation.lives import Life
from failover.lab.simulation.twins import LifeClock, SimStorePort
from failover.lab.simulation.world import World
from failover.lab.twins.store import StoreDisk, TwinStore
from failover.model.journal import PersonSaid
from failover.model.ports import Lease, Store
from failover.model.time import Now
from failover.store.processes import boot_id
from failover.store.sqlite import SQLiteStore

WALL = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DEAD_PROCESS = 2**22 + 1
"""Above the kernel's highest pid: nobody has it."""


@dataclass(slots=True)
class HandClock:
    """Stands still until it is moved. `jump` moves the wall alone."""

    mono: float = 1000.0
    jump: timedelta = field(default_factory=timedelta)

    def now(self) -> Now:
        return Now(mono=self.mono, wall=WALL + timedelta(seconds=self.mono - 1000.0) + self.jump)

    async def sleep(self, seconds: float) -> None:
        self.mono += seconds


@dataclass(slots=True)
class Place:
    """One durable place; `open` is what a process does when it starts, `bury` makes a holder provably dead."""

    clock: HandClock
    open: Callable[[], Awaitable[Store]]
    bury: Callable[[Store, str], Awaitable[None]]
    opened: list[Any] = field(default_factory=list)

    async def store(self) -> Any:
        store = await self.open()
        self.opened.append(store)
        return store

    async def close(self) -> None:
        for store in self.opened:
            await store.close()


def sqlite_place(directory: Path) -> Place:
    clock = HandClock()

    async def bury(store: Store, holder: str) -> None:
        """Its process is one that cannot exist, recorded as if it had been ours."""
        import sqlite3

        connection = sqlite3.connect(directory / "failover.db")
        connection.execute("UPDATE leadership SET process = ? WHERE holder = ?", (DEAD_PROCESS, holder))
        connection.commit()
        connection.close()

    return Place(clock=clock, open=lambda: SQLiteStore.open(directory, clock), bury=bury)


def twin_place(_: Path) -> Place:
    clock, disk = HandClock(), StoreDisk()

    async def opened() -> Store:
        return TwinStore(disk, clock)

    async def bury(store: Store, holder: str) -> None:
        disk.gone.add(holder)

    return Place(clock=clock, open=opened, bury=bury)


def simulated_place(_: Path) -> Place:
    """The port that simulated controllers use, each store a life of its own, in a world without faults (and a running loop)."""
    clock, world = HandClock(), World(1)
    world.clock = clock  # type: ignore[assignment]

    async def opened() -> Store:
        life = Life(holder="controller", clock=LifeClock(clock), paths=world.paths)
        return SimStorePort(world, life)

    async def bury(store: Store, holder: str) -> None:
        world.disk.gone.add(holder)

    return Place(clock=clock, open=opened, bury=bury)


def said(verb: str = "pause") -> PersonSaid:
    return PersonSaid(verb=verb, actor="ada@desk", reason="a test")


async def lead(store: Store, holder: str = "alpha", **more: Any) -> Lease:
    import os

    options = {"boot_id": boot_id(), "process": os.getpid(), "seconds": 15.0, **more}
    return await store.acquire(holder, **options)
