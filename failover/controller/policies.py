"""Watches the policy directory: a changed file is validated whole, then swapped; an invalid one changes nothing (I29)."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from failover.model.errors import PolicyError
from failover.model.policy import Policy
from failover.model.reasons import Problem
from failover.policy import load

POLL_S = 2.0


def fingerprint(directory: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and modification time of every policy file; changes whenever a reload is due."""
    found = []
    for path in sorted([*directory.glob("*.yaml"), *directory.glob("*.yml")]):
        try:
            stat = path.stat()
        except OSError:
            continue
        found.append((path.name, stat.st_size, stat.st_mtime_ns))
    return tuple(found)


class PolicySource:
    """The policy in force and what is wrong with the files, if anything.

    `problems`: of the last attempt to load; empty when the files on disk are the policy in force.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.problems: tuple[Problem, ...] = ()
        self.warnings: tuple[Problem, ...] = ()
        self._seen = fingerprint(directory)

    def load(self) -> Policy:
        """Load now. Raises PolicyError with every problem; the policy in force is the caller's to keep."""
        self._seen = fingerprint(self.directory)
        try:
            result = load(self.directory)
        except PolicyError as error:
            self.problems = error.problems
            raise
        self.problems, self.warnings = (), tuple(result.warnings)
        return result.policy

    def changed(self) -> bool:
        """Whether the files differ from those last loaded."""
        return fingerprint(self.directory) != self._seen

    async def watch(self, on_policy: Callable[[Policy], None], on_problems: Callable[[], None]) -> None:
        """Poll for ever; a valid change is handed to `on_policy`, an invalid one is told once by `on_problems`."""
        while True:
            await asyncio.sleep(POLL_S)
            if not await asyncio.to_thread(self.changed):
                continue
            try:
                policy = await asyncio.to_thread(self.load)
            except PolicyError:
                on_problems()
            else:
                on_policy(policy)
