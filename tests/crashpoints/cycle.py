"""One cycle in a lab: a region is lost, its applications move, it returns, a person fails back; a controller dies at one point.

Whatever the point, both ends must be the worlds of a cycle without a crash: moved, and home again. Only the controllers are
started anew from cycle to cycle; regions, name servers and vantages go on.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from failover.lab.faults import switch
from failover.lab.processes import LabProcesses
from failover.lab.truth import check_home, check_moved
from failover.store.reader import NoStore, StatusReader

VICTIM, CLUSTER = "north", "north-1"
TIMING = {
    "interval": "500ms",
    "timeout": "500ms",
    "fall": 2,
    "rise": 2,
    "confirm": "500ms",
    "inventoryInterval": "1s",
    "lease": "3s",
    "leaseRenew": "1s",
    "leaseMargin": "1s",
    "stable": "1s",
    "holdDown": {"changes": 100},
}
GUARDS = {"perHour": 1000, "perDay": 1000}
WITHIN_S = 60.0


class Differs(AssertionError):
    """The world after a crash is not the world without one."""


@dataclass(slots=True, kw_only=True)
class Strike:
    """Where, and how: `kill` and start anew, `kill` with a second controller standing by, or `stop` past the lease."""

    point: str
    variant: str = "kill"

    @property
    def blow(self) -> str:
        return "stop" if self.variant == "stop" else "kill"

    @property
    def second(self) -> bool:
        return self.variant in ("stop", "standby")


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What a cycle showed. `struck`: the point was reached; `outcomes`: what came of a woken controller's sends."""

    strike: Strike
    struck: bool
    outcomes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Cycle:
    """A lab whose controllers are watched."""

    def __init__(self, lab: LabProcesses) -> None:
        self.lab = lab
        self.trace = lab.folder / "points"
        self._controllers: dict[str, subprocess.Popen[bytes]] = {}
        self._number = 0

    # -- the lab -------------------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Everything but a controller."""
        self.lab.prepare()
        self._shorten_ttl()
        self.lab.start_world()
        self.lab.start_vantages()

    def _shorten_ttl(self) -> None:
        """A failback waits for the old TTL at each stage: one second is enough to see that it does."""
        path = self.lab.policies / "applications.yaml"
        documents = list(yaml.safe_load_all(path.read_text()))
        for document in documents:
            for name in document["spec"]["dns"]:
                name["ttl"] = "1s"
        path.write_text(yaml.safe_dump_all(documents, sort_keys=False))
        names = self.lab.folder / "names.json"
        told = json.loads(names.read_text())
        for record in told["records"]:
            record["ttl"] = 1
        names.write_text(json.dumps(told))

    def close(self) -> None:
        """End the controllers, then the lab."""
        for name in list(self._controllers):
            self._end(name, signal.SIGKILL)
        self.lab.stop()

    def start(self, name: str, strike: Strike | None = None) -> None:
        """A controller, armed or only recording. Two of them share the state directory, not the vantages' port."""
        assert self.lab.certificates is not None
        own = next(one for one in self.lab.lab.vantages if one.controller)
        listen = ["--listen", f"127.0.0.1:{self.lab.lab.listen_port}"] if name == "first" else []
        tls = [
            "--tls-cert",
            str(self.lab.certificates.certificate),
            "--tls-key",
            str(self.lab.certificates.key),
        ]
        arguments = [
            *(str(self.trace), strike.point if strike else "-", strike.blow if strike else "kill", "--"),
            *("run", "--state", str(self.lab.state), "--policies", str(self.lab.policies)),
            *("--source-address", own.source, *listen, *(tls if listen else ())),
        ]
        with (self.lab.folder / f"{name}.log").open("ab") as log:
            self._controllers[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.crashpoints.controller", *arguments],
                cwd=Path(__file__).parents[2],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _end(self, name: str, number: int) -> None:
        process = self._controllers.pop(name, None)
        if process is None:
            return
        if process.poll() is None:
            os.kill(process.pid, signal.SIGCONT)
            os.kill(process.pid, number)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    # -- looking -------------------------------------------------------------------------------------------------------

    def status(self) -> dict[str, Any] | None:
        try:
            reader = StatusReader(self.lab.state)
            found = reader.document("status")
            reader.close()
        except NoStore:
            return None
        return found

    def entries(self, after: int) -> list[dict[str, Any]]:
        reader = StatusReader(self.lab.state)
        try:
            found: list[dict[str, Any]] = []
            while page := reader.entries(after=found[-1]["sequence"] if found else after):
                found += page
            return found
        finally:
            reader.close()

    def head(self) -> int:
        try:
            reader = StatusReader(self.lab.state)
        except NoStore:
            return 0
        try:
            return reader.head()[0]
        finally:
            reader.close()

    def until(self, what: Callable[[], Any], sentence: str, within_s: float = WITHIN_S) -> None:
        deadline = time.monotonic() + within_s
        while not what():
            if time.monotonic() > deadline:
                raise Differs(f"not within {within_s:g} s: {sentence}")
            self._succeed()
            time.sleep(0.05)

    def _succeed(self) -> None:
        """Whoever was killed is followed: by the one that stands by, else by a new process."""
        first = self._controllers.get("first")
        if first is not None and first.poll() is not None:
            self._controllers.pop("first")
            self.start("first")

    def healthy(self, status: dict[str, Any] | None) -> bool:
        return (
            status is not None
            and status["warm_up"] is None
            and time.time() - _seconds(status["at"]) < 2.5
            and all(one["verdict"] == "HEALTHY" for one in status["clusters"])
            and not any(run["state"] in ("running", "halted", "awaiting-approval") for run in status["runs"])
        )

    def closed(self, after: int, kind: str) -> list[str]:
        """How the runs of a kind that were opened since ended; "" while one goes on."""
        states: dict[str, str] = {}
        for entry in self.entries(after):
            event = entry["entry"]
            if event["kind"] == "run-opened" and event["plan"]["run_kind"] == kind:
                states[entry["run"]] = ""
            elif event["kind"] == "run-widened" and entry["run"] in states:
                pass
            elif event["kind"] == "run-closed" and entry["run"] in states:
                states[entry["run"]] = event["state"]
        return list(states.values())

    # -- one cycle -----------------------------------------------------------------------------------------------------

    def play(self, strike: Strike | None) -> Outcome:
        """Lose the region and fail back, once. Raises Differs where an end does not come about."""
        began, self._number = time.monotonic(), self._number + 1
        self.trace.unlink(missing_ok=True)
        self.start("first", strike)
        if strike is not None and strike.second:
            self.until(lambda: self.healthy(self.status()), "all is well before the loss")
            self.start("second")
        head = self.head()
        self.until(lambda: self.healthy(self.status()), "all is well before the loss")
        wrong: list[str] = []
        try:
            self._lose(head)
            wrong += [f"moved: {item}" for item in self._settled(lambda: check_moved(self.lab, [CLUSTER]))]
            self._wake(strike)
            wrong += [
                f"moved, woken: {item}" for item in self._settled(lambda: check_moved(self.lab, [CLUSTER]))
            ]
            self._fail_back()
            self._wake(strike)
            wrong += [f"home: {item}" for item in self._settled(lambda: check_home(self.lab))]
        except Differs as error:
            wrong.append(str(error))
        wrong += self._audit()
        for name in list(self._controllers):
            self._end(name, signal.SIGTERM)
        lines = self.trace.read_text().splitlines() if self.trace.exists() else []
        return Outcome(
            strike=strike or Strike(point="-"),
            struck=any(line.startswith("STRIKE") for line in lines),
            outcomes=[line.removeprefix("OUTCOME ") for line in lines if line.startswith("OUTCOME")],
            wrong=wrong,
            seconds=time.monotonic() - began,
        )

    def points(self) -> list[str]:
        """What the controllers of the last cycle came by."""
        lines = self.trace.read_text().splitlines()
        return [line for line in lines if "#" in line and " " not in line]

    def _lose(self, head: int) -> None:
        switch(self.lab, "region", VICTIM, on=True)
        self.until(
            lambda: (ends := self.closed(head, "evacuation") + self.closed(head, "steering")) and all(ends),
            "the region's applications have moved",
        )

    def _fail_back(self) -> None:
        switch(self.lab, "region", VICTIM, on=False)
        self.until(lambda: self.healthy(self.status()), "the region is back and healthy")
        time.sleep(1.2)  # it must have been stable for a second
        head = self.head()
        asked = 0.0

        def over() -> bool:
            nonlocal asked
            ends = self.closed(head, "failback")
            if (
                not ends and time.monotonic() - asked > 3.0
            ):  # nobody took the command, or it was lost with its taker
                self.failover("failback", f"region/{VICTIM}", "--yes", "--no-wait", "--reason", "a cycle")
                asked = time.monotonic()
            return bool(ends) and all(ends)

        self.until(over, "the region has got back what it had")

    def failover(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "FAILOVER_STATE": str(self.lab.state),
            "FAILOVER_POLICIES": str(self.lab.policies),
        }
        return subprocess.run(
            [sys.executable, "-m", "failover", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )

    def _settled(self, check: Callable[[], list[str]]) -> list[str]:
        """What is still wrong after some seconds: pods take a moment to be ready."""
        deadline = time.monotonic() + 10.0
        while (wrong := check()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return wrong

    def _wake(self, strike: Strike | None) -> None:
        """Let the frozen controller go on, once another has finished what it began; it must be refused everywhere."""
        first = self._controllers.get("first")
        if strike is None or strike.blow != "stop" or first is None:
            return
        if not any(line.startswith("STRIKE") for line in self.trace.read_text().splitlines()):
            return
        os.kill(first.pid, signal.SIGCONT)
        time.sleep(1.5)

    def _audit(self) -> list[str]:
        done = self.failover("audit", "verify")
        return [] if done.returncode == 0 else [f"audit verify: {done.stderr.strip()}"]


def _seconds(at: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(at).timestamp()
