"""One cycle in a lab: a region is lost, its applications move, it returns, a person fails back; a controller dies at one point.

Whatever the point, both ends must be the worlds of a cycle without a crash: moved, and home again. Only the controllers are
started anew from cycle to cycle; regions, name servers and vantages go on.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from failover.controller.clock import SystemClock
from failover.lab.faults import switch
from failover.lab.truth import check_home, check_moved
from failover.store.reader import NoStore, StatusReader
from failover.store.sqlite import SQLiteStore
from tests.crashpoints.points import Trace
from tests.crashpoints.world import CLUSTER, VICTIM, CrashLab

WITHIN_S = 180.0
MORE_A_STRIKE_S = 20.0
SETTLED_WITHIN_S = 10.0
STATUS_AGE_MAX_S = 2.5
ASK_AGAIN_S = 4.0
LOOK_EVERY_S = 0.1
OPEN = ("running", "halted", "awaiting-approval")


class Differs(AssertionError):
    """The world after a crash is not the world without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """Where, and how: `kill` and start anew, `standby`: kill with a second controller waiting, or `stop` past the lease."""

    points: tuple[str, ...] = ()
    variant: str = "kill"
    repeat: int = 1

    @property
    def blow(self) -> str:
        return "stop" if self.variant == "stop" else "kill"

    @property
    def second(self) -> bool:
        return self.variant in ("stop", "standby")


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a cycle showed. `struck`: points that were reached; `woke`: frozen ones that went on; `sends`: what came of
    what a woken controller sent; `wrong`: how the world differs.
    """

    strike: Strike
    struck: tuple[str, ...] = ()
    woke: tuple[str, ...] = ()
    sends: tuple[str, ...] = ()
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Cycle:
    """A lab whose controllers are watched."""

    def __init__(self, lab: CrashLab) -> None:
        self.lab = lab
        self.trace = Trace(lab.folder / "points")
        self._strike = Strike()
        self._reader: StatusReader | None = None

    def play(self, strike: Strike) -> Outcome:
        """Lose the region and fail back, once."""
        began, self._strike = time.monotonic(), strike
        self.trace.path.unlink(missing_ok=True)
        wrong: list[str] = []
        try:
            self._start()
            wrong += self._lose()
            wrong += self._settled("moved", lambda: check_moved(self.lab, [CLUSTER]))
            if self._wake():
                wrong += self._settled("moved, woken", lambda: check_moved(self.lab, [CLUSTER]))
            wrong += self._fail_back()
            wrong += self._settled("home", lambda: check_home(self.lab))
            if self._wake():
                wrong += self._settled("home, woken", lambda: check_home(self.lab))
        except Differs as error:
            wrong.append(str(error))
        for name in self.lab.ports:
            self.lab.end_controller(name)
        self._close_reader()
        wrong += self._audit()
        return Outcome(
            strike=strike,
            struck=tuple(self.trace.told("STRIKE")),
            woke=tuple(self.trace.told("WOKE")),
            sends=tuple(self.trace.told("OUTCOME")),
            wrong=wrong,
            seconds=time.monotonic() - began,
        )

    # -- the stages ----------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._launch("first", self._strike.points)
        if self._strike.second:
            self._until(lambda: self._leads("first"), "the first controller leads")
            self._launch("second", () if self._strike.blow == "stop" else self._strike.points)
        self._until(self._healthy, "all is well before the loss")

    def _lose(self) -> list[str]:
        head = self._head()
        switch(self.lab, "region", VICTIM, on=True)

        def moves() -> dict[str, str]:
            return {**self._ends(head, "evacuation"), **self._ends(head, "steering")}

        self._until(lambda: _over(moves()), "the region's applications have moved")
        return _unfinished(moves())

    def _fail_back(self) -> list[str]:
        switch(self.lab, "region", VICTIM, on=False)
        self._until(self._healthy, "the region is back and healthy")
        head, asked = self._head(), 0.0

        def over() -> bool:
            nonlocal asked
            ends = self._ends(head, "failback")
            # Nobody took the command, it was refused (not stable for a second yet), or it was lost with its taker.
            if not ends and time.monotonic() - asked > ASK_AGAIN_S:
                code = self.lab.command(
                    "failback", f"region/{VICTIM}", "--yes", "--no-wait", "--reason", "a cycle"
                )
                asked = time.monotonic() if code == 0 else time.monotonic() - ASK_AGAIN_S + 0.5
            return _over(ends)

        self._until(over, "the region has got back what it had")
        return _unfinished(self._ends(head, "failback"))

    def _wake(self) -> bool:
        """Let the frozen controller go on, once another has finished what it began, and leads. True if it was frozen till now."""
        if self._strike.blow != "stop" or len(self.trace.told("WOKE")) == len(self.trace.told("STRIKE")):
            return False
        sleeper = self.lab.running["first"].pid
        self._until(lambda: self._acting() not in (0, sleeper), "another controller leads")
        os.kill(self.lab.running["first"].pid, signal.SIGCONT)
        self._until(lambda: self.trace.told("OUTCOME"), "the woken controller has tried to go on")
        time.sleep(1.5)  # and has gone on trying, if it is not stopped by what it was told
        return True

    def _audit(self) -> list[str]:
        async def fault() -> object:
            store = await SQLiteStore.open(self.lab.state, SystemClock())
            try:
                return await store.verify()
            finally:
                await store.close()

        found = asyncio.run(fault())
        return [f"audit: {found}"] if found is not None else []

    # -- controllers ---------------------------------------------------------------------------------------------------

    def _launch(self, name: str, points: Sequence[str]) -> None:
        self.lab.start_crashing(name, points, self._strike.blow)

    def _succeed(self) -> None:
        """Whoever was killed is followed: by the one that stands by, and in any case by a new process."""
        for name in self.lab.ports:
            process = self.lab.running.get(name)
            code = process.poll() if process is not None else None
            if code is None:
                continue
            self.lab.kill(name)
            if code != -signal.SIGKILL:
                log = self.lab.log_tail(name)[-1000:]
                raise Differs(f"the {name} controller ended by itself with exit code {code}: {log}")
            self._launch(name, self._strike.points)

    def _acting(self) -> int:
        """Process id of who leads, 0 for nobody."""
        reader = self._open_reader()
        leader = reader.leader() if reader is not None else None
        return int(leader["process"]) if leader is not None and not leader["released"] else 0

    def _leads(self, name: str) -> bool:
        process = self.lab.running.get(name)
        return process is not None and self._acting() == process.pid

    # -- looking -------------------------------------------------------------------------------------------------------

    def _open_reader(self) -> StatusReader | None:
        try:
            self._reader = self._reader or StatusReader(self.lab.state)
        except NoStore:
            return None
        return self._reader

    def _healthy(self) -> bool:
        """So says the status of a controller that lives."""
        reader = self._open_reader()
        status = reader.document("status") if reader is not None else None
        if status is None or status["warm_up"] is not None:
            return False
        pids = {self.lab.running[name].pid for name in self.lab.ports if name in self.lab.running}
        age_s = time.time() - datetime.fromisoformat(status["at"]).timestamp()
        return (
            age_s < STATUS_AGE_MAX_S
            and any(f"-{pid}-" in status["leader"]["holder"] for pid in pids)
            and all(one["verdict"] == "HEALTHY" for one in status["clusters"])
            and not any(run["state"] in OPEN for run in status["runs"])
        )

    def _head(self) -> int:
        reader = self._open_reader()
        return reader.head()[0] if reader is not None else 0

    def _ends(self, after: int, kind: str) -> dict[str, str]:
        """How the runs of a kind that were opened since ended; "" while one goes on."""
        states: dict[str, str] = {}
        reader = self._open_reader()
        for entry in reader.entries(after=after) if reader is not None else []:
            event = entry["entry"]
            if event["kind"] == "run-opened" and event["plan"]["run_kind"] == kind:
                states[entry["run"]] = ""
            elif event["kind"] == "run-closed" and entry["run"] in states:
                states[entry["run"]] = event["state"]
        return states

    def _until(self, what: Callable[[], Any], sentence: str) -> None:
        within_s = WITHIN_S + MORE_A_STRIKE_S * len(self._strike.points)
        deadline = time.monotonic() + within_s
        while not what():
            if time.monotonic() > deadline:
                raise Differs(f"not within {within_s:g} s: {sentence}{self._state()}")
            self._succeed()
            time.sleep(LOOK_EVERY_S)

    def _state(self) -> str:
        """What stands in the way, by the controller's own word."""
        reader = self._open_reader()
        status = (reader.document("status") if reader is not None else None) or {}
        runs = [f"{run['id']} {run['state']}" for run in status.get("runs", [])[-2:]]
        verdicts = [f"{one['name']} {one['verdict']}" for one in status.get("clusters", [])]
        doubt = [str(status["doubt"])] if status.get("doubt") else []
        return f" ({'; '.join([*verdicts, *runs, *doubt])})"

    def _settled(self, stage: str, check: Callable[[], list[str]]) -> list[str]:
        """What is still wrong after some seconds: pods take a moment to be ready."""
        deadline = time.monotonic() + SETTLED_WITHIN_S
        while (wrong := check()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return [f"{stage}: {item}" for item in wrong]

    def close(self) -> None:
        """End the controllers and the lab."""
        self._close_reader()
        self.lab.stop()

    def _close_reader(self) -> None:
        """A connection belongs to the thread that plays the cycle."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _over(ends: dict[str, str]) -> bool:
    return bool(ends) and all(ends.values())


def _unfinished(ends: dict[str, str]) -> list[str]:
    """A run that a crash leaves in parts is mended by the next one: the world may be the same, the resuming was wrong."""
    return [f"run {run} ended as {state}" for run, state in ends.items() if state != "done"]
