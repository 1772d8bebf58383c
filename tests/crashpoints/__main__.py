"""`make crashpoints`: at every point a controller is killed, frozen past its lease, or followed by one that stands by.

What was played stands in the results' file as it comes: started again, it goes on with what is missing there.
"""

import argparse
import queue
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import failover
from tests.crashpoints import results
from tests.crashpoints.cycle import Cycle, Outcome, Strike
from tests.crashpoints.judging import DIFFERS, NOT_REACHED, SAME, judge
from tests.crashpoints.points import kind_of
from tests.crashpoints.results import VARIANTS, Row
from tests.crashpoints.warden import Warden
from tests.crashpoints.world import CrashLab

CYCLES_A_LAB = 20
"""Then another one is begun: whoever starts reads all that was ever journaled."""
TRIES = 3
"""Cycles that a strike gets until one comes by its point. A world that differs is told at once."""


def parser() -> argparse.ArgumentParser:
    asked = argparse.ArgumentParser(prog="python -m tests.crashpoints", description=__doc__)
    asked.add_argument(
        "--repeat", type=int, default=3, help="how often each point in each variant (default 3)"
    )
    asked.add_argument("--kinds", action="store_true", help="the first point of every kind only")
    asked.add_argument("--variant", action="append", choices=VARIANTS, help="may be repeated; all without it")
    asked.add_argument("--only", default="", help="points whose name begins so")
    asked.add_argument(
        "--together",
        type=int,
        default=1,
        metavar="N",
        help="kill at up to N points in one cycle: much quicker, and not the whole proof (default 1)",
    )
    asked.add_argument("--processes", type=int, default=6, help="cycles at the same time (default 6)")
    asked.add_argument(
        "--results",
        type=Path,
        default=Path("build/crashpoints.jsonl"),
        help="a JSON object a line, a cycle each",
    )
    return asked


def main() -> int:
    options = parser().parse_args()
    if min(options.repeat, options.processes, options.together) < 1:
        say("--repeat, --processes and --together are at least 1")
        return 64
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="failover-crash-"))
    warden = Warden(folder)
    try:
        rows = Play(folder, warden, options).play()
    except KeyboardInterrupt:
        say(
            f"interrupted; what was played stands in {options.results}, and the same command goes on from there"
        )
        return 130
    finally:
        warden.close()
    code = results.code_of(Path(failover.__file__).parent)
    sentence, answer = results.summary(rows, code)
    sys.stdout.write(f"{results.table(rows)}\n{sentence}\n")
    return answer


def _interrupted(number: int, frame: object) -> None:
    raise KeyboardInterrupt


class Play:
    """Cycles at the same time, each with a lab of its own, until no strike is left."""

    def __init__(self, folder: Path, warden: Warden, options: argparse.Namespace) -> None:
        self._folder, self._warden, self._options = folder, warden, options
        self._code = results.code_of(Path(failover.__file__).parent)
        self._waiting: queue.SimpleQueue[Strike] = queue.SimpleQueue()
        self._writing = threading.Lock()
        self._left = 0
        self._errors: list[BaseException] = []

    def play(self) -> list[Row]:
        """Everything that is missing in the results; returns all rows of this code."""
        cycle = self._lab("reference")
        reference = cycle.play(Strike())
        if reference.wrong:
            raise SystemExit(f"even without a crash: {'; '.join(reference.wrong)}")
        points = [point for point in cycle.trace.points() if point.startswith(self._options.only)]
        chosen = first_of_each_kind(points) if self._options.kinds else points
        variants = self._options.variant or VARIANTS
        strikes = list(planned(chosen, variants, self._options.repeat, self._options.together))
        known = {row.key for row in self._rows() if row.word == SAME}
        todo = [strike for strike in strikes if results.key_of(strike) not in known]
        kinds = len({kind_of(point) for point in points})
        say(
            f"{len(points)} points of {kinds} kinds, a cycle takes {reference.seconds:.0f} s; "
            f"{len(strikes) - len(todo)} of {len(strikes)} strikes were played before"
        )
        self._left = len(todo)
        for strike in todo:
            self._waiting.put(strike)
        self._all_at_once(cycle)
        asked = {results.key_of(strike) for strike in strikes}
        return [row for row in self._rows() if row.key in asked]

    def _rows(self) -> list[Row]:
        return [row for row in results.read(self._options.results) if row.code == self._code]

    def _all_at_once(self, first: Cycle) -> None:
        threads = [
            threading.Thread(
                target=self._work, args=(str(number), first if number == 0 else None), daemon=True
            )
            for number in range(self._options.processes)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():  # a join without an end would not hear Ctrl-C
                thread.join(0.5)
        if self._errors:
            raise self._errors[0]

    def _work(self, name: str, cycle: Cycle | None) -> None:
        played = 0
        try:
            while True:
                try:
                    strike = self._waiting.get_nowait()
                except queue.Empty:
                    break
                cycle = cycle or self._lab(name)
                row = self._note(self._struck(cycle, strike))
                played += 1
                if row.word == DIFFERS:  # what follows must not start from a broken world
                    cycle.close()
                    self._keep(cycle, row)
                    cycle = None
                elif played % CYCLES_A_LAB == 0:
                    cycle.close()
                    cycle = None
            if cycle is not None:
                cycle.close()
        except BaseException as error:
            self._errors.append(error)

    @staticmethod
    def _struck(cycle: Cycle, strike: Strike) -> Outcome:
        """Not every cycle comes by every point (a third try of an update, a second refresh): another one may."""
        for _ in range(TRIES):
            outcome = cycle.play(strike)
            if judge(outcome).word != NOT_REACHED:
                break
        return outcome

    def _lab(self, name: str) -> Cycle:
        lab = CrashLab(Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder)), self._warden)
        lab.open()
        return Cycle(lab)

    def _note(self, outcome: Outcome) -> Row:
        row = results.row_of(outcome, self._code)
        with self._writing:
            results.append(self._options.results, row)
            self._left -= 1
            refused = f", refused by {', '.join(row.refused_by)}" if row.refused_by else ""
            why = f": {'; '.join(row.reasons)}" if row.reasons else ""
            what = f"{row.points[0]} and {len(row.points) - 1} more" if len(row.points) > 1 else row.points[0]
            say(
                f"{self._left:4} left  {row.variant:8} {what:40} {row.seconds:5.1f} s  {row.word}{refused}{why}"
            )
        return row

    def _keep(self, cycle: Cycle, row: Row) -> None:
        """Logs, journal and trace of a world that differs, beside the results."""
        name = f"{row.variant}-{row.points[0].replace('/', '-').replace('#', '-')}-{row.repeat}"
        kept = self._options.results.with_suffix(".kept") / name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(cycle.lab.folder, kept, ignore=shutil.ignore_patterns("*.sock"))


def first_of_each_kind(points: Iterable[str]) -> list[str]:
    """The first point of every kind."""
    found: dict[str, str] = {}
    for point in points:
        found.setdefault(kind_of(point), point)
    return list(found.values())


def planned(
    points: Sequence[str], variants: Iterable[str], repeat: int, together: int = 1
) -> Iterator[Strike]:
    """Every kind in every variant, then every other point, then the repeats: what is interrupted has seen much.

    `together`: points of one cycle, far from each other. A frozen controller is frozen once.
    """
    firsts = first_of_each_kind(points)
    alone = [(point,) for point in (*firsts, *(point for point in points if point not in firsts))]
    cycles = -(-len(points) // together)
    grouped = [tuple(points[number::cycles]) for number in range(cycles)] if together > 1 else alone
    once = {"kill": grouped, "standby": grouped, "stop": alone}
    for repeated in range(1, repeat + 1):
        for number in range(max(len(alone), len(grouped))):
            for variant in variants:
                for group in once[variant][number : number + 1]:
                    yield Strike(points=group, variant=variant, repeat=repeated)


def say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')}  {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
