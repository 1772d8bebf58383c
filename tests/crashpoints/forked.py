"""Processes forked from one that has imported everything: starting Python anew would be a third of a cycle's work.

They are processes of their own all the same: own session, own pid, killed and frozen like any other.
"""

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

_PRELOAD = [
    "failover.cli.main",
    "failover.cli.client",
    "failover.cli.commands_move",
    "failover.cli.daemon",
    "failover.controller.app",
    "failover.controller.calendar",
    "failover.controller.wiring",
    "failover.telemetry",
    "failover.web.server",
    "tests.crashpoints.controller",
]
_context: Any = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_PRELOAD)

# The exit code of a process comes once, through a pipe, and whoever starts a process asks for those of all others. Of two
# threads that ask at once one would find the pipe empty, and multiprocessing calls that an exit with 255.
_asking = threading.Lock()


class Forked:
    """What of `subprocess.Popen` a lab uses."""

    def __init__(
        self, main: Callable[[], None], arguments: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        self._process = _context.Process(
            target=_become, args=(main, list(arguments), str(log), dict(environment))
        )
        with _asking:
            self._process.start()
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        """Exit code, minus the signal that ended it, or None while it lives."""
        with _asking:
            code: int | None = self._process.exitcode
        return code

    def wait(self, timeout: float | None = None) -> int | None:
        multiprocessing.connection.wait([self._process.sentinel], timeout)
        return self.poll()

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _become(main: Callable[[], None], arguments: list[str], log: str, environment: dict[str, str]) -> None:
    os.setsid()
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (out, 1), (out, 2)):
        os.dup2(source, target)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - multiprocessing put its own there
    os.environ.update(environment)
    sys.argv = arguments
    main()
