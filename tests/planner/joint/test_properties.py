"""What holds of every joint plan, whatever is asked."""

import warnings
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from failover.model.policy import OnShortage
from failover.planner.joint.arrays import prepare
from failover.planner.joint.cheapen import cheapen
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
from failover.planner.joint.shortfalls import shortfalls
from failover.planner.joint.solution import Placement
from failover.planner.joint.solve import Engine, solve
from failover.planner.joint.spread import percent_of
from tests.benchmarks.planner.programs import most_by_tier
from tests.planner.joint.problems import REGIONS, fleet, problems

few = settings(max_examples=60, deadline=None)


def table(problem: Problem, plan: Placement) -> dict[str, dict[str, int]]:
    return {demand.key: dict(plan.placed(demand.key)) for demand in problem.demands}


@few
@given(problem=problems(running=True))
def test_nothing_is_above_what_is_free_or_above_a_maximum(problem: Problem) -> None:
    plan = solve(problem)
    placed = table(problem, plan)
    for site in problem.sites:
        assert site.free is not None
        for resource, free in site.free.items():
            used = sum(
                (placed[demand.key].get(site.name, 0) - demand.current.get(site.name, 0))
                * demand.request[resource]
                for demand in problem.demands
            )
            assert used <= free or used <= 0
    for demand in problem.demands:
        for choice in demand.rules.choices:
            held = placed[demand.key].get(choice.sites[0], 0)
            assert choice.maximum is None or held <= max(
                choice.maximum, demand.current.get(choice.sites[0], 0)
            )


@few
@given(problem=problems(running=True))
def test_every_replica_is_placed_or_told(problem: Problem) -> None:
    plan = solve(problem)
    for demand in problem.demands:
        placed = plan.placed(demand.key)
        assert sum(placed.values()) + plan.unplaced.get(demand.key, 0) == demand.replicas
        assert set(placed) <= {name for choice in demand.rules.choices for name in choice.sites}


@few
@given(problem=problems(running=True), random=st.randoms(use_true_random=False))
def test_the_same_problem_in_another_order_has_the_same_plan(problem: Problem, random: Any) -> None:
    sites, demands = list(problem.sites), list(problem.demands)
    random.shuffle(sites)
    random.shuffle(demands)
    first, again = solve(problem), solve(replace(problem, sites=tuple(sites), demands=tuple(demands)))
    assert table(problem, first) == table(problem, again)
    assert first.shed == again.shed
    assert first.unplaced == again.unplaced


@few
@given(problem=problems(running=True))
def test_what_runs_is_not_moved_without_a_reason(problem: Problem) -> None:
    """Only what was shed, and named with whom it made room for, leaves its place."""
    plan = solve(problem)
    shed: dict[tuple[str, str], int] = {}
    for item in plan.shed:
        shed[item.victim, item.site] = shed.get((item.victim, item.site), 0) + item.replicas
    for demand in problem.demands:
        placed = plan.placed(demand.key)
        for name, number in demand.current.items():
            assert placed.get(name, 0) >= number - shed.get((demand.key, name), 0)


@few
@given(problem=problems(running=True))
def test_victims_are_of_lower_tiers_and_none_could_be_put_back(problem: Problem) -> None:
    plan = solve(problem)
    demands = {demand.key: demand for demand in problem.demands}
    state, prepared = plan.state, plan.prepared
    for item in plan.shed:
        victim, taker = demands[item.victim], demands[item.made_room_for]
        assert victim.tier > taker.tier
        if item.victim in plan.unplaced:
            free = state.free[prepared.site_index[item.site]]
            needs = [victim.request[name] for name in prepared.resources]
            assert any(have < need for have, need in zip(free.tolist(), needs, strict=True))


@few
@given(problem=problems())
def test_a_spread_that_must_hold_holds(problem: Problem) -> None:
    plan = solve(problem)
    for demand in problem.demands:
        placed = plan.placed(demand.key)
        total = sum(placed.values())
        for spread in demand.rules.spread:
            if spread.when_unsatisfiable is not Unsatisfiable.DO_NOT_SCHEDULE:
                continue
            held: dict[str, int] = {}
            for name, number in placed.items():
                domain = name if spread.kind == "cluster" else REGIONS[name]
                held[domain] = held.get(domain, 0) + number
            if spread.at_most_percent is not None:
                assert max(held.values(), default=0) <= percent_of(spread.at_most_percent, total)
            if spread.at_least is not None and total:
                assert len(held) >= spread.at_least


@few
@given(problem=problems(running=True))
def test_what_is_cheaper_keeps_what_comes_before_the_strategy(problem: Problem) -> None:
    """Groups hold as many as before, minimums and spreads are no worse, and nothing costs more."""
    engine = Engine.of(
        replace(
            problem,
            demands=tuple(
                replace(demand, rules=replace(demand.rules, strategy=Strategy.BALANCE))
                for demand in problem.demands
            ),
        )
    )
    state, prepared = engine.solve().state, engine.prepared
    before, short = state.held.copy(), shortfalls(state)
    cheapen(state, engine.spreads, engine.index, np.arange(len(prepared.demands)))
    price = np.einsum("ij,ij->i", prepared.price[prepared.site], prepared.request[prepared.demand])
    assert (price * state.held).sum() <= (price * before).sum() + 1e-9
    assert (state.free >= 0).all()
    assert (state.held >= np.minimum(before, state.kept)).all()
    for demand in range(len(prepared.demands)):
        rows = prepared.rows_of(demand)
        for group in (0, 1):
            inside = prepared.group[rows] == group
            assert state.held[rows][inside].sum() == before[rows][inside].sum()
    told = {(item.subject, item.code, item.sentence.split(" are in ")[-1]): item.amount for item in short}
    for item in shortfalls(state):
        key = (item.subject, item.code, item.sentence.split(" are in ")[-1])
        assert item.amount <= told.get(key, 0), item.sentence


@few
@given(problem=problems(running=True), order=st.lists(st.integers(0, 4), min_size=1, max_size=4))
def test_a_loss_in_passing_leaves_nothing_behind(problem: Problem, order: list[int]) -> None:
    """One engine asked for one loss after the other says of each what a new engine says, and whoever finds no place by the
    weights alone is placed with prices.
    """
    names = [site.name for site in problem.sites]
    engine = Engine.of(problem)
    for at in order:
        lost = names[: 1 + at % len(names)]
        again, fresh = engine.lose_in_passing(lost), Engine.of(problem).lose_in_passing(lost)
        assert (again.state.held == fresh.state.held).all()
        assert (again.state.free == fresh.state.free).all()
        assert again.unplaced == fresh.unplaced
        assert again.shed == fresh.shed
        assert sum(again.unplaced.values()) <= sum(Engine.of(problem).lose(lost).unplaced.values())


@few
@given(problem=problems(), factor=st.integers(2, 5))
def test_where_everything_fits_more_capacity_places_no_fewer(problem: Problem, factor: int) -> None:
    roomy = replace(
        problem,
        sites=tuple(
            replace(site, open=True, free={name: 100 + amount for name, amount in (site.free or {}).items()})
            for site in problem.sites
        ),
    )
    larger = replace(
        roomy,
        sites=tuple(
            replace(site, free={name: factor * amount for name, amount in (site.free or {}).items()})
            for site in roomy.sites
        ),
    )
    assert sum(solve(larger).unplaced.values()) <= sum(solve(roomy).unplaced.values())


@settings(max_examples=40, deadline=None)
@given(problem=problems(sites_max=2, plain=True))
def test_with_two_clusters_the_plan_is_the_best_there_is(problem: Problem) -> None:
    """Compared with every way to place, tier by tier."""
    demands = [replace(demand, replicas=min(demand.replicas, 3)) for demand in problem.demands[:3]]
    small = fleet(list(problem.sites), demands)
    plan = solve(small)
    found = _by_tier(small, {demand.key: sum(plan.placed(demand.key).values()) for demand in demands})
    assert found == _best_by_tier(small)


def _by_tier(problem: Problem, placed: dict[str, int]) -> list[int]:
    tiers = sorted({demand.tier for demand in problem.demands})
    return [sum(placed[d.key] for d in problem.demands if d.tier == tier) for tier in tiers]


def _best_by_tier(problem: Problem) -> list[int]:
    names = [site.name for site in problem.sites]
    options = []
    for demand in problem.demands:
        upper = {
            choice.sites[0]: demand.replicas
            if choice.maximum is None
            else min(choice.maximum, demand.replicas)
            for choice in demand.rules.choices
        }
        ways = product(*(range(upper.get(name, 0) + 1) for name in names))
        options.append([way for way in ways if sum(way) <= demand.replicas])
    best: list[int] = []
    for ways in product(*options):
        fits = all(
            sum(way[at] * demand.request[name] for way, demand in zip(ways, problem.demands, strict=True))
            <= ((site.free or {}).get(name, 0) if site.open else 0)
            for at, site in enumerate(problem.sites)
            for name in ("cpu", "memory", "pods")
        )
        if fits:
            placed = {demand.key: sum(way) for way, demand in zip(ways, problem.demands, strict=True)}
            best = max(best, _by_tier(problem, placed))
    return best


@few
@given(problem=problems(), site=st.integers(0, 10), more=st.integers(1, 20))
def test_more_capacity_never_lowers_the_bound(problem: Problem, site: int, more: int) -> None:
    """Of the linear program, tier by tier: the first tier that changes gains."""
    at = site % len(problem.sites)
    free = problem.sites[at].free
    assert free is not None
    larger = replace(problem.sites[at], free={name: amount * (1 + more) for name, amount in free.items()})
    sites = (*problem.sites[:at], larger, *problem.sites[at + 1 :])
    before, after = most_by_tier(prepare(problem)), most_by_tier(prepare(replace(problem, sites=sites)))
    for less, now in zip(before, after, strict=True):
        assert now >= less - 1e-4
        if now > less + 1e-4:
            return


@few
@given(problem=problems())
def test_no_plan_is_above_the_bound(problem: Problem) -> None:
    plan, bound = solve(problem), most_by_tier(prepare(problem))
    for tier, most in zip(sorted({demand.tier for demand in problem.demands}), bound, strict=True):
        of_tier = [demand for demand in problem.demands if demand.tier == tier]
        placed = sum(demand.replicas - plan.unplaced.get(demand.key, 0) for demand in of_tier)
        assert placed <= most + 1e-4
        if placed < most - 1e-4:
            return


HUGE = st.sampled_from([0, 1, 3, 1000, 10**6, 2**40, 2**53, 2**62 - 1])


@st.composite
def absurd_problems(draw: st.DrawFn) -> Problem:
    """Numbers that no fleet has, beside ordinary ones."""
    names = ("a1", "a2", "b1", "c1")[: draw(st.integers(1, 4))]
    sites = [
        Site(
            name=name,
            domains={"region": name[0]},
            free={"cpu": draw(HUGE), "memory": draw(HUGE), "pods": draw(st.sampled_from([0, 1, 110]))},
            price={"cpu": draw(st.sampled_from([0.0, 1e-300, 1.0, 1e300]))},
        )
        for name in names
    ]
    limit = Spread(kind="region", at_least=2, when_unsatisfiable=Unsatisfiable.DO_NOT_SCHEDULE)
    demands = [
        Demand(
            key=f"d{number}",
            tier=draw(st.integers(1, 3)),
            replicas=draw(st.sampled_from([0, 1, 5, 60, 3000])),
            request={"cpu": draw(HUGE), "memory": draw(HUGE), "pods": 1},
            rules=Rules(
                choices=(Choice(sites=names, weight=draw(st.sampled_from([0, 1, 10**6])), minimum=1),),
                spread=draw(st.sampled_from([(), (limit,)])),
                strategy=draw(st.sampled_from(list(Strategy))),
                on_shortage=draw(st.sampled_from(list(OnShortage))),
            ),
            current={name: draw(st.integers(0, 3)) for name in names},
        )
        for number in range(draw(st.integers(1, 4)))
    ]
    return fleet(sites, demands)


@few
@given(problem=absurd_problems())
def test_absurd_numbers_have_a_plan_too(problem: Problem) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plan = solve(problem)
        rules = plan.rules()
    assert (plan.state.free >= 0).all()
    assert len(rules) == len(plan.state.held)
