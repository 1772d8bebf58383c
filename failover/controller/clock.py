"""The machine's clocks behind the Clock port, and the Compute port's two ways to run."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

from failover.model.time import Now

T = TypeVar("T")

NEVER_STOPS = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux's monotonic clock stands still while the machine is suspended: after ten minutes of that, evidence would look fresh
and a lease held. Where there is no better one it has to do.
"""


class SystemClock:
    """Monotonic time of this machine, which counts while it is suspended, and wall time."""

    def now(self) -> Now:
        return Now(mono=time.clock_gettime(NEVER_STOPS), wall=datetime.now(UTC))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class InlineCompute:
    """Runs a pure function where it stands: for small fleets, commands and the simulation."""

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        return function(*arguments)


class PoolCompute:
    """Runs a pure function in another process, so that probes and the lease never wait for a big plan."""

    def __init__(self, workers: int = 1) -> None:
        self._pool = ProcessPoolExecutor(max_workers=workers)

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, function, *arguments)

    def close(self) -> None:
        """Stop the worker; a plan under way is dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)
