"""A thousand small fleets against stored bounds, and the weights where capacity does not bind."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from failover.planner.joint.problem import Choice, Demand, Problem, Rules, Site, Strategy
from failover.planner.joint.solve import Engine
from tests.benchmarks.planner.fleet import make_fleet, small_shape

BOUNDS = Path(__file__).parent / "bounds.json.gz"
COST_LOADS = (0.5, 0.9)
COST_SEEDS = range(2000, 2060)


def stored_bounds() -> dict[str, dict[str, list[float]]]:
    """`replicas`: seed to the most replicas of each tier; `cost`: seed to (placed by us, the least cost for them)."""
    found: dict[str, dict[str, list[float]]] = json.loads(gzip.decompress(BOUNDS.read_bytes()))
    return found


def placed_against(bounds: dict[str, list[float]], seeds: Iterable[str]) -> tuple[int, float, list[float]]:
    """(placed, bound, each fleet's ratio)."""
    placed, bound, ratios = 0, 0.0, []
    for seed in seeds:
        engine = Engine.of(make_fleet(small_shape(int(seed))))
        state = engine.solve().state
        assert (state.free >= 0).all(), f"fleet {seed} is above its capacity"
        number = int((engine.prepared.replicas - state.missing).sum())
        placed, bound = placed + number, bound + sum(bounds[seed])
        ratios.append(number / sum(bounds[seed]))
    return placed, bound, ratios


def cost_of_plan(seed: int, strategy: Strategy = Strategy.COST) -> tuple[Engine, np.ndarray, float]:
    """(engine, what each row holds [P], cost an hour) of one fleet at up to 90 % load."""
    engine = Engine.of(make_fleet(small_shape(seed, COST_LOADS, strategy)))
    prepared, state = engine.prepared, engine.solve().state
    price = (prepared.price[prepared.site] * prepared.request[prepared.demand]).sum(axis=1)
    return engine, state.held, float((price * state.held).sum())


def worst_weight_class(workloads: int = 20_000, clusters: int = 60) -> float:
    """How far (in percent) the weight class that is furthest off is from its share, with room for everything."""
    names = tuple(f"c{index:02d}" for index in range(clusters))
    weights = (1, 2, 5, 10)
    choices = tuple(
        Choice(sites=(name,), weight=weights[index % len(weights)]) for index, name in enumerate(names)
    )
    rules = Rules(choices=choices)
    random = np.random.default_rng(3)
    demands = tuple(
        Demand(key=f"w{index}", tier=1, replicas=int(number), request={"cpu": 1, "pods": 1}, rules=rules)
        for index, number in enumerate(random.integers(2, 7, workloads))
    )
    sites = tuple(Site(name=name, free={"cpu": 10**9, "pods": 10**9}) for name in names)
    state = Engine.of(Problem(sites=sites, demands=demands)).solve().state
    prepared = state.prepared
    held = np.bincount(prepared.weight.astype(int), weights=state.held, minlength=11)[list(weights)]
    share = np.array(weights) * (clusters // len(weights))
    return float(100 * np.abs(held / held.sum() / (share / share.sum()) - 1).max())
