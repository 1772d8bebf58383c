"""One server process: started, killed, frozen and thawed by its own Popen, with its log at hand.

A small child, the reaper, learns of every process here through a pipe. When the test session ends in any way,
SIGKILL included, the pipe closes and the reaper ends what is left, so no server outlives its tests.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

PORT_FIRST = 15_000
PORT_LAST = 31_999
"""Below the range that Linux hands to outgoing connections, so that none of those takes a port we chose."""

POLL_S = 0.02

_REAPER = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
alive = set()
for line in sys.stdin:
    pid = int(line)
    alive.add(pid) if pid > 0 else alive.discard(-pid)
for pid in alive:
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
"""


class ServerFailed(Exception):
    """A server did not start or did not do what it was asked; the message ends with what it logged last."""


class _Reaper:
    """Ends the processes it was told of once our end of its pipe is closed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = None

    def tell(self, pid: int) -> None:
        """Take charge of a process; a negative number means that it is gone."""
        with self._lock:
            if self._child is None:
                self._child = subprocess.Popen(
                    [sys.executable, "-S", "-c", _REAPER],
                    stdin=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            assert self._child.stdin is not None
            self._child.stdin.write(f"{pid}\n")
            self._child.stdin.flush()


_reaper = _Reaper()


class Process:
    """A server process that can be started again after it was killed (same command, same files).

    `log_path` collects its stdout and stderr, appended over restarts.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.command = tuple(str(part) for part in command)
        self.folder = folder
        self.log_path = folder / f"{name}.log"
        self._environment = {**os.environ, **(environment or {})}
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id. Raises ServerFailed where it was never started."""
        if self._popen is None:
            raise ServerFailed(f"{self.name} was not started.")
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether the process exists; a frozen one does."""
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Start it. Raises ServerFailed where it already runs."""
        if self.running:
            raise ServerFailed(f"{self.name} already runs.")
        with self.log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _reaper.tell(self._popen.pid)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it; nothing happens where it is gone already."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.send_signal(number)

    def freeze(self) -> None:
        """SIGSTOP: its sockets stay open and nothing answers. Returns when all of it has stopped."""
        self.signal(signal.SIGSTOP)
        if self._popen is not None and self._popen.poll() is None:
            os.waitid(os.P_PID, self._popen.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        """SIGCONT: it goes on where it was frozen."""
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. A frozen process dies of it too."""
        if self._popen is None:
            return
        self.signal(signal.SIGKILL)
        _reaper.tell(-self._popen.pid)
        self._popen.wait()

    def log_tail(self, lines: int = 25) -> str:
        """Its last log lines, for a failure's message."""
        try:
            text = self.log_path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return "(no log)"
        return "\n".join(text.splitlines()[-lines:]) or "(empty log)"

    def resident_bytes(self) -> int:
        """Its resident memory, 0 where it is gone (Linux only)."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, ServerFailed):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")


def kill_all(processes: Iterable[Process]) -> None:
    """SIGKILL them all at once, then wait for each: a region dies as a whole, not process by process."""
    listed = tuple(processes)
    for process in listed:
        process.signal(signal.SIGKILL)
    for process in listed:
        process.kill()


def wait_until(
    check: Callable[[], bool], *, what: str, timeout_s: float, processes: Sequence[Process]
) -> None:
    """Ask `check` until it says yes. Raises ServerFailed when time is up or a process has ended, with its log."""
    deadline = time.monotonic() + timeout_s
    while not check():
        gone = [process for process in processes if not process.running]
        if gone:
            raise ServerFailed(f"{gone[0].name} ended while waiting for {what}:\n{gone[0].log_tail()}")
        if time.monotonic() > deadline:
            logs = "\n".join(f"-- {process.name} --\n{process.log_tail(8)}" for process in processes)
            raise ServerFailed(f"No {what} within {timeout_s:.0f} s.\n{logs}")
        time.sleep(POLL_S)


def free_ports(count: int, *, addresses: Sequence[str] = ("127.0.0.1",)) -> tuple[int, ...]:
    """Find distinct ports that are free for TCP and UDP on every one of the addresses."""
    found: list[int] = []
    for _ in range(5_000):
        port = random.randint(PORT_FIRST, PORT_LAST)
        if port not in found and all(_is_free(address, port) for address in addresses):
            found.append(port)
        if len(found) == count:
            return tuple(found)
    raise ServerFailed(f"No {count} free ports between {PORT_FIRST} and {PORT_LAST}.")


def _is_free(address: str, port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True
