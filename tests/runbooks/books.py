"""A runbook as its reader meets it: blocks of command lines in order, and commands in the midst of a sentence.

Every one of them has to be run: `finish` fails for what was left out, and nothing but whole commands may be written.
"""

import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.support.shop import Shop

RUNBOOKS = Path(__file__).parents[2] / "runbooks"
_BLOCK = re.compile(r"```sh\n(.*?)```", re.S)
_CODE = re.compile(r"`([^`]+)`")


class Book:
    """One runbook that is followed against a lab."""

    def __init__(self, name: str, shop: Shop) -> None:
        text = (RUNBOOKS / name).read_text()
        self._shop = shop
        self.lines = [line for block in _BLOCK.findall(text) for line in block.splitlines() if line.strip()]
        self.inline = [code for code in codes_of(name) if code.startswith("failover ")]
        self._line = 0
        self._left = list(self.inline)

    def follow(self, *, until: str = "", allowed: dict[str, tuple[int, ...]] | None = None) -> None:
        """Run the blocks' lines in order, from where we are up to (not with) the first that begins with `until`."""
        while self._line < len(self.lines):
            line = self.lines[self._line]
            if until and line.startswith(until):
                return
            self._shop.follow([line], allowed)
            self._line += 1
        assert not until, f"no line begins with {until!r}"

    def say(self, beginning: str, *, ends: int = 0, **names: str) -> str:
        """Run the inline command that begins so, with names put in for its capitals; returns what it said."""
        command = self._take(beginning)
        arguments = [names.get(word, word) for word in shlex.split(command)[1:]]
        done = self._shop.failover(*arguments)
        said = f"{command}\nended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        assert done.returncode == ends, said
        assert "Traceback" not in done.stderr, said
        return done.stdout + done.stderr

    def start(self, beginning: str) -> "subprocess.Popen[str]":
        """Begin the inline command that begins so, which goes on until somebody ends it."""
        arguments = shlex.split(self._take(beginning))[1:]
        return subprocess.Popen(
            [sys.executable, "-m", "failover", *arguments],
            env=self._shop.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def watch(self, beginning: str, seconds: float = 3.0) -> str:
        """Let a command that goes on for ever go on for a while; it ends by Ctrl-C. Returns what it showed."""
        process = self.start(beginning)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=30)
        assert process.returncode in (0, 130), said
        assert "Traceback" not in said, said
        return said

    def finish(self) -> None:
        """Everything that stands in it was run."""
        left = [*self.lines[self._line :], *self._left]
        assert not left, f"never run: {left}"

    def _take(self, beginning: str) -> str:
        command = next(code for code in self.inline if code in self._left and code.startswith(beginning))
        self._left.remove(command)
        return command


def codes_of(name: str) -> list[str]:
    """What stands in backquotes between the blocks."""
    return _CODE.findall(_BLOCK.sub("", (RUNBOOKS / name).read_text()))
