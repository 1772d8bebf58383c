"""The rows of what the joint planner must reach, as figures of `make bench`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from failover.planner.joint.problem import Strategy
from tests.benchmarks.figures import Figure
from tests.benchmarks.planner import growth, small

ROOT = Path(__file__).parents[3]
PICTURE = Path("planner-growth.svg")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def big() -> list[Figure]:
    """100,000 workloads over 1,000 clusters at 90 % and 97 % load."""
    at90, at97 = _big("0.90", "--all"), _big("0.97")
    name = "planner-big"
    return [
        _figure(name, "full plan at 90 %", "s", 5, at90["plan_s"]),
        _figure(name, "memory of the full plan", "GiB", 1.2, at90["gib"]),
        _figure(name, "unplaced at 90 %", "%", 0.1, at90["unplaced_percent"]),
        _figure(name, "one region lost at 90 %", "s", 0.3, *at90["losses_s"]),
        _figure(name, "one region lost at 97 %, shedding", "s", 1, *at97["losses_s"]),
        _figure(name, "survivability of 50 regions at 90 %", "s", 10, at90["regions_s"]),
        _figure(name, "survivability of 50 regions at 97 %", "s", 30, at97["regions_s"]),
        _figure(name, "survivability of 1,060 domains at 90 %", "s", 60, at90["all_s"]),
    ]


def against_bounds() -> list[Figure]:
    """Every small fleet whose bound is stored."""
    bounds = small.stored_bounds()["replicas"]
    placed, bound, ratios = small.placed_against(bounds, bounds)
    name = "planner-bounds"
    what = f"placed of the bound, {len(ratios)} fleets"
    return [
        _figure(name, f"{what}, total", "%", 99.7, 100 * placed / bound, at_most=False),
        _figure(
            name, f"{what}, 95 % of them", "%", 99, 100 * float(np.quantile(ratios, 0.05)), at_most=False
        ),
        _figure(
            name, f"{what}, 99 % of them", "%", 96, 100 * float(np.quantile(ratios, 0.01)), at_most=False
        ),
        _figure(name, f"{what}, worst", "%", 93, 100 * min(ratios), at_most=False),
    ]


def cost() -> list[Figure]:
    """The cost strategy against the cheapest for what it places, whose costs are stored with what was placed."""
    stored = small.stored_bounds()["cost"]
    ours, least, worst, more_unplaced = 0.0, 0.0, 0.0, 0
    for seed, (count, bound) in stored.items():
        _, placed, paid = small.cost_of_plan(int(seed))
        if int(placed.sum()) != int(count):
            raise RuntimeError(
                f"fleet {seed} places {placed.sum()}, the stored cost is for {count:.0f}: regenerate"
            )
        _, balanced, _ = small.cost_of_plan(int(seed), Strategy.BALANCE)
        more_unplaced += max(0, int(balanced.sum() - placed.sum()))
        ours, least = ours + paid, least + bound
        worst = max(worst, paid / bound - 1)
    name = "planner-cost"
    if not stored:
        raise RuntimeError(
            "no costs are stored: run python -m tests.benchmarks.planner.store_bounds --missing"
        )
    return [
        _figure(name, f"dearer than the cheapest, {len(stored)} fleets", "%", 2, 100 * (ours / least - 1)),
        _figure(name, "dearer than the cheapest, worst", "%", 6, 100 * worst),
        _figure(name, "unplaced that balance places", "replicas", 0, more_unplaced),
    ]


def weights() -> list[Figure]:
    """Few replicas over many clusters."""
    return [
        _figure("planner-weights", "furthest weight class off its share", "%", 3, small.worst_weight_class())
    ]


def grows() -> list[Figure]:
    """Writes the curve beside the report."""
    measured = growth.points()
    slope = growth.exponent(measured)
    PICTURE.write_text(growth.picture(measured, slope))
    return [_figure("planner-growth", f"exponent, picture in {PICTURE}", "", 1.15, slope)]


def _figure(
    benchmark: str, what: str, unit: str, limit: float, *values: float, at_most: bool = True
) -> Figure:
    return Figure(
        benchmark=benchmark, what=what, unit=unit, limit=limit, values=tuple(values), at_most=at_most
    )


def _big(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.planner.big", *arguments],
        cwd=ROOT,
        env={**os.environ, **ONE_THREAD},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
