"""Small problems for the joint engine: builders for stories, strategies for properties."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from failover.model.policy import OnShortage
from failover.planner.joint.problem import (
    Choice,
    Demand,
    Problem,
    Rules,
    Site,
    Spread,
    Strategy,
    Unsatisfiable,
)

REGIONS = {"a1": "a", "a2": "a", "b1": "b", "b2": "b", "c1": "c"}


def site(name: str, cpu: int | None = 100, **more: Any) -> Site:
    """A cluster of region `name[0]` with room for `cpu` and plenty of pods; None: nothing is known of it."""
    free = None if cpu is None else {"cpu": cpu, "pods": 1000}
    return Site(name=name, domains={"region": name[0]}, free=free, **more)


def demand(key: str, replicas: int, *choices: Choice, tier: int = 1, cpu: int = 1, **more: Any) -> Demand:
    """A workload; `more`: fields of its rules, and `current`."""
    current: Mapping[str, int] = more.pop("current", {})
    return Demand(
        key=key,
        tier=tier,
        replicas=replicas,
        request={"cpu": cpu, "pods": 1},
        rules=Rules(choices=choices, **more),
        current=current,
    )


def anywhere(*names: str, **more: Any) -> Choice:
    return Choice(sites=names, **more)


def fleet(sites: list[Site], demands: list[Demand], **more: Any) -> Problem:
    """Without headroom, so that the sums are easy."""
    return Problem(sites=tuple(sites), demands=tuple(demands), **{"headroom": 0.0, **more})


@st.composite
def problems(draw: st.DrawFn, *, sites_max: int = 5, plain: bool = False, running: bool = False) -> Problem:
    """Up to five clusters and six workloads of three tiers. `plain`: capacity and names only. `running`: some run."""
    names = sorted(REGIONS)[: draw(st.integers(1, sites_max))]
    sites = [
        Site(
            name=name,
            domains={"region": REGIONS[name]},
            free={"cpu": draw(st.integers(0, 24)), "memory": draw(st.integers(0, 24)), "pods": 100},
            price={"cpu": draw(st.floats(0, 3))},
            open=draw(st.integers(0, 9)) > 0,
        )
        for name in names
    ]
    demands = [draw(_demands(f"w{index}", names, plain, running)) for index in range(draw(st.integers(1, 6)))]
    return fleet(sites, demands)


@st.composite
def _demands(draw: st.DrawFn, key: str, names: list[str], plain: bool, running: bool) -> Demand:
    named = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
    choices = tuple(
        Choice(
            sites=(name,),
            weight=draw(st.integers(1, 5)),
            minimum=0 if plain else draw(st.integers(0, 2)),
            maximum=draw(st.one_of(st.none(), st.integers(2, 6))),
            group=0 if plain else draw(st.integers(0, 1)),
        )
        for name in named
    )
    spread = () if plain else tuple(draw(st.lists(_spreads(), max_size=1)))
    replicas = draw(st.integers(1, 8))
    current: dict[str, int] = {}
    if running:
        left = replicas
        for name in named:
            current[name] = draw(st.integers(0, left))
            left -= current[name]
    return Demand(
        key=key,
        tier=draw(st.integers(1, 3)),
        replicas=replicas,
        request={"cpu": draw(st.integers(1, 4)), "memory": draw(st.integers(0, 4)), "pods": 1},
        rules=Rules(
            choices=choices,
            spread=spread,
            strategy=draw(st.sampled_from(Strategy)),
            standby=0 if plain else draw(st.integers(0, 2)),
            on_shortage=OnShortage.PARTIAL if plain else draw(st.sampled_from(OnShortage)),
        ),
        current=current,
    )


def _spreads() -> st.SearchStrategy[Spread]:
    return st.builds(
        Spread,
        kind=st.sampled_from(["region", "cluster"]),
        at_least=st.one_of(st.none(), st.integers(1, 3)),
        at_most_percent=st.one_of(st.none(), st.sampled_from([34.0, 50.0, 60.0])),
        when_unsatisfiable=st.sampled_from(Unsatisfiable),
    )
