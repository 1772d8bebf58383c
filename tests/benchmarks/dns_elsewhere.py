"""A stand-in of a provider in a process of its own: what it costs to be the provider is no part of what is measured."""

import asyncio
import contextlib
import multiprocessing
from collections.abc import AsyncIterator
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

from failover.dnszones import open_zone
from failover.model.policy import Zone
from failover.model.ports import DNSZone
from tests.benchmarks.dns_places import place

START_S = 60.0


class Elsewhere:
    """The zone at the stand-in over there."""

    def __init__(self, pipe: Connection, zone: Zone) -> None:
        self._pipe = pipe
        self._zone = zone
        self._opened: list[DNSZone] = []

    def open(self, **changed: Any) -> DNSZone:
        """A port to it, with other settings than the zone's."""
        loop = asyncio.get_running_loop()
        self._opened.append(open_zone(replace(self._zone, **changed), mono=loop.time))
        return self._opened[-1]

    async def slow_down(self, pace: dict[str, float]) -> None:
        """From now on its changes take as long as a real provider's."""
        self._pipe.send(pace)
        await asyncio.to_thread(self._pipe.recv)

    async def close(self) -> None:
        for zone in self._opened:
            await zone.close()
        self._pipe.send(None)


@contextlib.asynccontextmanager
async def elsewhere(name: str, **told: object) -> AsyncIterator[Elsewhere]:
    """`route53` or `clouddns`, started. `told`: to the stand-in. Raises RuntimeError where it does not come up."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_run, args=(name, told, theirs), daemon=True
    )
    process.start()
    try:
        if not await asyncio.to_thread(ours.poll, START_S):
            raise RuntimeError(f"the stand-in of {name} did not start")
        world = Elsewhere(ours, ours.recv())
        yield world
        await world.close()
        await asyncio.to_thread(process.join, START_S)
    finally:
        process.kill()


def _run(name: str, told: dict[str, object], pipe: Connection) -> None:
    asyncio.run(_serve(name, told, pipe))


async def _serve(name: str, told: dict[str, object], pipe: Connection) -> None:
    async with place(name, **told) as world:
        pipe.send(world.zone)
        fake = world.fake  # type: ignore[union-attr]
        while (pace := await asyncio.to_thread(pipe.recv)) is not None:
            for key, value in pace.items():
                if key == "behind_s":
                    fake.behind.lag_s = value
                else:
                    setattr(fake, key, value)
            pipe.send("ok")
