"""Durable intents a second: appends to the SQLite store that are on disk when they return."""

import asyncio
import os
import tempfile
import time
from pathlib import Path

from failover.controller.clock import SystemClock
from failover.model.journal import PersonSaid
from failover.store.processes import boot_id
from failover.store.sqlite import SQLiteStore
from tests.benchmarks.figures import Figure

REPEATED = 5
APPENDS = 500


def measure() -> list[Figure]:
    """Appends one by one."""
    return [
        Figure(
            benchmark="intents",
            what="durable appends, one by one",
            unit="/s",
            limit=1000,
            at_most=False,
            values=tuple(asyncio.run(_once()) for _ in range(REPEATED)),
        )
    ]


async def _once() -> float:
    with tempfile.TemporaryDirectory() as folder:
        store = await SQLiteStore.open(Path(folder), SystemClock())
        lease = await store.acquire("bench", boot_id=boot_id(), process=os.getpid(), seconds=60)
        entry = PersonSaid(verb="bench", actor="bench", reason="x" * 500)
        began = time.perf_counter()
        for _ in range(APPENDS):
            await store.append_batch(lease.epoch, [("", entry)])
        rate = APPENDS / (time.perf_counter() - began)
        await store.close()
        return rate
