"""Seeded fleets: clusters of skewed sizes in regions of providers, workloads of five tiers with realistic requests.

The load is set by the clusters: their sizes are scaled until the tightest resource, fleet-wide, is asked for by that
share of what is free after the headroom. Of the workloads 80 % have simple rules (weights over the clusters of a few
regions), the others minimums, maximums, exclusions, ordered groups and spread.
"""

from dataclasses import dataclass

import numpy as np

from failover.planner.joint.problem import Choice, Demand, Domain, Problem, Rules, Site, Spread, Strategy

GIB = 2**30
TIER_SHARES = (0.05, 0.15, 0.30, 0.30, 0.20)
CPU_M = (100, 250, 500, 1000, 2000, 4000)
CPU_SHARES = (0.15, 0.25, 0.27, 0.18, 0.10, 0.05)
GIB_PER_CPU = (1.0, 2.0, 4.0, 8.0)
GIB_SHARES = (0.15, 0.35, 0.35, 0.15)
NODE_CPU_M = 32_000
NODE_GIB = (64, 128, 256)
NODE_PODS = 110
WEIGHTS = (1, 2, 3, 5, 10)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What kind of fleet: numbers of workloads, clusters, regions and providers, load 0 to 1, replicas, strategy."""

    seed: int
    workloads: int
    clusters: int
    regions: int
    providers: int
    load: float
    replicas: tuple[int, int] = (2, 60)
    strategy: Strategy = Strategy.BALANCE


def make_fleet(shape: Shape) -> Problem:
    """The fleet of this shape; the same for the same shape."""
    random = np.random.default_rng(shape.seed)
    of_region = _regions_of_clusters(random, shape)
    size = random.lognormal(0.0, 0.6, shape.clusters)
    demands = _workloads(random, shape, of_region, size)
    sites = _sites(random, shape, of_region, size, demands)
    return Problem(sites=sites, demands=demands)


def domains_of(problem: Problem, *kinds: str) -> list[Domain]:
    """The domains of these kinds, `cluster` among them, by kind and name."""
    found: dict[tuple[str, str], list[str]] = {}
    for site in problem.sites:
        for kind in kinds:
            name = site.name if kind == "cluster" else site.domains[kind]
            found.setdefault((kind, name), []).append(site.name)
    return [Domain(kind=kind, name=name, sites=tuple(names)) for (kind, name), names in sorted(found.items())]


def _regions_of_clusters(random: np.random.Generator, shape: Shape) -> np.ndarray:
    """Every region has a cluster; the rest fall by skewed popularity."""
    popularity = random.lognormal(0.0, 0.4, shape.regions)
    rest = random.choice(shape.regions, shape.clusters - shape.regions, p=popularity / popularity.sum())
    return np.sort(np.concatenate((np.arange(shape.regions), rest)))


def _workloads(
    random: np.random.Generator, shape: Shape, of_region: np.ndarray, size: np.ndarray
) -> tuple[Demand, ...]:
    names = [f"c{index:04d}" for index in range(shape.clusters)]
    members = [
        tuple(names[at] for at in np.flatnonzero(of_region == region)) for region in range(shape.regions)
    ]
    drawn = np.bincount(of_region, weights=size, minlength=shape.regions)
    drawn = drawn / drawn.sum()
    number = shape.workloads
    tiers = random.choice(5, number, p=TIER_SHARES) + 1
    low, high = shape.replicas
    replicas = np.clip(np.round(low * (high / low) ** random.random(number)), low, high).astype(int)
    cpu = random.choice(CPU_M, number, p=CPU_SHARES)
    memory = (cpu / 1000 * random.choice(GIB_PER_CPU, number, p=GIB_SHARES) * GIB).astype(np.int64)
    simple = random.random(number) < 0.8
    draws = _draw_regions(random, drawn, number)
    counts = random.integers(2, 4, number)
    weights_of = random.choice(WEIGHTS, (number, 3))
    demands = []
    for index in range(number):
        picked = sorted(set(draws[index, : counts[index]].tolist()))
        weights = weights_of[index, : len(picked)].tolist()
        if simple[index]:
            choices = tuple(
                Choice(sites=members[region], weight=weight)
                for region, weight in zip(picked, weights, strict=True)
            )
            rules = Rules(choices=choices, strategy=shape.strategy)
        else:
            rules = _harder_rules(random, shape, members, picked, weights, int(replicas[index]))
        demands.append(
            Demand(
                key=f"w{index:06d}",
                tier=int(tiers[index]),
                replicas=int(replicas[index]),
                request={"cpu": int(cpu[index]), "memory": int(memory[index]), "pods": 1},
                rules=rules,
            )
        )
    return tuple(demands)


def _draw_regions(random: np.random.Generator, drawn: np.ndarray, number: int) -> np.ndarray:
    """Three draws each, the larger regions more often: people go where there is room."""
    found = np.searchsorted(np.cumsum(drawn), random.random((number, 3)))
    return np.minimum(found, len(drawn) - 1)


def _harder_rules(
    random: np.random.Generator,
    shape: Shape,
    members: list[tuple[str, ...]],
    picked: list[int],
    weights: list[int],
    replicas: int,
) -> Rules:
    kind = int(random.integers(0, 5))
    sites = [members[region] for region in picked]
    everywhere = sum(len(names) for names in sites)
    minimum, maximum, spread, groups = 0, None, (), [0] * len(picked)
    if kind == 0:
        minimum = 1
    elif kind == 1:
        maximum = max(2, int(np.ceil(2.0 * replicas / everywhere)))
    elif kind == 2:
        sites = [tuple(name for name in names if random.random() > 0.2) or names for names in sites]
    elif kind == 3:
        groups = list(range(len(picked)))
    else:
        spread = (Spread(kind="region", at_least=min(2, len(picked)), at_most_percent=60.0),)
    return Rules(
        choices=tuple(
            Choice(sites=names, weight=weight, minimum=minimum, maximum=maximum, group=group)
            for names, weight, group in zip(sites, weights, groups, strict=True)
        ),
        spread=spread,
        strategy=shape.strategy,
    )


def _sites(
    random: np.random.Generator,
    shape: Shape,
    of_region: np.ndarray,
    size: np.ndarray,
    demands: tuple[Demand, ...],
) -> tuple[Site, ...]:
    """Clusters of the given relative sizes, each of nodes of one kind, scaled to the load."""
    asked = {
        name: sum(demand.replicas * demand.request[name] for demand in demands)
        for name in ("cpu", "memory", "pods")
    }
    node_gib = random.choice(NODE_GIB, shape.clusters)
    used = random.uniform(0.0, 0.3, shape.clusters)
    part = size * (1 - used)
    per_size = {
        "cpu": NODE_CPU_M * part.sum(),
        "memory": float((node_gib * GIB * part).sum()),
        "pods": NODE_PODS * part.sum(),
    }
    scale = max(asked[name] / per_size[name] for name in asked) / shape.load / 0.95
    price = random.uniform(0.6, 1.6, shape.clusters)
    sites = []
    for index in range(shape.clusters):
        whole = size[index] * scale
        capacity = {
            "cpu": int(NODE_CPU_M * whole),
            "memory": int(node_gib[index] * GIB * whole),
            "pods": int(NODE_PODS * whole),
        }
        region = int(of_region[index])
        sites.append(
            Site(
                name=f"c{index:04d}",
                domains={"provider": f"p{region % shape.providers:02d}", "region": f"r{region:02d}"},
                capacity=capacity,
                free={name: int(quantity * (1 - used[index])) for name, quantity in capacity.items()},
                price={"cpu": 0.03 * price[index] / 1000, "memory": 0.004 * price[index] / GIB},
            )
        )
    return tuple(sites)


def small_shape(
    seed: int, load: tuple[float, float] = (0.9, 1.0), strategy: Strategy = Strategy.BALANCE
) -> Shape:
    """One of the random small fleets: 20 to 400 workloads, 3 to 40 clusters, in regions of two to six clusters."""
    random = np.random.default_rng(70_000 + seed)
    clusters = int(random.integers(3, 41))
    regions = max(2, round(clusters / random.integers(2, 7)))
    return Shape(
        seed=seed,
        workloads=int(random.integers(20, 401)),
        clusters=clusters,
        regions=min(regions, clusters),
        providers=max(1, min(3, regions // 2)),
        load=float(random.uniform(*load)),
        strategy=strategy,
    )


BIG = Shape(seed=1, workloads=100_000, clusters=1000, regions=50, providers=10, load=0.90)
