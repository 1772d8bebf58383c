"""Ends what a runner started, however the runner ends: it is told of every process, and strikes when its input closes.

A runner that is killed closes that pipe as surely as one that returns. Each process is the leader of a group of its own,
so that its children go with it.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path


class Warden:
    """The runner's end. `guard` what was started, `release` what is reaped: its id may soon be somebody else's."""

    def __init__(self, folder: Path) -> None:
        """`folder` is removed at the end, too."""
        self._writing = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crashpoints.warden", str(folder)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C at the runner's terminal is not for the warden
        )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def guard(self, process: int) -> None:
        self._tell(f"guard {process}")

    def release(self, process: int) -> None:
        self._tell(f"release {process}")

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with self._writing:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """Everything that is still guarded ends now; returns when it has."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def watch(lines: "object", end: Callable[[int], None]) -> None:
    """Follow what the runner says until it says no more, then end what is left, the youngest first."""
    guarded: dict[int, None] = {}
    for line in lines:  # type: ignore[attr-defined]
        verb, number = line.split()
        if verb == "guard":
            guarded[int(number)] = None
        else:
            guarded.pop(int(number), None)
    for number in reversed(guarded):
        end(number)


def end_group(number: int) -> None:
    """SIGKILL ends a frozen process as well. One that was just forked has not made its group yet."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(number, signal.SIGKILL)


if __name__ == "__main__":
    # Whoever ends the runner's processes by their name means what they started, too.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    watch(sys.stdin, end_group)
    shutil.rmtree(sys.argv[1], ignore_errors=True)
