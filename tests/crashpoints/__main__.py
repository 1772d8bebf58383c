"""`make crashpoints`: every point, three times each, killed; then frozen past the lease, with a second controller."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from failover.lab.presets import make_lab
from failover.lab.processes import LabProcesses
from tests.crashpoints.cycle import GUARDS, TIMING, Cycle, Outcome, Strike

VARIANTS = ("kill", "standby", "stop")


def a_lab(folder: Path) -> Cycle:
    """Three regions, two applications, quick in everything."""
    lab = make_lab(
        applications=[["shop", 1, 6], ["ledger", 1, 6]], ready_s=0.3, timing=dict(TIMING), guards=dict(GUARDS)
    )
    return Cycle(LabProcesses(lab, folder))


def kind_of(point: str) -> str:
    return point.partition("#")[0]


def one_of_each_kind(points: Iterable[str]) -> list[str]:
    """The first point of every kind."""
    found: dict[str, str] = {}
    for point in points:
        found.setdefault(kind_of(point), point)
    return list(found.values())


def refused(outcome: Outcome) -> str:
    """Why a woken controller was not refused, "" if it was (or had nothing left to send)."""
    taken = [item for item in outcome.outcomes if item.endswith(("taken", "NOERROR"))]
    return f"a controller that woke after its lease was not refused: {', '.join(taken)}" if taken else ""


def main() -> int:
    asked = argparse.ArgumentParser(prog="python -m tests.crashpoints", description=__doc__)
    asked.add_argument("--times", type=int, default=3, help="how often each point (default 3)")
    asked.add_argument("--kinds", action="store_true", help="one point of every kind only")
    asked.add_argument("--variants", nargs="*", choices=VARIANTS, default=VARIANTS)
    asked.add_argument("--only", default="", help="points whose name begins so")
    asked.add_argument("--json", type=Path, help="write the outcomes there")
    options = asked.parse_args()
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="failover-crash-") as folder:
        cycle = a_lab(Path(folder))
        try:
            cycle.open()
            reference = cycle.play(None)
            if reference.wrong:
                say(f"even without a crash: {'; '.join(reference.wrong)}")
                return 1
            points = [point for point in dict.fromkeys(cycle.points()) if point.startswith(options.only)]
            chosen = one_of_each_kind(points) if options.kinds else points
            say(
                f"{len(points)} points of {len({kind_of(p) for p in points})} kinds; a cycle takes {reference.seconds:.0f} s"
            )
            for strike in strikes(chosen, options.variants, options.times):
                outcome = cycle.play(strike)
                outcomes.append(outcome)
                tell(outcome, len(outcomes))
                if outcome.wrong:  # what follows must not start from a broken world
                    cycle.close()
                    cycle = a_lab(Path(tempfile.mkdtemp(dir=folder)))
                    cycle.open()
        finally:
            cycle.close()
    return summary(outcomes, options.json)


def strikes(points: Iterable[str], variants: Iterable[str], times: int) -> Iterable[Strike]:
    for variant in variants:
        for point in points:
            for _ in range(times if variant == "kill" else 1):
                yield Strike(point=point, variant=variant)


def tell(outcome: Outcome, number: int) -> None:
    failed = [
        *outcome.wrong,
        *([refused(outcome)] if outcome.strike.blow == "stop" and refused(outcome) else []),
    ]
    word = (
        "not reached"
        if not outcome.struck
        else "same world"
        if not failed
        else f"DIFFERS: {'; '.join(failed)}"
    )
    said = f"  ({'; '.join(outcome.outcomes)})" if outcome.outcomes else ""
    say(
        f"{number:4}  {outcome.strike.variant:8} {outcome.strike.point:40} {outcome.seconds:5.1f} s  {word}{said}"
    )


def summary(outcomes: list[Outcome], where: Path | None) -> int:
    struck = [one for one in outcomes if one.struck]
    wrong = [one for one in outcomes if one.wrong or (one.strike.blow == "stop" and refused(one))]
    if where is not None:
        rows = [
            {
                "point": one.strike.point,
                "variant": one.strike.variant,
                "struck": one.struck,
                "outcomes": one.outcomes,
                "wrong": one.wrong,
                "seconds": round(one.seconds, 2),
            }
            for one in outcomes
        ]
        where.write_text(json.dumps(rows, indent=1))
    say(
        f"{len(outcomes)} cycles, {len(struck)} struck at {len({one.strike.point for one in struck})} points: "
        f"{len(wrong)} ended in another world"
    )
    return 1 if wrong or not struck else 0


def say(line: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')}  {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
