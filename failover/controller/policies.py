"""Watches the policy directory: a changed file is validated whole, then swapped; an invalid one changes nothing (I29)."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

from failover.model.errors import LocalFault, PolicyError
from failover.model.policy import Policy
from failover.model.reasons import Problem
from failover.policy import load, policy_files
from failover.policy.certificates import read_certificates

POLL_S = 2.0
RETRY_S = 30.0
"""How often files that were refused are looked at again unchanged: what they name (a CA bundle) may have come back."""

Fingerprint = tuple[tuple[str, int, int], ...]


def fingerprint(paths: Iterable[Path]) -> Fingerprint:
    """Name, size and modification time of files; changes whenever a reload is due."""
    found = []
    for path in paths:
        try:
            stat = path.stat()
        except (OSError, ValueError):
            continue
        found.append((str(path), stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def _files(directory: Path) -> list[Path]:
    try:
        return policy_files(directory)
    except PolicyError:
        return []


def bundles_of(policy: Policy) -> frozenset[str]:
    """Every CA bundle that a policy's probes name."""
    clusters = {entry.data_probe.ca_file for entry in policy.fleet.clusters}
    applications = {item.data_probe.ca_file for item in policy.applications if item.data_probe is not None}
    return frozenset((clusters | applications) - {""})


class PolicySource:
    """The policy in force and what is wrong with the files, if anything.

    `problems`: of the last attempt to load; empty when the files on disk are the policy in force. CA bundles are read with
    the policy that names them and kept: whoever follows a policy later finds them, whatever became of the files.
    """

    def __init__(self, directory: Path, *, poll_s: float = POLL_S, retry_s: float = RETRY_S) -> None:
        self.directory = directory
        self._poll_s, self._retry_s = poll_s, retry_s
        self.problems: tuple[Problem, ...] = ()
        self.warnings: tuple[Problem, ...] = ()
        self.bundles_changed = False
        self._certificates: dict[str, str] = {"": ""}
        self._bundles: tuple[Path, ...] = ()
        self._seen = (fingerprint(_files(directory)), fingerprint(()))

    def load(self) -> Policy:
        """Load now. Raises PolicyError with every problem; the policy in force is the caller's to keep.

        `bundles_changed` then says whether a CA bundle that was known holds something else.
        """
        self._seen = (fingerprint(_files(self.directory)), fingerprint(self._bundles))
        try:
            result = load(self.directory)
            bundles = tuple(Path(path) for path in sorted(bundles_of(result.policy)))
            seen = fingerprint(bundles)
            read = self._read(bundles)
        except PolicyError as error:
            self.problems = error.problems
            raise
        known = self._certificates
        self.bundles_changed = any(known.get(path, text) != text for path, text in read.items())
        self._certificates, self._bundles = known | read, bundles
        self._seen = (self._seen[0], seen)
        self.problems, self.warnings = (), tuple(result.warnings)
        return result.policy

    def read_ca(self, path: str) -> str:
        """The certificates of a bundle that a policy which was loaded names."""
        return self._certificates[path]

    def _read(self, bundles: Iterable[Path]) -> dict[str, str]:
        """Raises PolicyError: a bundle was there when the files were checked, and is not any more."""
        read: dict[str, str] = {}
        problems: list[Problem] = []
        for path in map(str, bundles):
            try:
                read[path] = read_certificates(path)
            except LocalFault as error:
                problems.append(Problem(file=str(self.directory), sentence=f"the CA bundle {error}"))
        if problems:
            raise PolicyError(problems)
        return read

    def refuse(self, sentence: str) -> None:
        """A policy that was valid could not be followed: it changes nothing, and that is told (I29)."""
        self.problems = (Problem(file=str(self.directory), sentence=sentence),)

    def changed(self) -> bool:
        """Whether the files differ from those last loaded."""
        return (fingerprint(_files(self.directory)), fingerprint(self._bundles)) != self._seen

    async def watch(self, on_policy: Callable[[Policy], None], on_problems: Callable[[], None]) -> None:
        """Poll for ever; a valid change is handed to `on_policy`, an invalid one is told once by `on_problems`."""
        unchanged_s = 0.0
        while True:
            await asyncio.sleep(self._poll_s)
            unchanged_s += self._poll_s
            again = bool(self.problems) and unchanged_s >= self._retry_s
            if not again and not await asyncio.to_thread(self.changed):
                continue
            unchanged_s, before = 0.0, self.problems
            policy = await asyncio.to_thread(self._load_or_refuse)
            if policy is not None:
                on_policy(policy)
            elif self.problems != before:
                on_problems()

    def _load_or_refuse(self) -> Policy | None:
        """The policy, or None with `problems`. Files are what strangers write: a defect in reading them ends no controller."""
        try:
            return self.load()
        except PolicyError:
            return None
        except Exception as error:
            self.refuse(f"cannot be read, by a defect: {type(error).__name__}: {error}")
            return None
