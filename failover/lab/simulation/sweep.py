"""Many seeds on all cores, the coverage that they reach, and the fewest faults that still fail."""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from . import coverage
from .faults import FAULTS
from .oracles import ORACLES
from .play import LEAST_S, Planned, Result, play, schedule_of

Progress = Callable[["Sweep", int], None]
"""Called after each seed with what there is so far, and how many seeds there are in all."""


@dataclass(slots=True)
class Sweep:
    """What came of many seeds."""

    seeds: int = 0
    digests: list[str] = field(default_factory=list)
    simulated_s: float = 0.0
    seconds: float = 0.0
    failed: list[Result] = field(default_factory=list)
    fleets: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)

    def add(self, result: Result) -> None:
        self.seeds += 1
        self.digests.append(f"{result.seed} {result.digest}")
        self.simulated_s += result.simulated_s
        self.fleets[result.shape] += 1
        if result.violations:
            self.failed.append(result)
        for name in ("faults", "verdicts", "refusals", "runs", "steps", "checks"):
            getattr(self, name).update(getattr(result, name))

    @property
    def digest(self) -> str:
        """Of all logs together, in the order of the seeds: the same in any process, or something is left to chance."""
        return hashlib.sha256("\n".join(self.digests).encode()).hexdigest()

    def never_met(self) -> list[str]:
        """Fault kinds and oracles that these seeds never exercised."""
        kinds = [f"fault {name}" for name in sorted(FAULTS) if not self.faults[name]]
        return kinds + [f"oracle {one.label()}" for one in ORACLES if not self.checks[one.label()]]

    def below_the_mark(self) -> list[str]:
        """What was met too seldom for so many seeds to prove much; nothing is asked of fewer than a thousand."""
        if self.seeds < coverage.SEEDS:
            return []
        return list(
            coverage.below_the_mark(self.faults, self.verdicts, self.refusals, self.steps, self.checks)
        )


def sweep(
    seeds: Sequence[int],
    *,
    only: Sequence[str] = (),
    least_s: float = LEAST_S,
    processes: int | None = None,
    progress: Progress | None = None,
) -> Sweep:
    """Play them all; the order of what is reported does not depend on who was faster."""
    began, found = time.monotonic(), Sweep()
    workers = processes or os.cpu_count() or 1
    tasks = [(seed, tuple(only), least_s) for seed in seeds]
    if workers == 1 or len(tasks) == 1:
        results: Iterable[Result] = map(_one, tasks)
        _gather(found, results, len(tasks), progress)
    else:
        with ProcessPoolExecutor(max_workers=workers) as pool:
            _gather(
                found,
                pool.map(_one, tasks, chunksize=4 if len(tasks) > 4 * workers else 1),
                len(tasks),
                progress,
            )
    found.seconds = time.monotonic() - began
    return found


def _gather(found: Sweep, results: Iterable[Result], total: int, progress: Progress | None) -> None:
    for result in results:
        found.add(result)
        if progress is not None:
            progress(found, total)


def _one(task: tuple[int, tuple[str, ...], float]) -> Result:
    seed, only, least_s = task
    return play(seed, schedule_of(seed, only=only), least_s=least_s, only=only)


def shrink(seed: int, schedule: Sequence[Planned], invariant: str) -> tuple[Planned, ...]:
    """The fewest faults of a schedule with which the same invariant still breaks (drop one at a time, halves first)."""
    kept = list(schedule)
    size = max(1, len(kept) // 2)
    while size:
        place = 0
        while place < len(kept):
            fewer = [*kept[:place], *kept[place + size :]]
            if _breaks(seed, fewer, invariant):
                kept = fewer
            else:
                place += size
        size //= 2
    return tuple(kept)


def _breaks(seed: int, schedule: Sequence[Planned], invariant: str) -> bool:
    return any(found.invariant == invariant for found in play(seed, schedule).violations)
