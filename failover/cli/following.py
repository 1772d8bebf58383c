"""Following a run to its end: progress as it comes, and an end also where the run halts or nobody drives it any more."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from failover.cli import exits
from failover.cli.render import talk
from failover.cli.telling import Teller
from failover.store.reader import StatusReader

LOOK_EVERY_S = 0.1
QUIET_S = 10.0
"""After so long without news it is said again what the run waits for."""
HALTED_S = 2.0
"""Automation resumes by itself what was halted for a moment only: a halt is an end when it lasts."""
DEAD_S = 5.0
"""So long may a standby, or a supervisor's restart, take to go on with a run."""


class Follower:
    """One run as its entries come in. `waits_for`: what it is at, as somebody who knows says it."""

    def __init__(self, reader: StatusReader, run: str, *, after: int, waits_for: Callable[[], str]) -> None:
        self._reader, self.run, self._seen, self._waits_for = reader, run, after, waits_for
        self._teller = Teller(lambda name: reader.entries(run=name))
        self._news_at = self._told_at = time.monotonic()
        self.closed = ""
        self.halted = ""

    @property
    def quiet_s(self) -> float:
        """Seconds without a new entry."""
        return time.monotonic() - self._news_at

    def look(self) -> None:
        """Tell what is new."""
        for row in self._reader.entries(after=self._seen, run=self.run):
            self._seen = row["sequence"]
            self._news_at = self._told_at = time.monotonic()
            event = row["entry"]
            sentence = self._teller.progress(row)
            if sentence:
                talk(f"{row['at'][11:19]}  {sentence}")
            if event["kind"] == "run-halted":
                self.halted = event["refusal"]["sentence"]
            elif event["kind"] in ("run-resumed", "abort-requested", "run-approved"):
                self.halted = ""
            elif event["kind"] == "run-closed":
                self.closed = event["state"]
        if time.monotonic() - self._told_at > QUIET_S and not self.closed:
            self._told_at = time.monotonic()
            waits_for = self._waits_for()
            if waits_for:
                talk(f"          {waits_for}")


def follow(state: Path, run: str, *, after: int = 0, verb: str = "") -> int:
    """Show a run's progress until it is over, halted, or driven by nobody; returns the exit code that its end stands for."""
    with StatusReader(state) as reader:
        follower = Follower(
            reader, run, after=after, waits_for=lambda: _row(reader, run).get("waits_for", "")
        )
        alive_at = time.monotonic()
        try:
            while True:
                follower.look()
                if follower.closed:
                    return code_of_state(follower.closed, verb=verb)
                if follower.halted and follower.quiet_s > HALTED_S:
                    talk(how_to_go_on(run, follower.halted))
                    return exits.PARTIAL
                leader = reader.leader()
                if leader is not None and not leader["gone"] and leader["expires_wall"] > time.time():
                    alive_at = time.monotonic()
                elif time.monotonic() - alive_at > DEAD_S and follower.quiet_s > DEAD_S:
                    talk(_nobody_drives(run, leader))
                    return exits.PARTIAL
                time.sleep(LOOK_EVERY_S)
        except KeyboardInterrupt:
            talk(
                f"\nrun {run} goes on without you: `failover status -w` shows it, `failover report {run}` tells how it went, "
                f"`failover abort {run}` stops it"
            )
            return exits.INTERRUPTED


def _row(reader: StatusReader, run: str) -> dict[str, Any]:
    document = reader.document("status") or {}
    return next((item for item in document.get("runs", []) if item["id"] == run), {})


def how_to_go_on(run: str, why: str) -> str:
    """For a run that is halted."""
    return (
        f"run {run} is halted: {why}\n"
        f"  it goes on by `failover resume-run {run}`, and stops for good by `failover abort {run}`; what was done stays"
    )


def stands_still(run: str) -> str:
    """For a run that nobody drives."""
    return (
        f"run {run} stands still, what was done stays: a controller that starts resumes it; without one "
        f"`failover resume-run {run}` goes on, and `failover abort {run}` stops it for good"
    )


def _nobody_drives(run: str, leader: dict[str, Any] | None) -> str:
    who = f"{leader['holder']} (process {leader['process']}, epoch {leader['epoch']})" if leader else "nobody"
    word = "is gone" if leader is None or leader["gone"] else "does not renew its lease"
    return f"the controller {who} {word}: {stands_still(run)}"


def code_of_state(state: str, *, verb: str = "") -> int:
    """Exit code of a run's end. An abort that was asked for has done what it should."""
    if verb == "abort" and state == "aborted":
        return exits.DONE
    codes = {"done": exits.DONE, "partial": exits.PARTIAL, "halted": exits.PARTIAL, "refused": exits.REFUSED}
    return codes.get(state, exits.ERROR)
