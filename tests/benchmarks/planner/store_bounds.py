"""Solves the linear programs anew and stores their bounds: `python -m tests.benchmarks.planner.store_bounds`.

To be run when the fleet generator changes, or what the cost strategy places, and in which groups. Takes minutes; with `--gap N` it prints
for N small fleets instead how far the plan is from the exact optimum in whole replicas (HiGHS, 20 s a tier).
"""

import gzip
import json
import sys

import numpy as np

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
        report_gap(int(arguments[arguments.index("--gap") + 1]))
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


def report_gap(fleets: int) -> None:
    """One line a fleet: placed, the linear bound, the exact optimum."""
    for seed in range(fleets):
        engine = Engine.of(make_fleet(small_shape(seed)))
        placed = int((engine.prepared.replicas - engine.solve().state.missing).sum())
        exact, bound = (
            sum(most_in_whole_replicas(engine.prepared, SECONDS)),
            sum(most_by_tier(engine.prepared)),
        )
        sys.stdout.write(
            f"fleet {seed}: placed {placed}, exact {exact:.0f}, linear {bound:.1f}, gap {100 * (1 - placed / np.float64(exact)):.2f} %\n"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
