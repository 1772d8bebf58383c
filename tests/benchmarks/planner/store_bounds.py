"""Solves the linear programs anew and stores their bounds: `python -m tests.benchmarks.planner.store_bounds`.

To be run when the fleet generator changes, or what the cost strategy places, and in which groups. Takes minutes; with `--gap N`
it prints for N small fleets instead how far the plan is from the exact optimum in whole replicas (HiGHS, 20 s a tier), with
the plan's minimums and without any; with `--gap 82,887` for these fleets.
"""

import gzip
import json
import sys
from collections.abc import Iterable

from failover.planner.joint.arrays import prepare
from failover.planner.joint.solve import Engine
from tests.benchmarks.planner import small
from tests.benchmarks.planner.fleet import make_fleet, small_shape
from tests.benchmarks.planner.programs import cheapest, most_by_tier, most_in_whole_replicas

FLEETS = 1000
SECONDS = 20.0


def main(arguments: list[str]) -> None:
    """Keeps bounds that are stored already when `--missing` is given."""
    if "--gap" in arguments:
        asked = arguments[arguments.index("--gap") + 1]
        report_gap([int(seed) for seed in asked.split(",")] if "," in asked else range(int(asked)))
        return
    keep = "--missing" in arguments and small.BOUNDS.exists()
    stored = small.stored_bounds() if keep else {"replicas": {}, "cost": {}}
    for seed in map(str, range(FLEETS)):
        if seed not in stored["replicas"]:
            bounds = most_by_tier(prepare(make_fleet(small_shape(int(seed)))))
            stored["replicas"][seed] = [round(bound, 2) for bound in bounds]
    stored["cost"] = {}
    for seed in small.COST_SEEDS:
        engine, held, _ = small.cost_of_plan(seed)
        least = cheapest(engine.prepared, engine.spreads, held)
        stored["cost"][str(seed)] = [int(held.sum()), round(least, 6)]
    small.BOUNDS.write_bytes(gzip.compress(json.dumps(stored).encode(), mtime=0))


def report_gap(seeds: Iterable[int]) -> None:
    """One line a fleet: placed, the linear bound, the exact optimum without any minimum, and with those that the plan keeps."""
    for seed in seeds:
        engine = Engine.of(make_fleet(small_shape(seed)))
        prepared, state = engine.prepared, engine.solve().state
        placed = int((prepared.replicas - state.missing).sum())
        bound = sum(most_by_tier(prepared))
        free = sum(most_in_whole_replicas(prepared, SECONDS))
        fair = sum(most_in_whole_replicas(prepared, SECONDS, state.held))
        sys.stdout.write(
            f"fleet {seed}: placed {placed}, linear {bound:.1f}, exact {free:.0f} ({100 * free / bound:.1f} % of linear), "
            f"with its minimums {fair:.0f} ({100 * fair / bound:.1f} %), gap to that {100 * (1 - placed / fair):.2f} %\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
