"""The README's tutorial, line by line, as a newcomer would type it; only the waiting is done for them."""

import contextlib
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from failover.store.reader import NoStore, StatusReader

README = Path(__file__).parents[2] / "README.md"
WATCH_S = 2.5


def blocks() -> list[list[str]]:
    """The command lines of each `sh` block of the tutorial."""
    section = README.read_text().split("## Tutorial")[1].split("\n## ")[0]
    found = re.findall(r"```sh\n(.*?)```", section, re.S)
    return [[line for line in block.splitlines() if line.strip() and line[0] != "#"] for block in found]


def read_all(terminal: int) -> str:
    """What was written to a terminal whose programs are gone."""
    found = b""
    with contextlib.suppress(OSError):  # EIO is how Linux says that nobody holds the other end any more
        while chunk := os.read(terminal, 65536):
            found += chunk
    os.close(terminal)
    return found.decode()


class Newcomer:
    """Somebody at a terminal in an empty directory, with a lab running in another."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = dict(os.environ)
        self.up = subprocess.Popen(
            [sys.executable, "-m", "failover", "lab", "up"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.up.stdout is not None
        for _ in range(2):
            words = shlex.split(self.up.stdout.readline())
            assert words[0] == "export"
            self.environment.update(word.split("=", 1) for word in words[1:])

    def until(self, what: Callable[[dict[str, Any]], Any], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        status = None
        while time.monotonic() < deadline:
            try:
                reader = StatusReader(Path(self.environment["FAILOVER_STATE"]))
                status = reader.document("status")
                reader.close()
            except NoStore:
                status = None
            if status is not None and what(status):
                return
            time.sleep(0.1)
        raise AssertionError(f"not within {seconds} s: {status}")

    def type(self, line: str) -> str:
        """Run one line; a command that watches gets Ctrl-C."""
        arguments = shlex.split(line, comments=True)
        assert arguments[0] == "failover", line
        keyboard, terminal = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=terminal,
            stdout=subprocess.PIPE,
            stderr=terminal,
        )
        os.close(terminal)
        if "failback" in arguments:
            os.write(keyboard, f"{arguments[2].split('/')[-1]}\n".encode())
        if "-w" in arguments:
            time.sleep(WATCH_S)
            process.send_signal(signal.SIGINT)
        out = process.communicate(timeout=120)[0].decode()
        said = read_all(keyboard)
        expected = 130 if "-w" in arguments else 0
        assert process.returncode == expected, f"{line}\nended with {process.returncode}:\n{out}\n{said}"
        assert "Traceback" not in said, said
        return out + said


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    made = Newcomer(tmp_path)
    try:
        yield made
    finally:
        made.up.send_signal(signal.SIGINT)
        made.up.wait(timeout=20)


def healthy(status: dict[str, Any]) -> bool:
    return status["warm_up"] is None and all(
        one["verdict"] == "HEALTHY" and one["replicas_ready"] is not None for one in status["clusters"]
    )


def closed(kind: str) -> Callable[[dict[str, Any]], bool]:
    return lambda status: any(run["run_kind"] == kind and run["state"] == "done" for run in status["runs"])


def returned(status: dict[str, Any]) -> bool:
    return any(cluster["duplicates"] for cluster in status["clusters"]) and healthy(status)


def test_the_tutorial_does_what_it_says(newcomer: Newcomer) -> None:
    start, lines = blocks()
    assert "failover lab up" in start[-1]
    said: dict[str, str] = {}
    newcomer.until(healthy)
    for line in lines:
        if line.startswith("failover report"):
            newcomer.until(closed("evacuation"))
        if line.startswith("failover failback"):
            newcomer.until(returned)
            time.sleep(11)  # the ten seconds of health that the lab's policies ask for
        said[line.split("#")[0].strip()] = newcomer.type(line)
    assert "north-1" in said["failover explain north-1"]
    assert "evacuation" in said["failover report last"]
    assert "PAUSED" in next(out for line, out in reversed(said.items()) if line == "failover status")
    newcomer.until(closed("failback"))
