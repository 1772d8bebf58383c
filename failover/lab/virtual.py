"""An event loop whose time is virtual: it never blocks, it jumps to the next timer. Same seed, same log.

Source: the 45-line recipe of the reliability facts, 4.2.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from failover.model.time import Now

T = TypeVar("T")
START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class Deadlock(RuntimeError):
    """Every task waits and no timer is set: nothing can ever happen again."""


LOOKS_EVERY = 64
"""Turns of the loop between two looks at its real wake-up pipe, when a timer is set: only other threads and signals use it."""


class _Selector(selectors.BaseSelector):
    """Never blocks: waiting moves the virtual time. Reports the loop's own wake-up pipe like any selector."""

    def __init__(self) -> None:
        self.time = 0.0
        self._turns = 0
        self._real = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._turns += 1
        if timeout is None or self._turns % LOOKS_EVERY == 0:
            ready = self._real.select(0)
            if ready:
                return ready
        if timeout is None:
            raise Deadlock("all tasks wait and no timer is set")
        self.time += max(0.0, timeout)
        return []

    def get_map(self) -> Any:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs as fast as its callbacks; `time()` is virtual."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._virtual.time


class VirtualClock:
    """The Clock port on a virtual loop. `wall_offset` may be moved to make the wall clock jump."""

    def __init__(self, start: datetime = START) -> None:
        self._start = start
        self.wall_offset = timedelta()
        self._latest: tuple[float, timedelta, Now] | None = None

    def now(self) -> Now:
        mono, latest = asyncio.get_running_loop().time(), self._latest
        if latest is not None and latest[0] == mono and latest[1] is self.wall_offset:
            return latest[2]
        now = Now(mono=mono, wall=self._start + timedelta(seconds=mono) + self.wall_offset)
        self._latest = (mono, self.wall_offset, now)
        return now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
