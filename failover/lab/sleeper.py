"""The shipped controller, put to sleep in the one moment that no lease guards: its permits were looked at, the bytes go next.

`python -m failover.lab.sleeper FILE run …`: at the first change of record sets its process stops (SIGSTOP) with one change
of every zone about to leave; FILE then exists. SIGCONT wakes it, and all of them are sent. No look at a lease or a permit
comes after that: what refuses them is the fence in each zone, or nothing. What became of each is a line of FILE.
"""

import asyncio
import json
import os
import runpy
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from failover.controller import wiring
from failover.model.permit import Permit
from failover.model.ports import DNSZone
from failover.model.records import ZoneChange

STOPS_WITHIN_S = 0.5
"""A stop takes effect within the next instructions."""

LOOK_EVERY_S = 0.01
STORE_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrowsyPermit(Permit):
    """A permit whose holder falls asleep after it looked whether it is still good."""

    then: Callable[[], None]

    def still_good(self, now_mono: float) -> bool:
        good = Permit.still_good(self, now_mono)
        if good:
            self.then()
        return good


class Sleep:
    """One sleep of the whole process, once a change of each zone is about to leave.

    Zones behind an HTTP API send from threads of their own: each waits there. The one that sends from the event loop comes
    last, for nothing else goes on while it stands still.
    """

    _loop: asyncio.AbstractEventLoop

    def __init__(self, file: Path) -> None:
        self._file = file
        self._writer: Executor | None = None
        self._sent: set[asyncio.Task[None]] = set()
        self._awake = threading.Event()
        self._rest_waits = asyncio.Event()
        self._waiting: set[str] = set()
        self._threaded: set[str] = set()

    def spare(self, store: Any) -> None:
        """Nothing of the store's is to be half written while we sleep: its lock would keep every other controller out, and that
        would be another story than this one.
        """
        self._writer = store._writing  # its one thread that writes

    def _finish_writing(self) -> None:
        if self._writer is None:
            return
        idle = threading.Event()

        def hold() -> None:
            idle.set()
            self._awake.wait()

        self._writer.submit(hold)
        idle.wait(STORE_WITHIN_S)

    def watch(self, zone: DNSZone) -> None:
        """Let the zone's changes come into it."""
        change, name = zone.change, str(zone.name)
        threaded = zone.capabilities.provider != "rfc2136"
        if threaded:
            self._threaded.add(name)

        async def changing(permit: Permit, wanted: ZoneChange) -> None:
            self._loop = asyncio.get_running_loop()
            if not threaded and self._threaded:
                await self._rest_waits.wait()
            slept: list[bool] = []
            given = {item.name: getattr(permit, item.name) for item in fields(permit)}
            drowsy = DrowsyPermit(**given, then=lambda: slept.append(self._come(name, threaded)))
            task = asyncio.ensure_future(change(drowsy, wanted))
            self._sent.add(task)
            task.add_done_callback(lambda done: self._note(name, done, asleep=any(slept)))
            # Whoever learns that it lost the lease stops waiting: what became of the change is noted all the same.
            await asyncio.shield(task)

        zone.change = changing  # type: ignore[method-assign, assignment]

    def _note(self, name: str, done: "asyncio.Task[None]", *, asleep: bool) -> None:
        """What became of a change that slept."""
        self._sent.discard(done)
        if not asleep:
            return
        error = None if done.cancelled() else done.exception()
        outcome = (
            type(error).__name__ if error is not None else "cancelled" if done.cancelled() else "applied"
        )
        with self._file.open("a") as out:
            out.write(json.dumps({"zone": name, "outcome": outcome, "sentence": str(error or "")}) + "\n")

    def _waits(self, name: str) -> None:
        self._waiting.add(name)
        if self._waiting >= self._threaded:
            self._rest_waits.set()

    def _come(self, name: str, threaded: bool) -> bool:
        """Sleep with the others; False where everybody is awake already."""
        if self._awake.is_set():
            return False
        if threaded:
            self._loop.call_soon_threadsafe(self._waits, name)
            self._awake.wait()
            return True
        self._finish_writing()
        self._file.touch()
        asleep_at = time.monotonic()
        os.kill(os.getpid(), signal.SIGSTOP)
        while time.monotonic() - asleep_at < STOPS_WITHIN_S:
            time.sleep(LOOK_EVERY_S)
        self._awake.set()
        return True


def outcomes_in(file: Path) -> dict[str, tuple[str, str]]:
    """By zone: (name of the error, or `applied`; its sentence) of what left when the sleeper woke."""
    if not file.exists():
        return {}
    told = [json.loads(line) for line in file.read_text().splitlines()]
    return {item["zone"]: (item["outcome"], item["sentence"]) for item in told}


def main() -> None:
    """Watch what is opened, then become the shipped program."""
    _, file, *arguments = sys.argv
    sleep, real = Sleep(Path(file)), wiring.open_ports

    async def open_ports(*given: Any, **named: Any) -> wiring.OpenPorts:
        opened = await real(*given, **named)
        sleep.spare(opened.ports.store)
        for zone in opened.ports.zones.values():
            sleep.watch(zone)
        return opened

    wiring.open_ports = open_ports
    sys.argv = ["failover", *arguments]
    runpy.run_module("failover", run_name="__main__")


if __name__ == "__main__":
    main()
